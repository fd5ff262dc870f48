"""What ends a child costs the jobs that it was running, and nothing else."""

from __future__ import annotations

import os
import signal
from time import monotonic

import pytest

from headway.errors import ConfigurationError
from tests.worker.running import until


@pytest.mark.parametrize("mode", [(), ("--threads", "3")], ids=["one", "threads"])
def test_a_killed_child_costs_only_the_job_that_it_ran(
    mode, app, tasks, worker, marks, book
):
    jobs = app.enqueue_many([tasks.short.message(str(n)) for n in range(200)])
    fatal = tasks.kill.enqueue("fatal")
    jobs += app.enqueue_many([tasks.short.message(str(n)) for n in range(200, 300)])
    running = worker(*mode)
    until(lambda: len(book.of("finished")) == 301, "all finished")
    again = [n for n in range(300) if marks.count(f"run {n}") != 1]
    counted = [job for job in jobs if book.field(job, "headway_crashes")]
    # In threads there are others that run at that moment.
    assert max(len(again), len(counted)) <= (6 if mode else 0)
    assert {marks.count(f"run {n}") for n in again} <= {2}
    assert marks.count("run fatal") == 2
    assert book.field(fatal, "headway_crashes") == "1"
    assert all(book.results(job) == 1 for job in (*jobs, fatal))
    assert book.leased() == []
    assert "killed by signal 9 (SIGKILL)" in running.said
    assert running.stop() == 0


def test_a_job_that_ends_its_child_three_times_is_failed_and_others_run(
    app, tasks, burst, marks, book
):
    fatal = [
        tasks.kill.enqueue("by signal", 9),
        tasks.exit_at_once.enqueue(0),
        tasks.exit_at_once.enqueue(3),
        tasks.exit_at_once.enqueue(75),
        tasks.exit_at_once.enqueue(78),
        tasks.segfault.enqueue(),
    ]
    last = tasks.short.enqueue("last")
    burst()
    assert last.result() == "last"
    assert marks.count("run last") == 1
    assert [marks.count(f"exit {code}") for code in (0, 3, 75, 78)] == [3] * 4
    assert marks.count("segfault") == 3
    said = [job.info().error or "" for job in fatal]
    ends = [
        "killed by signal 9 (SIGKILL)",
        "exited with code 0",
        "exited with code 3",
        "exited with code 75",
        "exited with code 78",
        "killed by signal 11 (SIGSEGV)",
    ]
    assert all("ended 3 times" in text for text in said)
    assert all(end in text for end, text in zip(ends, said, strict=True))
    assert sorted(book.of("failed")) == sorted(job.id for job in fatal)


def test_what_a_job_raises_is_no_crash(app, tasks, burst, book):
    left, memory = tasks.sys_exit.enqueue(), tasks.out_of_memory.enqueue()
    said = burst()
    assert "SystemExit: enough" in left.info().error
    assert "MemoryError" in memory.info().error
    assert "a child of" not in said
    assert not book.field(left, "headway_crashes")


def test_a_crash_spends_no_retry(app, tasks, burst, book):
    job = tasks.kill.enqueue("w", 2)
    burst()
    assert job.result() == "w"
    assert job.info().attempt == 1
    assert not book.field(job, "number_of_retries")


def test_a_child_that_got_a_signal_alone_is_replaced(
    app, tasks, worker, marks, book, store
):
    running = worker()
    tasks.short.enqueue("first")
    marks.until("run first")
    (child,) = running.children
    os.kill(child, signal.SIGTERM)
    until(lambda: running.children not in ([child], []), "another child")
    tasks.short.enqueue("second")
    marks.until("run second")
    assert running.stop() == 0


def test_dependents_of_a_job_that_was_finished_before_the_crash_run_once(
    app, tasks, worker, marks, stock, book
):
    app.enqueue_many([tasks.short.message(str(n)) for n in range(100)])
    parent = stock.enqueue("worker_tasks.short", "parent")
    stock.enqueue("worker_tasks.short", "child", depends_on=parent)
    stock.enqueue("worker_tasks.held", "long")
    running = worker()
    marks.until("begin long")
    os.kill(running.children[0], signal.SIGKILL)
    marks.open("long")
    marks.until("end long")
    marks.until("run child")
    until(lambda: len(book.of("finished")) == 103, "all finished")
    assert marks.count("run parent") == marks.count("run child") == 1


def test_a_waiting_child_of_a_parent_behind_a_long_job_is_not_kept_waiting(
    app, tasks, worker, marks, stock
):
    app.enqueue_many([tasks.short.message(str(n)) for n in range(100)])
    parent = stock.enqueue("worker_tasks.short", "parent")
    stock.enqueue("worker_tasks.held", "long")
    stock.enqueue("worker_tasks.short", "child", depends_on=parent)
    worker("--children", "2")
    marks.until("begin long")
    marks.until("run child", within=3)
    marks.open("long")


def test_a_task_that_must_not_run_twice_is_failed_by_the_first_crash(
    app, tasks, burst, marks, book
):
    job = tasks.once.enqueue("once")
    mild = tasks.once.using(on_orphan="requeue").enqueue("twice")
    strict = tasks.kill.using(on_orphan="fail").enqueue("strict")
    burst()
    assert [marks.count(f"run {word}") for word in ("once", "strict")] == [1, 1]
    for each in (job, strict):
        assert each.status == "failed"
        assert "ended, and it may not run again" in (each.info().error or "")
        assert "killed by signal 9" in (each.info().error or "")
    assert mild.result() == "twice"
    assert book.leased() == book.of("wip") == []


def test_a_task_decides_what_becomes_of_its_orphans(app, tasks, burst, marks, book):
    jobs = [tasks.decided.enqueue(word) for word in ("once", "again", "raises")]
    said = burst()
    assert [job.status for job in jobs] == ["failed", "finished", "finished"]
    assert [marks.count(f"run {w}") for w in ("once", "again", "raises")] == [1, 2, 2]
    assert marks.count("asked of once: 1") == 1
    assert f"on_orphan of job {jobs[2].id} cannot be asked: it goes back" in said
    assert book.leased() == book.of("wip") == []


def test_one_worker_answers_for_a_dead_ones_job_while_its_task_decides(
    app, tasks, worker, marks, book
):
    lost = worker()
    job = tasks.held_undecided.enqueue("gate")
    marks.until("begin gate")
    lost.send(signal.SIGKILL)
    worker()
    marks.until("begin fate of gate")
    since = monotonic()
    until(lambda: monotonic() - since > 2.5, "it was looked for again")
    marks.open("fate of gate")
    until(lambda: job.status == "failed", "failed")
    assert marks.count("begin fate of gate") == 1
    assert book.field(job, "headway_crashes") == "1"


def test_a_function_that_decides_does_not_travel(tasks):
    with pytest.raises(ConfigurationError, match="give it to the task"):
        tasks.short.using(on_orphan=lambda _job: "fail")
    with pytest.raises(ConfigurationError, match="'requeue', 'fail', or a function"):
        tasks.short.using(on_orphan="drop")


@pytest.mark.parametrize("registry", ["failed", "finished"])
def test_an_end_that_rqs_code_cannot_write_is_an_end_all_the_same(
    registry, app, tasks, worker, marks, book, store
):
    store.set(f"rq:{registry}:default", "something else")
    worker("--lease", "3")
    jobs = [
        tasks.fail.enqueue("it fails"),
        tasks.kill.enqueue("by signal", 9),
        tasks.again.enqueue("again"),
        tasks.short.enqueue("short"),
    ]
    until(lambda: all(j.status in ("failed", "finished") for j in jobs), "ended", 40)
    until(lambda: not book.leased(), "none is leased")
    assert marks.count("run short") == 1
