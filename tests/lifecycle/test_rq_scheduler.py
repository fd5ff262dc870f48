"""RQ's own scheduler beside ours, all as processes: each job is sent once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psutil
import pytest
from rq import Queue, Repeat, Retry
from rq.serializers import JSONSerializer

from headway.wire import keys

DEADLINE = 30
OURS = ("headway", "worker", "--with-scheduler", "--children", "1", "default")
STOCK = ("rq", "worker", "--with-scheduler", "-S", "json", "default")
HOLDER = b"headway:scheduler"


@pytest.fixture
def until() -> Callable[..., None]:
    def wait(holds: Callable[[], object], what: str, within: float = DEADLINE) -> None:
        deadline, pause = time.monotonic() + within, threading.Event()
        while not holds():
            assert time.monotonic() < deadline, f"not within {within} s: {what}"
            pause.wait(0.02)

    return wait


@pytest.fixture
def log(tmp_path, environment) -> Callable[[], list[str]]:
    path = tmp_path / "log"
    path.touch()
    environment["SAMPLE_LOG"] = str(path)
    return lambda: path.read_text().split()


@pytest.fixture
def queue(store) -> Queue:
    return Queue("default", connection=store, serializer=JSONSerializer)


@pytest.fixture
def begin(start, store, until):
    """Start one of the two, and return once the queue's lock is taken."""

    def started(command: tuple[str, ...]):
        url = "redis://{host}:{port}".format(**store.connection_pool.connection_kwargs)
        rest = ("-u", url) if command[0] == "rq" else ()
        process = start(*command, *rest)
        until(lambda: store.exists(keys.scheduler_lock("default")), "the lock is taken")
        return process

    return started


def _send(queue: Queue) -> Counter[str]:
    """Send jobs of each kind that stock code schedules; return how often each runs."""
    order, second = "sample_tasks.basic.order", timedelta(seconds=1)
    queue.enqueue_in(second, order, "in")
    queue.enqueue_at(datetime.now(UTC) + second, order, "at")
    queue.enqueue("sample_tasks.basic.order_in_vain", "retry", retry=Retry(2, [1, 1]))
    queue.enqueue(order, "repeat", repeat=Repeat(times=2, interval=1))
    return Counter({"in": 1, "at": 1, "retry": 3, "repeat": 3})


def _lock(store) -> bytes | None:
    return store.get(keys.scheduler_lock("default"))


@pytest.mark.parametrize("order", [(OURS, STOCK), (STOCK, OURS)], ids=["ours", "stock"])
def test_both_are_there_and_each_job_runs_once(begin, queue, store, log, until, order):
    for command in order:
        begin(command)
    expected = _send(queue)
    until(lambda: Counter(log()) >= expected, "all have run")
    assert (_lock(store) == HOLDER) == (order[0] is OURS)
    until(lambda: not store.zcard(keys.scheduled("default")), "none is left")
    assert Counter(log()) == expected


def test_ours_takes_over_from_one_that_stops(begin, queue, store, log, until):
    stock = begin(STOCK)
    begin(OURS)
    expected = _send(queue)
    stock.send_signal(signal.SIGTERM)
    until(lambda: _lock(store) == HOLDER, "ours has taken over")
    until(lambda: Counter(log()) >= expected, "all have run")
    assert Counter(log()) == expected


def test_ours_takes_over_from_one_that_was_killed(begin, queue, store, log, until):
    stock = begin(STOCK)
    begin(OURS)
    until(lambda: store.keys("rq:scheduler:*"), "its scheduler says who it is")
    lives = [psutil.Process(stock.pid)]
    lives += lives[0].children(recursive=True)
    os.killpg(stock.pid, signal.SIGKILL)  # with its scheduler
    # That has the worker's connection, too: Redis may give it a job until it is gone.
    assert not psutil.wait_procs(lives, DEADLINE)[1]
    key = keys.scheduler_lock("default")
    expected = _send(queue)
    held = store.pttl(key)
    assert held > 50_000
    store.pexpire(key, held - 10_000)  # as if it had been silent for that long
    until(lambda: _lock(store) == HOLDER, "ours has taken over", within=10)
    until(lambda: Counter(log()) >= expected, "all have run")
    assert Counter(log()) == expected
