"""What messages put together come to: nodes, and who waits for whom."""

from __future__ import annotations

import pytest

from headway import App, Failure, Queue, chain, chord, group, previous, workflow
from headway.errors import ArgumentError, ConfigurationError
from headway.flow import MOST_NODES, Flow
from headway.testing import in_memory

app = App(queues=[Queue("default")], tasks="tests", engine="memory")


@app.task
def add(one: int, other: int = 1) -> int:
    return one + other


@app.task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@app.task
def held(value: dict[str, str]) -> None:
    """Take an argument that only looks like a reference."""


def edges(flow: Flow[object]) -> dict[str, tuple[str, ...]]:
    return {node.id: node.parents for node in flow.plan("w", "w").nodes}


def arguments(flow: Flow[object], node: str) -> tuple[object, ...]:
    [found] = [each for each in flow.plan("w", "w").nodes if each.id == node]
    return found.message.arguments.args


def test_each_step_of_a_chain_waits_for_the_one_before():
    flow = chain(add.message(1), add.message(previous, 2), add)
    assert edges(flow) == {"w-1": (), "w-2": ("w-1",), "w-3": ("w-2",)}
    assert arguments(flow, "w-2") == ({"headway:result": "w-1"}, 2)
    assert flow.plan("w", "w").result == {"headway:result": "w-3"}


def test_a_group_behind_a_message_begins_with_its_result():
    flow = chain(add.message(1), group(add, chain(add, add)), total)
    waits = {"w-1": (), "w-2": ("w-1",), "w-3": ("w-1",), "w-4": ("w-3",)}
    assert edges(flow) == {**waits, "w-5": ("w-2", "w-4")}
    both = [{"headway:result": "w-2"}, {"headway:result": "w-4"}]
    assert arguments(flow, "w-5") == (both,)


def test_references_bring_in_what_they_refer_to_once():
    one = add.message(1)
    flow = workflow(add.message(one.result, one.result))
    assert edges(flow) == {"w-1": (), "w-2": ("w-1",)}


def test_messages_alike_are_two_nodes_and_the_same_one_is_one():
    one = add.message(1)
    assert len(edges(group(one, one))) == 1
    assert len(edges(group(add.message(1), add.message(1)))) == 2


def test_what_a_running_node_asks_for_waits_for_its_end():
    other = add.message(1)
    flow = chain(add.message(1), add.message(previous, other.result))
    nodes = flow.plan("w", "asking", behind="asking").nodes
    waits = {node.id: node.parents for node in nodes}
    first, late = waits.pop("asking-1"), waits.pop("asking-2")
    assert (first, late) == (("asking",), ("asking",))
    assert waits == {"asking-3": ("asking-1", "asking-2")}


def test_a_bounded_group_has_those_stand_in_line_that_have_no_place():
    nodes = group(*map(add.message, range(3)), limit=2).plan("w", "w").nodes
    assert [node.line for node in nodes] == ["", "", "w-1"]
    assert {node.leaves for node in nodes} == {"w-1"}


def test_a_member_of_a_bounded_group_begins_and_ends_with_one_message():
    several = group(add.message(1), add.message(2))
    with pytest.raises(ConfigurationError, match="begins with 2, and ends with 2"):
        group(several, limit=1).plan("w", "w")


@pytest.mark.parametrize("limit", [0, -1, True, "2"])
def test_a_limit_is_a_positive_number(limit):
    with pytest.raises(ConfigurationError, match="1 or more"):
        group(add.message(1), limit=limit)


def test_a_group_of_nothing_is_an_empty_list_and_holds_nobody_up():
    assert arguments(chord([], total), "w-1") == ([],)
    flow = chain(add.message(1), chain(add, group()), add.map([]), total)
    assert edges(flow) == {"w-1": (), "w-2": ("w-1",), "w-3": ("w-2",)}
    assert arguments(flow, "w-3") == ([],)
    assert chain(group(group(), add.message(1))).plan("w", "w").result == [
        [],
        {"headway:result": "w-1"},
    ]


def test_without_a_message_there_is_nothing_to_send():
    with pytest.raises(ConfigurationError, match="nothing is to be sent"):
        add.map([]).enqueue()


def test_a_group_stays_one_where_members_are_asked_for():
    flow = chord(add.map([1, 2, 3], limit=2), total)
    assert [node.line for node in flow.plan("w", "w").nodes] == ["", "", "w-1", ""]
    assert edges(chord(chain(add.message(1), add), total))["w-3"] == ("w-2",)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: chain(add.message(1), len), r"chain\(<built-in .*: .*@app\.task"),
        (lambda: chain(add.message(1), None), r"chain\(None\): expected a message"),
        (lambda: group(5), r"group\(5\): expected a message"),
        (lambda: group([add.message(1)]), r"group\(\[<message.*put a \* in front"),
        (lambda: workflow("tasks.add"), r"workflow\('tasks.add'\): expected a mess"),
        (lambda: chord([add.message(1)], None), r"chord\(None\): expected a message"),
        (lambda: chord(add.message(1), total), r"chord\(.*expected a list of mess"),
        (lambda: chord(None, total), r"chord\(None\): expected a list of messages"),
    ],
)
def test_what_is_no_step_is_refused_with_what_to_write(make, said):
    with pytest.raises(ConfigurationError, match=said):
        make()


def test_a_task_that_stands_first_has_no_argument():
    for flow in (chain(add, add), group(add, add), workflow(add)):
        with pytest.raises(ArgumentError, match=r"add.*give it one, as task\.message"):
            flow.plan("w", "w")


def test_a_message_that_waits_for_itself_is_refused():
    after: list[object] = []
    message = add.using(after=after).message(1)
    after.append(message)
    with pytest.raises(ConfigurationError, match=r"after=.*it waits for itself"):
        workflow(message).plan("w", "w")


def test_a_message_that_waits_for_others_is_not_sent_alone():
    message = add.using(after=[add.message(1)]).message(1)
    with pytest.raises(ConfigurationError, match=r"after=.*workflow\(message\)"):
        app.send_one(message)


@pytest.mark.parametrize("use", [str, bool, "{}".format, lambda result: result.title])
def test_a_result_that_is_not_there_is_no_value(use):
    with pytest.raises((TypeError, AttributeError), match="is not there yet"):
        use(add.message(1).result)


def test_a_message_is_no_argument():
    with pytest.raises(ArgumentError, match=r"write message\.result"):
        add.message(add.message(1))


def test_too_many_messages_are_refused():
    with pytest.raises(ConfigurationError, match="fan_out"):
        add.map(range(MOST_NODES + 1)).plan("w", "w")


def test_an_object_that_looks_like_a_reference_is_refused():
    message = total.using().message([])
    forged = message._replace(
        arguments=message.arguments._replace(args=({"headway:result": "other"},))
    )
    with pytest.raises(ArgumentError, match=r"message\.result"):
        workflow(forged).plan("w", "w")


def test_two_messages_of_one_id_are_refused():
    same = add.using(job_id="same")
    with pytest.raises(ConfigurationError, match="same"):
        group(same.message(1), same.message(2)).plan("w", "w")


@pytest.mark.parametrize("option", [{"repeat": 3}, {"on_failure": "stop"}])
def test_options_of_workflows_are_checked_where_they_are_said(option):
    with pytest.raises(ConfigurationError, match=next(iter(option))):
        add.using(**option)


def test_what_undoes_a_message_can_refer_to_its_result_alone():
    undo = add.message(add.message(1).result)
    with pytest.raises(ArgumentError, match="as `previous`"):
        workflow(add.using(compensate=undo).message(1)).plan("w", "w")


def test_a_failure_fits_an_annotation_that_names_it():
    @app.task
    def look(found: int | Failure) -> str:
        return type(found).__name__

    failure = {"job_id": "j", "task": "t", "status": "failed", "error": "E"}
    [read], _ = look.signature.read([failure], {})
    assert read == Failure(job_id="j", task="t", status="failed", error="E")


def test_a_description_names_the_tasks_whose_results_are_waited_for():
    one = add.message(1)
    nested = total.message([one.result, add.message(one.result).result])
    with in_memory(app) as harness:
        workflow(nested).enqueue(workflow_id="w")
        said = [job.description for job in harness.jobs]
    prefix = f"{__name__}."
    assert [each.removeprefix(prefix) for each in said] == [
        "add(1)",
        "add(result of add)",
        "total([result of add, result of add])",
    ]


def test_what_looks_like_a_reference_is_described_as_it_is_where_it_is_none():
    with in_memory(app) as harness:
        held.enqueue({"headway:result": "w-1"})
        assert harness.jobs[0].description.endswith("({'headway:result': 'w-1'})")
