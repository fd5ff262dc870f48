from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from headway.app import load_app
from headway.errors import JobFailedError, JobNotFoundError, UnknownQueueError
from headway.testing import in_memory

pytest_plugins = ["pytester"]
HOUR = timedelta(hours=1)


@pytest.fixture
def app(sample):
    return load_app("sample_app:app")


@pytest.fixture
def jobs(app):
    with in_memory(app) as harness:
        yield harness


@pytest.fixture
def basic(app):
    import sample_tasks.basic

    return sample_tasks.basic


def test_jobs_wait_until_they_are_drained(jobs, basic):
    job = basic.add.enqueue(1, 2)
    assert job.status == "queued"
    assert jobs.drain() == 1
    assert (job.status, job.result(timeout=0)) == ("finished", 3)
    assert jobs.drain() == 0


def test_what_a_job_enqueues_is_drained_too(jobs, basic):
    basic.enqueues_another.enqueue()
    assert jobs.drain() == 2
    assert jobs.assert_enqueued(basic.add, 20, 22).result == 42


def test_queues_are_drained_in_their_order_of_urgency(jobs, app, basic):
    ran: list[str] = []
    app.subscribe(lambda e: ran.append(e.queue) if hasattr(e, "elapsed") else None)
    for name in ("low", "default", "high", "low"):
        basic.add.using(queue=name).enqueue(1)
    jobs.drain()
    assert ran == ["high", "default", "low", "low"]


def test_some_queues_may_be_drained_and_an_unknown_one_is_refused(jobs, basic):
    low = basic.add.using(queue="low").enqueue(1)
    assert jobs.drain(["high"]) == 0
    assert low.status == "queued"
    with pytest.raises(UnknownQueueError):
        jobs.drain(["hihg"])
    with pytest.raises(UnknownQueueError):
        jobs.drain("low")
    assert jobs.drain(["low"]) == 1


def test_a_delayed_job_runs_once_the_clock_was_moved(jobs, basic):
    job = basic.add.using(delay=HOUR).enqueue(1, 2)
    assert (jobs.drain(), job.status) == (0, "scheduled")
    jobs.clock.move(HOUR)
    assert (jobs.drain(), job.status) == (1, "finished")


def test_a_failed_job_fails_the_test_with_its_traceback(jobs, basic):
    basic.fail.enqueue("no bread")
    with pytest.raises(JobFailedError, match="ValueError: no bread") as caught:
        jobs.drain()
    assert "raise ValueError(text)" in caught.value.traceback
    assert jobs.drain() == 0


def test_a_failed_job_may_be_what_the_test_is_about(jobs, basic):
    job = basic.fail.enqueue("no bread")
    jobs.drain(raise_failures=False)
    assert job.status == "failed"
    with pytest.raises(JobFailedError, match="no bread"):
        job.result(timeout=0)


def test_an_enqueued_call_is_found_however_it_is_spelled(jobs, basic):
    basic.add.enqueue(1, other=2)
    for args, kwargs in [
        ((1, 2), {}),
        ((1,), {"other": 2}),
        ((), {"other": 2, "one": 1}),
    ]:
        assert jobs.assert_enqueued(basic.add, *args, **kwargs).status == "queued"


def test_a_call_that_was_not_enqueued_is_reported_with_those_that_were(jobs, basic):
    with pytest.raises(AssertionError, match="no jobs at all"):
        jobs.assert_enqueued(basic.add, 1, 2)
    basic.add.using(queue="low").enqueue(5, 6)
    with pytest.raises(AssertionError) as caught:
        jobs.assert_enqueued(basic.add, 1, 2)
    assert "expected one job sample_tasks.basic.add(1, 2), found 0" in str(caught.value)
    assert "low: sample_tasks.basic.add(5, 6) (queued)" in str(caught.value)


def test_two_jobs_of_one_call_are_not_one(jobs, basic):
    basic.add.enqueue(1, 2)
    basic.add.enqueue(1, 2)
    with pytest.raises(AssertionError, match="found 2"):
        jobs.assert_enqueued(basic.add, 1, 2)


def test_that_nothing_was_enqueued_can_be_asserted(jobs, basic):
    jobs.assert_not_enqueued()
    basic.add.enqueue(1, 2)
    jobs.assert_not_enqueued(basic.fail)
    for task in (basic.add, None):
        with pytest.raises(AssertionError, match="expected no job of"):
            jobs.assert_not_enqueued(task)


def test_inline_runs_each_job_in_the_call_that_enqueues_it(jobs, basic):
    with jobs.inline():
        assert basic.add.enqueue(1, 2).result(timeout=0) == 3
        assert basic.enqueues_another.enqueue().status == "finished"
        assert basic.flaky.enqueue("twice").info().attempt == 3
        assert basic.later.enqueue().result(timeout=0) == 2
        assert basic.add.using(delay=HOUR).enqueue(1).result(timeout=0) == 2
        assert basic.fail.enqueue("x").status == "failed"
    assert basic.add.enqueue(1, 2).status == "queued"


def test_an_async_task_runs_inline_even_where_a_loop_runs(jobs, basic):
    async def view() -> tuple[int, int]:
        one = basic.add_async.enqueue(1, 2)
        other = await basic.add_async.enqueue_async(3, 4)
        return one.result(timeout=0), await other.result_async(timeout=0)

    with jobs.inline():
        assert asyncio.run(view()) == (3, 7)


def test_the_applications_own_engine_is_back_afterwards(app, basic):
    with in_memory(app):
        job = basic.add.enqueue(1)
        queue = app.queue("low")
        assert queue.enqueue(basic.add, 2).status == "queued"
    assert app.engine == "rq"
    with pytest.raises(JobNotFoundError):
        job.info()


def test_two_tests_share_nothing(app, basic):
    for _ in range(2):
        with in_memory(app) as jobs:
            jobs.assert_not_enqueued()
            basic.once.enqueue(1)


def test_the_fixtures_are_there_once_headway_is_installed(pytester, monkeypatch):
    monkeypatch.delenv("HEADWAY_APP", raising=False)
    pytester.makepyfile(
        queues="""
        from headway import App, Queue
        app = App(queues=[Queue("default")], tasks="work")
        """,
        work="""
        from queues import app
        @app.task
        def add(one: int, other: int) -> int:
            return one + other
        """,
        test_it="""
        from work import add
        def test_waits(headway_jobs):
            job = add.enqueue(1, 2)
            headway_jobs.assert_enqueued(add, 1, 2)
            assert headway_jobs.drain() == 1
            assert job.result(timeout=0) == 3
        def test_inline(headway_inline):
            assert add.enqueue(1, 2).result(timeout=0) == 3
            headway_inline.assert_enqueued(add, 1, 2)
        def test_nothing_is_left(headway_jobs):
            headway_jobs.assert_not_enqueued()
        """,
    )
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    done.assert_outcomes(passed=3)


def test_a_task_that_is_gone_fails_its_job_alone(jobs, app, basic):
    job = basic.add.enqueue(1)
    other = basic.add.using(queue="low").enqueue(2)
    del app.registry._tasks[basic.add.name]
    held, basic.add = basic.add, None
    try:
        with pytest.raises(JobFailedError, match="no such function"):
            jobs.drain()
    finally:
        basic.add = held
        app.registry.add(held)
    assert [job.status, other.status] == ["failed", "failed"]
