"""A worker that is told to stop lets its jobs end, for as long as it may."""

from __future__ import annotations

import os
import re
import signal
from time import monotonic

import pytest
from rq import Callback

from headway.worker import signals
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


def place_of(marks, gate):
    """Return where the job has saved its place last."""
    saved = [line for line in marks.all() if line.startswith(f"saved {gate} at ")]
    return int(saved[-1].split()[-1])


@pytest.mark.parametrize("mode", MODES, ids=["one", "threads", "loop"])
def test_a_job_that_is_broken_off_goes_on_from_where_it_was(
    mode, app, tasks, worker, marks, book
):
    task = tasks.pages_async if "--concurrency" in mode else tasks.pages
    running = worker(*mode, HEADWAY_GRACE="1")
    job = task.enqueue("book")
    marks.until("begin book at 0")
    assert running.stop() == 0
    assert f"job {job.id} is requeued: it was broken off" in running.said
    assert book.waiting() == [job.id]
    assert book.leased() == book.of("wip") == []
    page = place_of(marks, "book")
    assert page > 0
    assert job.info().checkpoint == page
    assert not book.field(job, "headway_crashes")
    worker(*mode)
    marks.until(f"begin book at {page}")
    marks.open("book")
    assert job.result(timeout=5) >= page
    assert job.info().attempt == 1


def test_a_job_that_goes_by_rqs_code_is_broken_off_as_well(
    app, tasks, worker, marks, book, stock
):
    running = worker(HEADWAY_GRACE="1")
    job = stock.enqueue(
        "worker_tasks.pages", "book", on_failure=Callback("worker_tasks.called_back")
    )
    marks.until("begin book at 0")
    assert running.stop() == 0
    assert book.waiting() == [job.id]
    assert place_of(marks, "book") > 0
    assert marks.count("called back") == 0


def test_what_is_broken_off_may_end_well(app, tasks, worker, marks):
    running = worker(HEADWAY_GRACE="1")
    job = tasks.hasty.enqueue("gate")
    marks.until("begin gate")
    assert running.stop() == 0
    assert job.result(timeout=0) == "what there was"


@pytest.mark.parametrize("mode", MODES[:2], ids=["one", "threads"])
def test_a_job_that_does_not_heed_it_is_killed_and_goes_back(
    mode, app, tasks, worker, marks, book
):
    running = worker(*mode, HEADWAY_GRACE="1")
    job = tasks.deaf.enqueue("gate")
    marks.until("begin gate")
    begin = monotonic()
    assert running.stop() == 0
    assert monotonic() - begin < 1 + 2 + 1.5
    assert marks.count("deaf gate") >= 1
    assert book.waiting() == [job.id]
    assert not book.field(job, "headway_crashes")


def test_what_dies_of_being_broken_off_is_not_to_blame(app, tasks, worker, marks, book):
    running = worker(HEADWAY_GRACE="1")
    job = tasks.die_when_interrupted.enqueue("gate")
    marks.until("begin gate")
    assert running.stop() == 0
    assert book.waiting() == [job.id]
    assert not book.field(job, "headway_crashes")


BROKEN_OFF = (
    "it was broken off, and may not run again: .* its worker was stopped before"
)


def assert_it_failed_uncounted(job, book):
    until(lambda: job.status == "failed", "failed")
    assert re.search(BROKEN_OFF, job.info().error or "")
    assert not book.field(job, "headway_crashes")
    assert not book.field(job, "number_of_retries")
    assert book.leased() == book.of("wip") == book.waiting() == []


@pytest.mark.parametrize("mode", MODES, ids=["one", "threads", "loop"])
def test_what_must_not_run_twice_and_is_broken_off_is_failed(
    mode, app, tasks, worker, marks, book
):
    task = tasks.pages_async if "--concurrency" in mode else tasks.pages
    running = worker(*mode, HEADWAY_GRACE="1")
    job = task.using(on_orphan="fail").enqueue("book")
    marks.until("begin book at 0")
    assert running.stop() == 0
    worker(*mode)  # where the first had no time for it
    assert_it_failed_uncounted(job, book)
    assert marks.count("begin book at 0") == 1
    assert job.info().checkpoint == place_of(marks, "book")


@pytest.mark.parametrize("mode", MODES[:2], ids=["one", "threads"])
def test_what_must_not_run_twice_and_is_killed_is_failed(
    mode, app, tasks, worker, marks, book
):
    running = worker(*mode, HEADWAY_GRACE="1")
    job = tasks.deaf.using(on_orphan="fail").enqueue("gate")
    marks.until("begin gate")
    assert running.stop() == 0
    worker(*mode)
    assert_it_failed_uncounted(job, book)
    assert marks.count("begin gate") == 1


def test_what_must_not_run_twice_and_ends_well_is_finished(app, tasks, worker, marks):
    running = worker(HEADWAY_GRACE="1")
    job = tasks.hasty.using(on_orphan="fail").enqueue("gate")
    marks.until("begin gate")
    assert running.stop() == 0
    assert job.result(timeout=0) == "what there was"


def test_a_task_decides_what_becomes_of_what_is_broken_off(
    app, tasks, worker, marks, book
):
    running = worker("--threads", "2", HEADWAY_GRACE="1")
    once, again = (tasks.held_decided.enqueue(word) for word in ("once", "again"))
    for word in ("once", "again"):
        marks.until(f"begin {word}")
    assert running.stop() == 0
    worker("--threads", "2")
    marks.until("begin again", 2)
    marks.open("again")
    assert again.result(timeout=5) == "again"
    assert_it_failed_uncounted(once, book)
    assert not book.field(again, "headway_crashes")
    assert marks.count("begin once") == 1
    assert {marks.count(f"asked of {w}: 0") for w in ("once", "again")} == {1}


def test_what_is_not_decided_when_a_worker_leaves_is_decided_by_the_next(
    app, tasks, worker, marks, book
):
    running = worker(HEADWAY_GRACE="0")
    job = tasks.held_undecided.enqueue("gate")
    marks.until("begin gate")
    begin = monotonic()
    running.send(signal.SIGTERM)
    marks.until("begin fate of gate")
    assert running.end() == 0
    assert monotonic() - begin < 2 + 1 + 1.5
    assert (job.status, book.leased()) == ("started", [job.id])
    worker()
    marks.until("begin fate of gate", 2)
    marks.open("fate of gate")
    assert_it_failed_uncounted(job, book)
    assert marks.count("begin gate") == 1


def test_a_repeated_sigterm_does_not_shorten_the_grace(app, tasks, worker, marks, book):
    running = worker()
    job = tasks.held.enqueue("long")
    marks.until("begin long")
    for _ in range(3):
        # As Heroku does: to each process, and more than once.
        for pid in (running.process.pid, *running.children):
            os.kill(pid, signal.SIGTERM)
        since = monotonic()
        until(lambda since=since: monotonic() - since > 0.6, "some time later")
    assert running.process.poll() is None
    marks.open("long")
    assert running.end() == 0
    assert job.status == "finished"
    assert marks.count("begin long") == 1


def test_a_sigterm_that_comes_as_the_worker_exits_changes_nothing(command):
    script = """
import os, signal
from headway.worker.signals import Signals
with Signals():
    os.kill(os.getpid(), signal.SIGTERM)
os.kill(os.getpid(), signal.SIGTERM)
"""
    assert command("python", "-c", script).returncode == 0


def test_a_sigterm_never_ends_a_worker_that_exits_however_late_it_comes(command):
    script = """
import os, signal
from headway.worker.signals import Signals
with Signals():
    os.kill(os.getpid(), signal.SIGTERM)
parent = os.getpid()
if os.fork() == 0:
    try:
        while os.getppid() == parent:
            os.kill(parent, signal.SIGTERM)
    finally:
        os._exit(0)
"""
    for _ in range(5):
        done = command("python", "-c", script)
        assert done.returncode == 0


def test_who_had_handlers_of_its_own_has_them_again(monkeypatch):
    monkeypatch.setattr(signals, "_EXIT", 0.0)
    heard = []
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append("mine"))
    with signals.Signals():
        os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)
    assert heard == ["mine"]
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("mode", MODES, ids=["one", "threads", "loop"])
def test_ctrl_c_pressed_again_breaks_off_at_once(mode, app, tasks, worker, marks, book):
    running = worker(*mode)
    task = tasks.pages_async if "--concurrency" in mode else tasks.pages
    job = task.enqueue("book")
    marks.until("begin book at 0")
    running.send(signal.SIGINT)
    running.send(signal.SIGINT)  # a pool's child is told twice for one Ctrl-C
    until(lambda: "stopping" in running.said, "stopping")
    since = monotonic()
    until(lambda: monotonic() - since > 1.1, "no longer the same key press")
    assert marks.count("saved") == 0
    assert running.process.poll() is None
    running.send(signal.SIGINT)
    assert running.end(3) == 0
    assert book.waiting() == [job.id]
    assert place_of(marks, "book") > 0


def test_sigquit_dumps_all_stacks_and_goes_on(app, tasks, worker, marks):
    running = worker("--threads", "2")
    job = tasks.held.enqueue("long")
    marks.until("begin long")
    running.send(signal.SIGQUIT)
    until(lambda: "in held" in running.said, "the stack of the job's thread")
    assert "supervisor.py" in running.said
    marks.open("long")
    assert job.result(timeout=5) == "long"
    assert running.stop() == 0
