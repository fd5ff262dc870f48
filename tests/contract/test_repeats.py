"""Jobs that run again once a run has ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from headway import JobStatus, Repeat, Retry, Unique, fixed
from headway.errors import ConfigurationError, JobFailedError
from tests.contract.cells import OURS

ENGINES = OURS
HOUR = timedelta(hours=1)
HOURLY = Repeat(2, HOUR)


def _next(engine) -> None:
    engine.pass_time(HOUR + timedelta(seconds=1))
    engine.work()


def test_a_job_runs_that_many_times_more_and_no_run_before_its_time(engine, log):
    job = engine.tasks.order.using(repeat=HOURLY).enqueue("run")
    assert job.info().repeats_left == 2
    engine.work()
    engine.work()
    info = job.info()
    assert log() == ["run"]
    assert (info.status, info.repeats_left) == (JobStatus.SCHEDULED, 1)
    left = info.due - engine.app.clock.now()
    assert timedelta(minutes=59) < left <= HOUR
    assert (info.attempt, info.error, info.result) == (0, None, None)
    _next(engine)
    assert (job.status, log()) == (JobStatus.SCHEDULED, ["run"] * 2)
    _next(engine)
    assert (job.status, job.info().repeats_left) == (JobStatus.FINISHED, 0)
    _next(engine)
    assert log() == ["run"] * 3


def test_a_run_that_fails_is_followed_by_the_next(engine):
    job = engine.tasks.fail.using(repeat=HOURLY).enqueue("x")
    engine.work()
    info = job.info()
    assert (info.status, info.repeats_left) == (JobStatus.SCHEDULED, 1)
    assert info.errors == ("ValueError: x",)
    assert "ValueError: x" in info.error
    assert engine.app.backend().failed("default", 10) == []
    _next(engine)
    _next(engine)
    info = job.info()
    assert (info.status, info.repeats_left) == (JobStatus.FAILED, 0)
    assert info.errors == ("ValueError: x",) * 3
    with pytest.raises(JobFailedError, match="ValueError: x"):
        job.result(timeout=5)


def test_each_run_has_all_its_attempts(engine):
    job = engine.tasks.flaky.using(repeat=Repeat(1, HOUR)).enqueue("always")
    engine.work()
    assert (job.status, len(job.info().errors)) == (JobStatus.SCHEDULED, 3)
    _next(engine)
    info = job.info()
    assert (info.status, info.attempt, len(info.errors)) == (JobStatus.FAILED, 3, 6)


def test_a_run_that_fails_is_the_last_where_it_is_said_so(engine):
    rule = Repeat(5, HOUR, until_failure=True)
    job = engine.tasks.fail.using(repeat=rule).enqueue("x")
    engine.work()
    info = job.info()
    assert (info.status, info.repeats_left, info.due) == (JobStatus.FAILED, 5, None)
    assert [each.id for each in engine.app.backend().failed("default", 9)] == [job.id]
    fine = engine.tasks.add.using(repeat=rule).enqueue(1)
    engine.work()
    assert (fine.status, fine.info().repeats_left) == (JobStatus.SCHEDULED, 4)


def test_a_requeued_job_goes_on_with_the_runs_that_were_left(engine):
    rule = Repeat(2, HOUR, until_failure=True)
    job = engine.tasks.fail.using(repeat=rule).enqueue("x")
    engine.work()
    job.requeue()
    engine.work()
    assert (job.status, job.info().repeats_left) == (JobStatus.FAILED, 2)


def test_a_person_who_cancels_ends_it(engine, log):
    job = engine.tasks.order.using(repeat=HOURLY, unique="k").enqueue("run")
    engine.work()
    assert job.cancel()
    assert (job.status, job.info().due) == (JobStatus.CANCELED, None)
    _next(engine)
    assert log() == ["run"]
    assert not engine.tasks.order.using(unique="k").enqueue("other").duplicate


@pytest.mark.parametrize("kind", ["twice", "value"])
def test_the_unique_key_is_held_until_the_last_run_is_over(engine, kind):
    rule = Unique(key="k", ttl=timedelta(minutes=1))
    call = engine.tasks.flaky.using(unique=rule)
    job = call.using(repeat=HOURLY).enqueue(kind)
    for _ in range(2):
        engine.work()
        engine.pass_time(HOUR + timedelta(seconds=1))
        again = call.enqueue(kind)
        assert (again.id, again.duplicate) == (job.id, True)
    engine.work()
    assert not call.enqueue(kind).duplicate


def test_what_a_run_says_of_itself_is_not_the_next_ones(engine, log):
    job = engine.tasks.tells.using(repeat=HOURLY).enqueue()
    engine.work()
    info = job.info()
    assert (info.progress, info.checkpoint) == (None, None)
    assert info.log == ("said 1",)
    _next(engine)
    assert log() == ["None", "None"]
    assert job.info().log == ("said 1",)


def test_each_run_may_begin_so_late_and_no_later(engine, log):
    job = engine.tasks.order.using(repeat=Repeat(3, HOUR), expires=HOUR).enqueue("run")
    engine.work()
    engine.pass_time(HOUR + timedelta(minutes=59))
    engine.work()
    assert log() == ["run"] * 2
    engine.pass_time(3 * HOUR)
    engine.work()
    info = job.info()
    assert log() == ["run"] * 2
    assert "waited too long" in info.error
    assert (info.status, info.repeats_left) == (JobStatus.SCHEDULED, 0)
    _next(engine)
    assert (job.status, log()) == (JobStatus.FINISHED, ["run"] * 3)


def test_a_first_run_may_be_delayed(engine, log):
    job = engine.tasks.order.using(repeat=Repeat(1, HOUR), delay=HOUR).enqueue("run")
    engine.work()
    assert (job.info().repeats_left, log()) == (1, [])
    _next(engine)
    _next(engine)
    assert (job.status, log()) == (JobStatus.FINISHED, ["run"] * 2)


def test_a_call_may_have_none_though_its_task_has(engine):
    hourly = engine.tasks.add.using(repeat=HOURLY)
    job = hourly.using(repeat=None).enqueue(1)
    engine.work()
    assert (job.result(timeout=5), job.info().repeats_left) == (2, None)


def test_one_time_of_expiry_cannot_hold_for_all_runs(engine):
    with pytest.raises(ConfigurationError, match="give a timedelta, which counts"):
        engine.tasks.add.using(repeat=HOURLY, expires=datetime(2030, 1, 1, tzinfo=UTC))


def test_a_retry_that_waits_is_no_repeat(engine):
    wait = Retry(attempts=2, backoff=fixed(timedelta(minutes=1)))
    job = engine.tasks.fail.using(repeat=HOURLY, retry=wait).enqueue("x")
    engine.work()
    info = job.info()
    assert (info.status, info.repeats_left, info.attempt) == ("scheduled", 2, 1)
    engine.pass_time(timedelta(minutes=1, seconds=2))
    engine.work()
    assert (job.status, job.info().repeats_left) == (JobStatus.SCHEDULED, 1)
