"""A worker that is told to stop lets its jobs end, for as long as it may."""

from __future__ import annotations

import os
import signal
from time import monotonic

import pytest

from tests.worker.running import until

MODES = [(), ("--threads", "3"), ("--concurrency", "3")]


def test_an_idle_worker_stops_at_once(app, tasks, worker, marks):
    running = worker("--children", "2")
    tasks.short.enqueue("ready")
    marks.until("run ready")
    begin = monotonic()
    assert running.stop() == 0
    assert monotonic() - begin < 1.5


@pytest.mark.parametrize(
    ("number", "mode"),
    [(signal.SIGTERM, mode) for mode in MODES] + [(signal.SIGINT, ())],
    ids=["one", "threads", "loop", "Ctrl-C"],
)
def test_a_running_job_ends_and_the_next_one_is_left(
    mode, number, app, tasks, worker, marks, book
):
    running = worker(*mode)
    task = tasks.held_async if "--concurrency" in mode else tasks.held
    job = task.enqueue("long")
    marks.until("begin long")
    os.killpg(running.process.pid, number)  # as Ctrl-C does: the whole group
    until(lambda: "stopping" in running.said, "stopping")
    left = tasks.short.enqueue("left")
    marks.open("long")
    assert running.end() == 0
    assert job.status == "finished"
    assert book.waiting() == [left.id]
    assert marks.count("begin long") == 1


@pytest.mark.parametrize("mode", MODES, ids=["one", "threads", "loop"])
def test_what_is_longer_than_the_grace_goes_back_uncounted(
    mode, app, tasks, worker, marks, book
):
    app.enqueue_many([tasks.short.message(str(n)) for n in range(50)])
    task = tasks.held_async if "--concurrency" in mode else tasks.held
    running = worker(*mode, HEADWAY_GRACE="1")
    job = task.enqueue("long")
    marks.until("begin long")
    begin = monotonic()
    assert running.stop() == 0
    assert 0.9 < monotonic() - begin < 3
    assert book.waiting() == [job.id]
    assert not book.field(job, "headway_crashes")
    assert job.status == "queued"
    assert book.leased() == book.of("wip") == []
    assert [marks.count(f"run {n}") for n in range(50)] == [1] * 50


def test_a_second_signal_ends_it_now(app, tasks, worker, marks, book):
    running = worker()
    job = tasks.held.enqueue("long")
    marks.until("begin long")
    running.send(signal.SIGTERM)
    until(lambda: "stopping" in running.said, "stopping")
    since = monotonic()
    until(lambda: monotonic() - since > 1.1, "no longer the same key press")
    running.send(signal.SIGTERM)
    assert running.end(3) == 0
    assert book.waiting() == [job.id]
    assert not book.field(job, "headway_crashes")
