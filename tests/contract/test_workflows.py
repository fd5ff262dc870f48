"""Messages sent as one: what waits for what, and what becomes of it all."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta

import pytest

from headway import Failure, JobStatus, chain, chord, group, previous, workflow
from headway.backend import Capability
from headway.errors import (
    ArgumentError,
    ConfigurationError,
    DuplicateJobError,
    JobFailedError,
    JobNotFoundError,
    JobStateError,
    ResultTimeoutError,
)
from headway.events import JobEnqueued
from headway.workflows import Workflow
from tests.contract.cells import OURS, needs

ENGINES = OURS
HOUR = timedelta(hours=1)


def _statuses(flow) -> list[str]:
    return [str(node.status) for node in flow.tree().nodes.values()]


def _names(flow) -> list[str]:
    nodes = flow.tree().nodes.values()
    return [node.task.rpartition(".")[2] for node in nodes]


# What waits for what


def test_a_chain_hands_each_result_to_the_next(engine):
    add = engine.tasks.add
    flow = chain(add.message(1, 2), add.message(previous, 10), add).enqueue()
    assert flow.status is JobStatus.STARTED
    engine.work()
    assert flow.result(timeout=5) == 14
    assert flow.status is JobStatus.FINISHED


def test_what_waits_is_deferred_until_it_may_run(engine):
    add = engine.tasks.add
    flow = chain(add.message(1, 2), add).enqueue()
    assert _statuses(flow) == ["queued", "deferred"]
    engine.work()
    assert _statuses(flow) == ["finished", "finished"]


def test_a_chord_gathers_the_results_in_the_order_of_its_messages(engine):
    tasks = engine.tasks
    flow = chord(
        [tasks.add.message(number, 0) for number in range(20)],
        tasks.gather.message(previous),
    ).enqueue()
    engine.work()
    assert flow.result(timeout=5) == list(range(20))


def test_a_group_returns_all_results(engine):
    flow = group(*[engine.tasks.add.message(n, 1) for n in range(3)]).enqueue()
    engine.work()
    assert flow.result(timeout=5) == [1, 2, 3]


def test_references_make_any_graph(engine):
    add = engine.tasks.add
    one = add.message(1, 0)
    two, three = add.message(one.result, 1), add.message(one.result, 2)
    flow = workflow(add.message(two.result, three.result)).enqueue()
    assert len(flow.tree().nodes) == 4
    engine.work()
    assert flow.result(timeout=5) == 5


def test_a_reference_may_stand_deep_in_an_argument(engine):
    tasks = engine.tasks
    one = tasks.add.message(1, 1)
    value = {"deep": [one.result, {"er": (one.result, date(2030, 1, 31))}], "x": "é"}
    flow = workflow(tasks.echo.message(value)).enqueue()
    engine.work()
    wanted = {"deep": [2, {"er": [2, "2030-01-31"]}], "x": "é"}
    assert flow.result(timeout=5) == wanted


def test_a_result_comes_back_by_the_annotation_of_who_takes_it(engine):
    tasks = engine.tasks
    moment = tasks.echo_moment.message(engine.app.clock.now())
    flow = workflow(tasks.echo_moment.message(moment.result)).enqueue()
    engine.work()
    assert flow.result(timeout=5).tzinfo is not None


def test_messages_nest(engine):
    tasks = engine.tasks
    add = tasks.add
    flow = chain(
        add.message(1, 0),
        group(
            add.message(previous, 10),
            chain(add.message(previous, 20), add),
            chord(
                [add.message(previous, n) for n in (1, 2)],
                tasks.total.message(previous),
            ),
        ),
        tasks.gather.message(previous),
    ).enqueue()
    engine.work()
    assert flow.result(timeout=5) == [11, 22, 5]


def test_a_step_that_needs_no_result_waits_all_the_same(engine, log):
    order = engine.tasks.order
    chain(order.message("1"), order.message("2"), order.message("3")).enqueue()
    engine.work()
    assert log() == ["1", "2", "3"]


def test_after_is_an_edge_without_a_value(engine, log):
    order = engine.tasks.order
    first = order.message("first")
    flow = workflow(order.using(after=[first]).message("last")).enqueue()
    engine.work()
    assert log() == ["first", "last"]
    assert flow.progress.done == 2


def test_the_same_message_is_one_node_wherever_it_stands(engine, log):
    one = engine.tasks.order.message("once")
    flow = group(one, one).enqueue()
    engine.work()
    assert (log(), flow.result(timeout=5)) == (["once"], [None, None])


def test_a_delay_begins_when_the_others_have_ended(engine, log):
    order = engine.tasks.order
    flow = chain(order.message("now"), order.using(delay=HOUR).message("later"))
    sent = flow.enqueue()
    engine.work()
    engine.work()
    assert (log(), _statuses(sent)) == (["now"], ["finished", "scheduled"])
    engine.pass_time(HOUR + timedelta(seconds=1))
    engine.work()
    assert log() == ["now", "later"]


def test_nodes_run_in_their_own_queues(engine):
    add = engine.tasks.add
    flow = chain(add.message(1), add.using(queue="low").message(previous)).enqueue()
    engine.work()
    assert flow.result(timeout=5) == 3
    queues = [flow.job(node).info().queue for node in flow.tree().nodes.values()]
    assert queues == ["default", "low"]


def test_a_node_is_retried_as_any_job_and_nothing_else_waits_longer(engine):
    tasks = engine.tasks
    flow = chain(tasks.flaky.message("twice"), tasks.add).enqueue()
    engine.work()
    assert flow.result(timeout=5) == 4


def test_a_map_is_a_group_of_one_task(engine):
    flow = engine.tasks.factorial.map([1, 2, 3, 4]).enqueue()
    engine.work()
    assert flow.result(timeout=5) == [1, 2, 6, 24]


def test_a_bounded_map_lets_the_next_go_when_one_has_ended(engine):
    flow = engine.tasks.factorial.map(range(1, 8), limit=3).enqueue()
    assert _statuses(flow) == ["queued"] * 3 + ["deferred"] * 4
    engine.work()
    assert flow.result(timeout=5) == [1, 2, 6, 24, 120, 720, 5040]


def test_a_bounded_group_of_chains_lets_whole_members_go(engine):
    add = engine.tasks.add
    members = [chain(add.message(n), add) for n in range(5)]
    flow = group(*members, limit=2).enqueue()
    assert _statuses(flow).count("queued") == 2
    engine.work()
    assert flow.result(timeout=5) == [2, 3, 4, 5, 6]


def test_a_failure_lets_the_next_of_a_bounded_map_go_where_the_map_goes_on(engine):
    fails = engine.tasks.fail.using(on_failure="continue")
    flow = fails.map(["a", "b", "c"], limit=1).enqueue()
    engine.work()
    assert [each.error for each in flow.result(timeout=5)] == [
        "ValueError: a",
        "ValueError: b",
        "ValueError: c",
    ]


# Failure


def test_a_failure_cancels_what_has_not_begun_and_says_why(engine):
    tasks = engine.tasks
    flow = chain(tasks.fail.message("x"), tasks.add.message(1), tasks.add).enqueue()
    engine.work()
    assert _statuses(flow) == ["failed", "canceled", "canceled"]
    assert flow.status is JobStatus.FAILED
    last = list(flow.tree().nodes.values())[-1]
    assert "sample_tasks.basic.fail" in flow.job(last).info().error
    with pytest.raises(JobFailedError, match=r"basic\.fail .* ValueError: x") as raised:
        flow.result(timeout=5)
    assert "Traceback" in raised.value.traceback


@needs(Capability.QUEUE_ORDER)  # else another may begin before it has failed
def test_a_failure_cancels_what_is_queued_beside_it(engine, log):
    tasks = engine.tasks
    order = tasks.order.using(queue="low")
    flow = group(
        tasks.fail.using(queue="high").message("x"),
        *[order.message(str(n)) for n in range(5)],
    ).enqueue()
    alone = order.enqueue("alone")
    engine.work()
    assert log() == ["alone"]
    assert alone.status is JobStatus.FINISHED
    assert _statuses(flow) == ["failed"] + ["canceled"] * 5


def test_continue_hands_a_failure_on_in_the_place_of_a_result(engine):
    tasks = engine.tasks
    flow = chord(
        [tasks.add.message(1), tasks.fail.using(on_failure="continue").message("x")],
        tasks.tell_failures.message(previous),
    ).enqueue()
    engine.work()
    assert flow.result(timeout=5) == ["2", "sample_tasks.basic.fail: ValueError: x"]
    assert flow.status is JobStatus.FINISHED


def test_a_failure_that_does_not_fit_fails_who_takes_it_naming_the_argument(engine):
    tasks = engine.tasks
    flow = chain(
        tasks.fail.using(on_failure="continue").message("x"), tasks.add
    ).enqueue()
    engine.work()
    with pytest.raises(
        JobFailedError,
        match=r"ArgumentError: .*add\(one=.*It waited for what .*-1 returned",
    ):
        flow.result(timeout=5)


def test_the_result_of_a_group_has_a_failure_where_a_member_failed(engine):
    tasks = engine.tasks
    failing = tasks.fail.using(on_failure="continue").message("x")
    flow = group(tasks.add.message(1), failing).enqueue()
    engine.work()
    well, failed = flow.result(timeout=5)
    assert well == 2
    assert isinstance(failed, Failure)
    assert (failed.status, failed.error) == ("failed", "ValueError: x")


def test_a_node_that_is_canceled_leads_to_what_its_failure_would(engine):
    add = engine.tasks.add
    flow = chain(add.using(queue="low").message(1), add).enqueue()
    assert flow.job(next(iter(flow.tree().nodes))).cancel()
    assert _statuses(flow) == ["canceled", "canceled"]
    assert flow.status is JobStatus.FAILED


def test_a_node_that_is_canceled_holds_up_nobody_who_goes_on(engine):
    tasks = engine.tasks
    one = tasks.add.using(on_failure="continue").message(1)
    flow = chord([one, tasks.add.message(2)], tasks.tell_failures.message(previous))
    sent = flow.enqueue()
    sent.job(next(iter(sent.tree().nodes))).cancel()
    engine.work()
    assert sent.result(timeout=5)[1] == "3"


def test_a_node_that_is_deleted_leads_to_what_its_failure_would(engine):
    add = engine.tasks.add
    flow = chain(add.message(1), add).enqueue()
    flow.job(next(iter(flow.tree().nodes))).delete()
    assert flow.status is JobStatus.FAILED
    with pytest.raises(JobFailedError, match=r"basic\.add .*-1.*: its job was deleted"):
        flow.result(timeout=5)
    assert "failed" in str(flow.tree()).splitlines()[1]
    assert str(flow.tree()).splitlines()[1].endswith("-1): its job was deleted")


def test_a_node_that_is_deleted_is_a_failure_for_those_that_go_on(engine):
    tasks = engine.tasks
    one = tasks.add.using(on_failure="continue").message(1)
    flow = group(one, tasks.add.message(2)).enqueue()
    flow.job(next(iter(flow.tree().nodes))).delete()
    engine.work()
    deleted, well = flow.result(timeout=5)
    assert (deleted.status, deleted.error, well) == ("deleted", "", 3)


def test_a_result_that_is_gone_is_no_failure(engine):
    flow = chain(engine.tasks.add.message(1), engine.tasks.add).enqueue()
    engine.work()
    *_, last = flow.tree().nodes
    flow.job(last).delete()  # as when its time to live is over
    assert flow.status is JobStatus.FINISHED
    with pytest.raises(JobNotFoundError, match=r"finished.* is gone.*result_ttl"):
        flow.result(timeout=5)
    assert _statuses(flow) == ["finished", "finished"]
    assert "its job is gone" in str(flow.tree()).splitlines()[-1]


def test_a_node_that_is_stopped_or_canceled_says_no_more_than_that(engine):
    add = engine.tasks.add
    flow = chain(add.message(1), add).enqueue()
    flow.job(next(iter(flow.tree().nodes))).cancel()
    with pytest.raises(JobFailedError, match=r"add \(job .*-1\) was canceled$"):
        flow.result(timeout=5)


def test_a_node_that_expires_leads_to_what_its_failure_would(engine):
    add = engine.tasks.add
    flow = chain(add.using(expires=timedelta(seconds=1)).message(1), add).enqueue()
    engine.pass_time(timedelta(minutes=1))
    engine.work()
    assert _statuses(flow) == ["failed", "canceled"]


@pytest.mark.parametrize("how", ["retry", "requeue"])
def test_a_node_that_has_expired_runs_when_a_person_wants_it(engine, how):
    add = engine.tasks.add.using(expires=timedelta(seconds=1))
    flow = chain(add.message(1), add).enqueue()
    engine.pass_time(timedelta(minutes=1))
    engine.work()
    assert flow.status is JobStatus.FAILED
    (first, _) = flow.tree().nodes
    flow.retry() if how == "retry" else flow.job(first).requeue()
    engine.work()
    assert flow.result(timeout=5) == 3


# Compensation


def _booked(engine, text: str, **options):
    order = engine.tasks.order
    undo = order.message(f"undo-{text}")
    return order.using(compensate=undo, **options).message(text)


def test_what_has_finished_is_undone_latest_first(engine, log):
    flow = chain(
        _booked(engine, "1"), _booked(engine, "2"), engine.tasks.fail.message("x")
    ).enqueue()
    engine.work()
    assert log() == ["1", "2", "undo-2", "undo-1"]
    assert flow.status is JobStatus.FAILED
    assert flow.tree().has_ended


def test_what_has_failed_is_undone_as_well_and_first(engine, log):
    tasks = engine.tasks
    undo = tasks.order.message("undo-failed")
    flow = chain(
        _booked(engine, "1"), tasks.fail.using(compensate=undo).message("x")
    ).enqueue()
    engine.work()
    assert log() == ["1", "undo-failed", "undo-1"]
    assert flow.tree().has_ended


def test_nothing_is_undone_where_nothing_fails(engine, log):
    flow = chain(_booked(engine, "1"), _booked(engine, "2")).enqueue()
    engine.work()
    assert log() == ["1", "2"]
    assert _names(flow) == ["order", "order"]


def test_what_undoes_a_job_gets_its_result(engine):
    tasks = engine.tasks
    charge = tasks.add.using(compensate=tasks.echo.message(previous)).message(1, 2)
    flow = chain(charge, tasks.fail.message("x")).enqueue()
    engine.work()
    (undone,) = [node for node in flow.tree().nodes.values() if node.undoes]
    assert flow.job(undone).result(timeout=5) == 3


def test_a_tree_says_which_compensation_has_failed_and_why(engine):
    tasks = engine.tasks
    pay = tasks.order.using(compensate=tasks.fail.message("no money"))
    flow = chain(pay.message("1"), tasks.fail.message("x")).enqueue(workflow_id="w")
    engine.work()
    assert str(flow.tree()).splitlines()[-1] == (
        "  sample_tasks.basic.fail failed (w-2), undoes w-1: ValueError: no money"
    )


def test_a_failure_that_others_go_on_after_is_undone_at_once_and_alone(engine, log):
    tasks = engine.tasks
    failing = tasks.fail.using(
        on_failure="continue", compensate=tasks.order.message("undo")
    )
    flow = chain(
        _booked(engine, "1"), failing.message("x"), tasks.order.message("last")
    ).enqueue()
    engine.work()
    assert sorted(log()) == ["1", "last", "undo"]
    assert flow.status is JobStatus.FINISHED


# Fanning out


def test_a_job_fans_out_and_what_waits_for_it_gets_what_the_join_returns(engine):
    tasks = engine.tasks
    flow = chain(tasks.spread.message([1, 2, 3]), tasks.add).enqueue()
    engine.work()
    assert flow.result(timeout=5) == 307
    assert flow.progress.total == 6


def test_without_a_join_it_is_the_list_of_results(engine):
    tasks = engine.tasks
    flow = chain(
        tasks.spread.message([1, 2], gathers=False), tasks.gather.message(previous)
    ).enqueue()
    engine.work()
    assert flow.result(timeout=5) == [101, 102]


def test_what_a_whole_returns_may_come_from_a_fan_out(engine):
    flow = workflow(engine.tasks.spread.message([1, 2])).enqueue()
    engine.work()
    assert flow.result(timeout=5) == 203


def test_a_workflow_is_sent_and_awaited_on_a_loop(engine):
    tasks = engine.tasks

    async def sent():
        return await chain(tasks.add.message(1), tasks.add).enqueue_async()

    flow = asyncio.run(sent())
    with pytest.raises(ResultTimeoutError):
        asyncio.run(flow.result_async(timeout=0))
    engine.work()
    assert asyncio.run(flow.result_async(timeout=5)) == 3


def test_a_fan_out_of_nothing_is_an_empty_list(engine):
    tasks = engine.tasks
    joined = workflow(tasks.spread.message([])).enqueue()
    listed = chain(
        tasks.spread.message([], gathers=False), tasks.gather.message(previous)
    ).enqueue()
    engine.work()
    assert (joined.result(timeout=5), listed.result(timeout=5)) == (0, [])


def test_a_job_that_raises_after_it_has_asked_sends_nothing(engine, log):
    flow = workflow(engine.tasks.spread_at_last.message([1, 2])).enqueue()
    engine.work()
    assert sorted(log()) == ["1", "2"]
    assert flow.progress.total == 3


def test_a_fan_out_may_stand_in_a_bounded_group(engine):
    spread = engine.tasks.spread
    flow = group(*[spread.message([n, n]) for n in range(3)], limit=1).enqueue()
    engine.work()
    assert flow.result(timeout=5) == [200, 202, 204]


def test_a_job_of_no_workflow_cannot_fan_out(engine):
    job = engine.tasks.spread.enqueue([1])
    engine.work()
    with pytest.raises(JobFailedError, match="fan_out"):
        job.result(timeout=5)


# The whole


def test_a_whole_is_canceled_and_what_has_finished_is_undone(engine, log):
    order = engine.tasks.order
    flow = chain(
        _booked(engine, "1"), order.using(delay=HOUR).message("2"), order.message("3")
    ).enqueue()
    engine.work()
    assert flow.cancel()
    engine.work()
    assert log() == ["1", "undo-1"]
    assert flow.status is JobStatus.CANCELED
    assert not flow.cancel()
    with pytest.raises(JobFailedError, match="was canceled"):
        flow.result(timeout=5)


def test_a_retry_runs_what_has_failed_and_keeps_what_has_finished(
    engine, log, tmp_path
):
    tasks, path = engine.tasks, tmp_path / "there"
    flow = chain(
        tasks.order.message("once"), tasks.mend.message(str(path)), tasks.echo
    ).enqueue()
    engine.work()
    assert _statuses(flow) == ["finished", "failed", "canceled"]
    path.touch()
    flow.retry()
    assert flow.status is JobStatus.STARTED
    engine.work()
    assert flow.result(timeout=5) == str(path)
    assert log() == ["once"]


def test_a_retry_runs_again_what_was_undone(engine, log, tmp_path):
    tasks, path = engine.tasks, tmp_path / "there"
    flow = chain(_booked(engine, "book"), tasks.mend.message(str(path))).enqueue()
    engine.work()
    path.touch()
    flow.retry()
    engine.work()
    assert log() == ["book", "undo-book", "book"]
    assert flow.status is JobStatus.FINISHED


def test_to_requeue_a_node_is_to_retry_its_workflow(engine, tmp_path):
    tasks, path = engine.tasks, tmp_path / "there"
    flow = chain(tasks.mend.message(str(path)), tasks.echo).enqueue()
    engine.work()
    path.touch()
    flow.job(next(iter(flow.tree().nodes))).requeue()
    engine.work()
    assert flow.result(timeout=5) == str(path)


def _mended(engine, path, then) -> Workflow:
    tasks = engine.tasks
    mended = tasks.mend.using(on_failure="continue").message(str(path))
    flow = chord([tasks.order.message("once"), mended], then).enqueue()
    engine.work()
    path.touch()
    return flow


def test_a_retry_runs_again_what_was_given_a_failure(engine, log, tmp_path):
    flow = _mended(engine, tmp_path / "there", engine.tasks.echo.message(previous))
    assert flow.status is JobStatus.FINISHED
    assert flow.result(timeout=5)[1]["status"] == "failed"
    flow.retry()
    assert flow.status is JobStatus.STARTED
    engine.work()
    assert flow.result(timeout=5) == [None, str(tmp_path / "there")]
    assert log() == ["once"]
    with pytest.raises(JobStateError, match="nothing of it has failed"):
        flow.retry()


def test_to_requeue_a_node_that_others_went_on_after_is_to_retry_it(engine, tmp_path):
    flow = _mended(engine, tmp_path / "there", engine.tasks.echo.message(previous))
    _, failed, _ = flow.tree().nodes
    flow.job(failed).requeue()
    engine.work()
    assert flow.result(timeout=5) == [None, str(tmp_path / "there")]


def test_what_runs_again_behind_a_failure_can_be_undone_again(engine, log, tmp_path):
    tasks = engine.tasks
    booked = tasks.order.using(compensate=tasks.order.message("undo"))
    flow = chain(
        tasks.mend.using(on_failure="continue").message(str(tmp_path / "there")),
        booked.message("book"),
        tasks.fail.using(on_failure="continue").message("x"),
        tasks.tell_failures.message([previous]),
    ).enqueue()
    engine.work()
    assert (log(), flow.status) == (["book"], JobStatus.FINISHED)
    (tmp_path / "there").touch()
    flow.retry()
    engine.work()
    assert (log(), flow.status) == (["book", "book"], JobStatus.FINISHED)
    flow.retry()
    *_, last = flow.tree().nodes
    flow.job(last).cancel()
    engine.work()
    assert (log(), flow.status) == (["book", "book", "undo"], JobStatus.FAILED)


def test_what_was_to_run_again_and_is_canceled_is_undone_of_its_first_run(
    engine, log, tmp_path
):
    tasks = engine.tasks
    booked = tasks.order.using(compensate=tasks.order.message("undo"))
    failing = tasks.mend.using(on_failure="continue").message(str(tmp_path / "no"))
    flow = chain(failing, booked.message("book")).enqueue()
    engine.work()
    flow.retry()
    flow.cancel()
    engine.work()
    assert (log(), flow.status) == (["book", "undo"], JobStatus.CANCELED)


def test_what_has_fanned_out_behind_a_failure_is_not_retried(engine, tmp_path):
    tasks = engine.tasks
    flow = chain(
        tasks.mend.using(on_failure="continue").message(str(tmp_path / "there")),
        tasks.spread.using(after=[]).message([1, 2]),
    ).enqueue()
    engine.work()
    assert flow.result(timeout=5) == 203
    with pytest.raises(JobStateError, match=r"has fanned out: send it anew"):
        flow.retry()


def test_a_node_is_not_requeued_before_its_workflow_has_ended(engine):
    tasks = engine.tasks
    failing = tasks.fail.using(on_failure="continue").message("x")
    later = tasks.add.using(delay=HOUR).message(1)
    flow = group(failing, later).enqueue()
    engine.work()
    with pytest.raises(JobStateError, match="has not ended: retry it when it has"):
        flow.job(next(iter(flow.tree().nodes))).requeue()


def test_a_bounded_map_is_retried_within_its_limit(engine, tmp_path):
    paths = [str(tmp_path / str(n)) for n in range(4)]
    flow = engine.tasks.mend.map(paths, limit=2).enqueue()
    engine.work()
    for path in paths:
        (tmp_path / path).touch()
    flow.retry()
    assert _statuses(flow).count("queued") == 2
    engine.work()
    assert flow.result(timeout=5) == paths


def test_what_has_not_failed_is_not_retried(engine):
    flow = workflow(engine.tasks.add.message(1)).enqueue()
    with pytest.raises(JobStateError, match="has not ended"):
        flow.retry()
    engine.work()
    with pytest.raises(JobStateError, match="has finished"):
        flow.retry()


def test_the_nodes_of_a_fan_out_leave_the_others_in_their_order(engine):
    add = engine.tasks.add
    flow = chain(engine.tasks.spread.message([1, 2]), *[add] * 5).enqueue()
    order = list(flow.tree().nodes)
    engine.work()
    assert list(flow.tree().nodes)[:6] == order


def test_progress_counts_nodes(engine):
    add = engine.tasks.add
    flow = chain(add.message(1), add.using(delay=HOUR).message(previous)).enqueue()
    engine.work()
    assert (flow.progress.done, flow.progress.total) == (1, 2)


def test_a_tree_shows_who_waits_for_whom(engine):
    add = engine.tasks.add
    one = add.message(1)
    flow = workflow(
        add.message(add.message(one.result).result, add.message(one.result).result)
    ).enqueue()
    first, left, right, last = flow.tree().nodes.values()
    assert first.children == (left.id, right.id)
    assert last.parents == (left.id, right.id)
    drawn = str(flow.tree()).splitlines()
    assert [len(line) - len(line.lstrip()) for line in drawn] == [0, 2, 4, 4, 6]


def test_a_workflow_is_found_again_by_its_id(engine):
    add = engine.tasks.add
    sent = chain(add.message(1), add).enqueue(workflow_id="mine")
    engine.work()
    assert engine.app.workflow("mine").result(timeout=5) == 3
    assert engine.app.workflow("mine") == sent
    with pytest.raises(JobNotFoundError, match="other"):
        _ = engine.app.workflow("other").status


def test_a_workflow_that_is_sent_twice_is_there_once(engine, log):
    flow = workflow(engine.tasks.order.message("x"))
    one, other = [flow.enqueue(workflow_id="mine") for _ in range(2)]
    assert (one.duplicate, other.duplicate) == (False, True)
    assert one == other
    engine.work()
    assert log() == ["x"]


def test_only_what_is_sent_is_told_of(engine):
    told: list[str] = []
    engine.app.subscribe(lambda event: told.append(event.job_id), JobEnqueued)
    for _ in range(2):
        chain(engine.tasks.add.message(1), engine.tasks.add).enqueue(workflow_id="mine")
    assert told == ["mine-1", "mine-2"]


def test_a_job_in_the_way_refuses_the_whole(engine, log):
    order = engine.tasks.order
    order.using(job_id="there").enqueue("alone")
    flow = chain(order.message("1"), order.using(job_id="there").message("2"))
    with pytest.raises(DuplicateJobError, match="there"):
        flow.enqueue(workflow_id="mine")
    engine.work()
    assert log() == ["alone"]


def test_one_that_has_not_ended_has_no_result_yet(engine):
    flow = workflow(engine.tasks.add.message(1)).enqueue()
    with pytest.raises(ResultTimeoutError, match="started"):
        flow.result(timeout=0)


@pytest.mark.parametrize("unfit", [{"unique": True}, {"delay": HOUR, "repeat": None}])
def test_what_cannot_be_part_of_a_workflow_is_refused(engine, unfit):
    message = engine.tasks.order.using(**unfit).message("x")
    if unfit.get("unique"):
        with pytest.raises(ConfigurationError, match="unique"):
            workflow(message).enqueue()
    else:
        assert workflow(message).enqueue()


def test_a_message_that_waits_for_another_cannot_be_sent_alone(engine):
    add = engine.tasks.add
    with pytest.raises(ArgumentError, match=r"workflow\(message\)"):
        engine.app.enqueue_many([add.message(add.message(1).result)])
    with pytest.raises(ArgumentError, match="nothing comes before"):
        chain(add.message(previous)).enqueue()


# Lists


def test_workflows_are_listed_by_what_has_become_of_them(engine):
    tasks = engine.tasks
    chain(tasks.add.message(1), tasks.add).enqueue(workflow_id="goes-well")
    chain(tasks.fail.message("so"), tasks.order.message("x")).enqueue(workflow_id="bad")
    opened = {line.id: line for line in engine.app.workflows()}
    assert opened.keys() == {"goes-well", "bad"}
    line = opened["goes-well"]
    assert (line.status, line.progress.done, line.progress.total) == ("started", 0, 2)
    assert line.task.endswith(".add")
    assert line.created_at is not None
    engine.work()
    assert engine.app.workflows() == []
    [finished] = engine.app.workflows("finished")
    assert (finished.id, finished.progress.fraction) == ("goes-well", 1)
    [bad] = engine.app.workflows("failed")
    assert bad.failed is not None
    assert (bad.failed.task, bad.failed.error) == (tasks.fail.name, "ValueError: so")
    assert bad.ended_at is not None
    assert bad.ended_at >= bad.created_at
    tree = engine.app.workflow("bad").tree()
    assert (tree.created_at, tree.ended_at) == (bad.created_at, bad.ended_at)


def test_a_workflow_that_is_retried_is_open_again(engine):
    order = engine.tasks.order
    flow = chain(order.message("1"), order.message("2")).enqueue()
    flow.cancel()
    assert [line.status for line in engine.app.workflows("failed")] == ["canceled"]
    flow.retry()
    assert engine.app.workflows("failed") == []
    assert [line.id for line in engine.app.workflows()] == [flow.id]


def test_the_newest_workflows_are_listed_first_and_no_more_than_asked_for(engine):
    for number in range(4):
        workflow(engine.tasks.add.message(1)).enqueue(workflow_id=f"n{number}")
    assert [line.id for line in engine.app.workflows(limit=3)] == ["n3", "n2", "n1"]
    with pytest.raises(ConfigurationError, match="open, failed, finished"):
        engine.app.workflows("done")


def test_what_nodes_have_asked_for_is_counted(engine):
    flow = workflow(engine.tasks.spread.message([1, 2, 3])).enqueue()
    engine.work()
    [line] = engine.app.workflows("finished")
    assert line.progress == flow.progress


def test_a_job_names_its_workflow(engine):
    add = engine.tasks.add
    flow = workflow(add.message(1)).enqueue()
    [node] = flow.tree().nodes
    assert engine.app.job(node).info().workflow == flow.id
    assert add.enqueue(1, 2).info().workflow is None


def test_the_tree_tells_the_attempt_of_each_node(engine):
    flow = workflow(engine.tasks.flaky.message("twice")).enqueue()
    [before] = flow.tree().nodes.values()
    engine.work()
    [node] = flow.tree().nodes.values()
    assert (before.attempt, node.attempt) == (0, 3)


def test_a_chain_of_any_length_is_drawn(engine):
    add = engine.tasks.add
    flow = chain(add.message(1), *[add] * 1500).enqueue()
    assert len(str(flow.tree()).splitlines()) == 1502
