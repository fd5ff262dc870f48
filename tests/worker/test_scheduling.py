"""The scheduler that a worker has beside its children."""

from __future__ import annotations

import os
import re
import signal
from datetime import timedelta

import psutil
import pytest

from headway.wire import keys
from tests.worker.running import Worker, until

WITH = ("--with-scheduler", "high", "default")
RQ = ("rq", "worker", "-w", "headway.Worker", *WITH)


def begin(worker, start, environment, kind) -> Worker:
    """Start one of the commands that make a worker with a scheduler."""
    if kind == "headway":
        return worker(*WITH)
    return Worker(start(*RQ, "--url", environment["REDIS_URL"]))


def schedulers(running: Worker) -> list[int]:
    """Return the processes of its schedulers, first to last."""
    found = re.findall(r"scheduler started: .*; process (\d+)", running.said)
    return [int(pid) for pid in found]


def scheduler_of(running: Worker, count: int = 1) -> int:
    until(lambda: len(schedulers(running)) >= count, "a scheduler")
    return schedulers(running)[-1]


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def ticks(app) -> list[object]:
    timetable = app.backend().timetable
    return [tick for tick in timetable.history("tick", 500) if tick.job_id]


@pytest.mark.parametrize("kind", ["headway", "rq"])
def test_it_sends_what_is_declared_and_leaves_with_its_worker(
    kind, app, worker, start, environment, marks, store
):
    running = begin(worker, start, environment, kind)
    until(lambda: marks.count("run t") > 1, "two ticks")
    pid = scheduler_of(running)
    assert pid in running.children
    assert store.exists(keys.SCHEDULES_LEADER)
    running.send(signal.SIGTERM)
    assert running.end() == 0
    until(lambda: is_gone(pid), "its end")
    assert not store.exists(keys.SCHEDULES_LEADER)  # another may lead at once
    running.close()


def test_it_dies_with_its_worker_and_shares_none_of_its_connections(app, worker, marks):
    running = worker(*WITH)
    pid = scheduler_of(running)
    until(lambda: marks.count("run t"), "a tick")
    assert not _sockets(pid) & _sockets(running.process.pid)
    running.send(signal.SIGKILL)
    until(lambda: is_gone(pid), "its end")


def _sockets(pid: int) -> set[object]:
    """Return the connections of a process, by their ends."""
    found = psutil.Process(pid).net_connections(kind="inet")
    assert found
    return {each.laddr for each in found}


def test_another_follows_one_that_is_killed_and_no_tick_is_lost(app, worker):
    running = worker(*WITH)
    until(lambda: ticks(app), "a tick")
    for count in (1, 2):
        os.kill(scheduler_of(running, count), signal.SIGKILL)
        seen = len(ticks(app))
        until(lambda seen=seen: len(ticks(app)) > seen + 2, "more ticks")
    dues = [tick.due for tick in reversed(ticks(app))]
    second = timedelta(seconds=1)
    assert dues == [dues[0] + n * second for n in range(len(dues))]
    assert "the scheduler of this worker ended (signal 9)" in running.said


def test_a_worker_whose_scheduler_stands_still_is_replaced_by_another(app, worker):
    frozen, other = worker(*WITH), worker(*WITH)
    until(lambda: len(ticks(app)) > 1, "two ticks")
    leads = [w for w in (frozen, other) if "this scheduler leads" in w.said]
    pid = scheduler_of(leads[0])
    os.kill(pid, signal.SIGSTOP)
    seen = len(ticks(app))
    until(lambda: len(ticks(app)) > seen + 2, "ticks of the other")
    os.kill(pid, signal.SIGCONT)
    seen = len(ticks(app))
    until(lambda: len(ticks(app)) > seen + 2, "ticks of both")
    dues = [tick.due for tick in ticks(app)]
    assert len(dues) == len(set(dues))
    assert (max(dues) - min(dues)).total_seconds() == len(dues) - 1
