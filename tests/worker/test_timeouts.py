"""A job's time ends it, whatever it does."""

from __future__ import annotations

from datetime import timedelta
from time import monotonic

import pytest
from rq import Retry

from headway.errors import JobFailedError
from tests.worker.running import until

MODES = [(), ("--threads", "3"), ("--concurrency", "3")]


@pytest.mark.parametrize("mode", MODES, ids=["one", "threads", "loop"])
def test_loops_in_python_and_in_c_are_ended_in_time(mode, app, tasks, worker, marks):
    worker(*mode)
    tasks.short.enqueue("ready")
    marks.until("run ready")
    loops = [tasks.loop_async if "--concurrency" in mode else tasks.loop_in_python]
    loops += [tasks.loop_in_c]
    if "--concurrency" not in mode:
        loops += [tasks.swallow, tasks.swallow_all]
    for loop in loops:
        job, begin = loop.enqueue(), monotonic()
        with pytest.raises(JobFailedError, match="TaskTimeoutError"):
            job.result(timeout=10)
        assert monotonic() - begin < 1 + 2 + 1.5  # and what it takes to begin, and see
    after = tasks.short.enqueue("after")
    assert after.result(timeout=10) == "after"
    for line in ("swallowed", "swallowed all"):
        assert marks.count(line) or "--concurrency" in mode


def test_a_job_that_was_ended_for_its_time_follows_its_rule(app, tasks, burst):
    job = tasks.loop_in_c_once.enqueue()
    burst()
    assert job.result() == "second"
    assert job.info().attempt == 2
    assert "TaskTimeoutError" in job.info().errors[0]


def test_what_must_not_run_twice_is_failed_by_a_neighbour_that_is_ended(
    app, tasks, worker, marks, book
):
    worker("--threads", "3")
    mild, strict = tasks.held.enqueue("mild"), tasks.held.using(on_orphan="fail")
    once = strict.enqueue("strict")
    for word in ("mild", "strict"):
        marks.until(f"begin {word}")
    late = tasks.loop_in_c.enqueue()
    marks.until("begin mild", 2)
    until(lambda: {once.status, late.status} == {"failed"}, "both failed")
    assert "because of another job: Task exceeded" in (once.info().error or "")
    assert "TaskTimeoutError" in (late.info().error or "")
    marks.open("mild")
    assert mild.result(timeout=5) == "mild"
    assert marks.count("begin strict") == 1
    assert not any(book.field(each, "headway_crashes") for each in (mild, once, late))


def test_a_job_that_was_ended_for_its_time_gives_its_unique_key_back(
    app, tasks, burst, store
):
    job = tasks.loop_in_c.using(unique="once").enqueue()
    assert store.exists("headway:unique:once")
    burst()
    assert job.status == "failed"
    assert not store.exists("headway:unique:once")


def test_c_code_of_a_job_with_rqs_own_retry_is_ended_in_time_as_well(
    app, tasks, worker, marks, stock
):
    worker()
    tasks.short.enqueue("ready")
    marks.until("run ready")
    job, begin = stock.enqueue("worker_tasks.loop_in_c", retry=Retry(1)), monotonic()
    job.timeout = 1
    job.save()
    until(lambda: app.job(job.id).status == "failed", "failed", within=12)
    assert monotonic() - begin < 2 * (1 + 2) + 1.5


def test_no_timeout_is_none(app, tasks, burst, store):
    jobs = [tasks.short.enqueue("a"), tasks.short.enqueue("b")]
    huge = tasks.short.using(timeout=timedelta(days=900_000)).enqueue("c")
    for job, timeout in zip(jobs, (0, -1), strict=True):
        store.hset(f"rq:job:{job.id}", "timeout", timeout)
    burst()
    assert [job.result() for job in (*jobs, huge)] == ["a", "b", "c"]


def test_in_threads_the_other_jobs_go_on(app, tasks, worker, marks, book):
    worker("--threads", "3")
    other = tasks.held.enqueue("other")
    marks.until("begin other")
    job = tasks.loop_in_python.enqueue()
    with pytest.raises(JobFailedError, match="TaskTimeoutError"):
        job.result(timeout=10)
    marks.open("other")
    assert other.result(timeout=5) == "other"
    assert marks.count("begin other") == 1
