"""Whatever ends a worker, at whichever moment: each join fires once, and none never."""

from __future__ import annotations

import os
import random
import signal
from contextlib import suppress
from datetime import timedelta

import pytest
from redis import Redis

from headway import JobStatus, chain, chord, group, previous, workflow
from headway.errors import JobFailedError
from headway.wire import keys
from headway.worker.plan import CRASH_LIMIT
from tests.worker.running import until

MANY = 60


def _ended(flow) -> bool:
    return flow.tree().has_ended


def _crashes(book, flow, node) -> int:
    return int(book.field(flow.job(node), "headway_crashes") or 0)


def test_children_that_are_killed_at_random_make_no_join_fire_twice_or_never(
    tasks, worker, marks, book
):
    dice = random.Random(7)
    flows = [
        chord(
            [tasks.part.message(number) for number in range(MANY)],
            tasks.join.message(f"join {place}", previous),
        ).enqueue()
        for place in range(6)
    ]
    nodes = [(flow, node) for flow in flows for node in flow.tree().nodes]

    def one_more_would_bury() -> bool:
        return any(
            _crashes(book, flow, node) == CRASH_LIMIT - 1
            and not flow.job(node).status.is_final
            for flow, node in nodes
        )

    running = worker("--children", "2")
    kills = 0
    while not all(map(_ended, flows)):
        with suppress(ProcessLookupError, IndexError):
            os.kill(dice.choice(running.children), signal.SIGKILL)
            kills += 1
        done = len(marks.all())
        until(lambda: len(marks.all()) > done or all(map(_ended, flows)), "work")  # noqa: B023 - it is called here
        until(lambda: not one_more_would_bury(), "those struck twice have ended")
    assert kills
    for place, flow in enumerate(flows):
        assert flow.result(timeout=5) == sum(range(MANY))
        *_, join = flow.tree().nodes
        runs = marks.count(f"run join {place}")
        assert runs - 1 <= _crashes(book, flow, join), "once, but for what was struck"
        assert book.results(flow.job(join)) == 1


def test_a_worker_that_is_killed_behind_a_node_has_let_go_what_waits(
    tasks, worker, marks
):
    flow = chain(tasks.short.message("first"), tasks.short.message("last")).enqueue()
    tasks.held.enqueue("gate")
    running = worker()
    marks.until("begin gate")
    os.kill(running.children[0], signal.SIGKILL)  # the first is noted, no more
    marks.open("gate")
    marks.until("run last")
    until(lambda: _ended(flow), "all ended")
    assert marks.count("run first") == marks.count("run last") == 1


def test_a_host_that_is_gone_costs_a_node_one_more_run(tasks, worker, marks, book):
    flow = chain(
        tasks.held.message("gate"), tasks.join.message("join", [1, 2])
    ).enqueue()
    lost = worker("--lease", "3")
    marks.until("begin gate")
    for pid in [lost.process.pid, *lost.children]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    marks.open("gate")
    worker("--lease", "3")
    until(lambda: _ended(flow), "all ended")
    assert flow.result(timeout=5) == 3
    assert (marks.count("begin gate"), marks.count("run join")) == (2, 1)


def test_a_node_that_ends_its_worker_three_times_fails_its_workflow(tasks, burst):
    flow = chord(
        [tasks.short.message("beside"), tasks.exit_at_once.message(3)],
        tasks.join.message("join", previous),
    ).enqueue()
    burst()
    assert flow.status is JobStatus.FAILED
    assert _ended(flow)
    with pytest.raises(JobFailedError, match="ended 3 times"):
        flow.result(timeout=5)


def test_a_node_that_is_stopped_fails_its_workflow(tasks, worker, marks):
    flow = chain(tasks.held.message("gate"), tasks.short.message("last")).enqueue()
    worker()
    marks.until("begin gate")
    first, last = flow.tree().nodes
    assert flow.job(first).cancel()
    until(lambda: _ended(flow), "all ended")
    statuses = [flow.job(each).status for each in (first, last)]
    assert statuses == ["stopped", "canceled"]


def test_to_cancel_the_whole_stops_what_runs(tasks, worker, marks):
    flow = chain(tasks.held.message("gate"), tasks.short.message("last")).enqueue()
    worker()
    marks.until("begin gate")
    assert flow.cancel()
    until(lambda: _ended(flow), "all ended")
    assert flow.status is JobStatus.CANCELED
    assert marks.count("run last") == 0


def test_a_node_that_takes_too_long_fails_its_workflow(tasks, burst):
    nap = tasks.nap.using(timeout=timedelta(seconds=1))
    flow = chain(nap.message(30), tasks.short.message("last")).enqueue()
    burst()
    assert [node.status for node in flow.tree().nodes.values()] == [
        "failed",
        "canceled",
    ]


def test_a_fan_out_before_a_crash_is_sent_once(tasks, burst, marks, folder):
    """Killed when its children are written, and its own end is not."""
    (folder / "kill-behind-spread").touch()
    flow = chain(
        tasks.spread.message(3), tasks.join.message("join", previous)
    ).enqueue()
    burst()
    assert flow.result(timeout=5) == 3
    assert marks.count("run spread") == 2
    assert [marks.count(f"run part {n}") for n in range(3)] == [1, 1, 1]
    assert marks.count("run join") == 1


def test_nodes_may_run_by_rqs_own_worker(tasks, command, worker, store):
    failing = tasks.fail.using(on_failure="continue")
    flow = chain(
        group(tasks.short.message("one"), failing.message("x")),
        tasks.how_many.message(previous),
        tasks.short.message("last"),
    ).enqueue()
    url = store.connection_pool.connection_kwargs
    address = f"redis://{url['host']}:{url['port']}"
    stock = ("rq", "worker", "default", "--url", address, "-S", "json", "--burst")
    assert command(*stock).returncode == 0
    worker()  # what has failed in a worker of RQ's own, ours find
    until(lambda: _ended(flow), "all ended")
    assert flow.status is JobStatus.FINISHED


def test_who_deletes_a_node_behind_our_back_makes_nobody_wait_for_ever(
    tasks, worker, store: Redis, marks
):
    flow = workflow(
        tasks.join.using(after=[tasks.short.using(queue="one").message("a")]).message(
            "join", [1]
        )
    ).enqueue()
    store.delete(keys.job(next(iter(flow.tree().nodes))), "rq:queue:one")
    worker("default")
    until(lambda: _ended(flow), "all ended")
    assert flow.status is JobStatus.FAILED


def test_a_job_of_rqs_own_may_wait_for_a_node(tasks, worker, stock, marks):
    flow = chain(tasks.short.message("node"), tasks.short.message("last")).enqueue()
    node = stock.fetch_job(next(iter(flow.tree().nodes)))
    stock.enqueue("worker_tasks.short", "dependent", depends_on=node)
    worker()
    marks.until("run dependent")
    until(lambda: _ended(flow), "all ended")
    assert marks.count("run dependent") == marks.count("run last") == 1
