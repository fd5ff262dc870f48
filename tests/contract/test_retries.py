from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from headway import JobStatus, Retry, fixed
from headway.backend import Capability
from headway.errors import JobFailedError, JobStateError
from tests.contract.cells import CELLS, needs

ENGINES = CELLS
HOUR = timedelta(hours=1)


def test_a_task_is_retried_until_it_succeeds(engine):
    job = engine.tasks.flaky.enqueue("twice")
    engine.work()
    assert job.result(timeout=5) == 3
    info = job.info()
    assert info.attempt == 3
    assert info.errors == ("Flaky: twice", "Flaky: twice")


def test_a_task_fails_when_its_attempts_are_used_up(engine):
    job = engine.tasks.flaky.enqueue("always")
    engine.work()
    with pytest.raises(JobFailedError, match="Flaky: always"):
        job.result(timeout=5)
    info = job.info()
    assert (info.attempt, len(info.errors)) == (3, 3)


def test_an_exception_that_the_rule_does_not_name_fails_at_once(engine):
    job = engine.tasks.flaky.enqueue("value")
    engine.work()
    assert (job.status, job.info().attempt) == (JobStatus.FAILED, 1)


def test_a_call_may_have_a_rule_of_its_own(engine):
    more = Retry(attempts=2, backoff=fixed(timedelta(0)), on=(ValueError,))
    job = engine.tasks.flaky.using(retry=more).enqueue("value")
    none = engine.tasks.flaky.using(retry=None).enqueue("always")
    plain = engine.tasks.fail.using(retry=more).enqueue("x")
    engine.work()
    assert [j.info().attempt for j in (job, none, plain)] == [2, 1, 2]
    assert {j.status for j in (job, none, plain)} == {JobStatus.FAILED}


def test_the_next_attempt_waits_for_its_time(engine):
    job = engine.tasks.later.enqueue()
    engine.work()
    info = job.info()
    assert (info.status, info.attempt) == (JobStatus.SCHEDULED, 1)
    assert info.errors == ("Flaky: first",)
    assert info.due - engine.app.clock.now() > timedelta(minutes=55)
    engine.work()
    assert job.status is JobStatus.SCHEDULED
    engine.pass_time(HOUR + timedelta(seconds=2))
    engine.work()
    assert (job.result(timeout=5), job.info().attempt) == (2, 2)


def test_each_attempt_waits_longer_than_the_one_before(engine):
    job, ten = engine.tasks.longer_and_longer.enqueue(), timedelta(minutes=10)
    attempts = []
    for _ in range(4):
        engine.work()
        attempts.append(job.info().attempt)
        engine.pass_time(ten + timedelta(seconds=2))
    assert attempts == [1, 2, 2, 3]  # after ten minutes, and then after twenty
    assert job.status is JobStatus.FAILED


def test_an_exception_that_says_when_is_believed(engine):
    job = engine.tasks.told_when.enqueue(1800)
    engine.work()
    wait = job.info().due - engine.app.clock.now()
    assert timedelta(minutes=29) < wait <= timedelta(minutes=30, seconds=1)


def test_a_requeued_job_has_all_its_attempts_again(engine):
    job = engine.tasks.flaky.enqueue("always")
    engine.work()
    assert job.status is JobStatus.FAILED
    job.requeue()
    info = job.info()
    assert (info.status, info.attempt, info.ended_at) == (JobStatus.QUEUED, 0, None)
    engine.work()
    info = job.info()
    assert (info.status, info.attempt) == (JobStatus.FAILED, 3)


def test_only_what_ended_without_a_result_can_be_requeued(engine):
    job = engine.tasks.add.enqueue(1)
    with pytest.raises(JobStateError, match="is queued: only a failed"):
        job.requeue()
    engine.work()
    with pytest.raises(JobStateError, match="is finished: only a failed"):
        job.requeue()


def test_a_job_waits_for_its_delay(engine):
    job = engine.tasks.add.using(delay=HOUR).enqueue(1)
    at = engine.tasks.add.using(at=engine.app.clock.now() + HOUR).enqueue(1)
    engine.work()
    for each in (job, at):
        info = each.info()
        assert info.status is JobStatus.SCHEDULED
        left = info.due - engine.app.clock.now()
        assert timedelta(minutes=59) < left <= HOUR
    engine.pass_time(HOUR + timedelta(seconds=1))
    engine.work()
    assert (job.result(timeout=5), at.result(timeout=5)) == (2, 2)
    assert job.info().due is None


def test_a_time_that_is_past_is_now(engine):
    past = datetime(2020, 1, 1, tzinfo=UTC)
    assert engine.tasks.add.using(at=past).enqueue(1).status is JobStatus.QUEUED


def test_a_job_that_waited_too_long_is_not_run(engine, log):
    late = engine.tasks.order.using(expires=HOUR).enqueue("late")
    fixed_time = engine.app.clock.now() + HOUR
    also = engine.tasks.order.using(expires=fixed_time).enqueue("also")
    engine.pass_time(2 * HOUR)
    engine.tasks.order.using(expires=HOUR).enqueue("fresh")
    engine.work()
    assert log() == ["fresh"]
    for job in (late, also):
        with pytest.raises(JobFailedError, match="waited too long in its queue"):
            job.result(timeout=5)


def test_a_person_may_still_run_a_job_that_expired(engine, log):
    job = engine.tasks.order.using(expires=HOUR).enqueue("late")
    engine.pass_time(2 * HOUR)
    engine.work()
    job.requeue()
    engine.work()
    assert log() == ["late"]


def test_expiry_counts_from_the_time_a_job_is_due(engine):
    job = engine.tasks.add.using(delay=HOUR, expires=HOUR).enqueue(1)
    engine.pass_time(HOUR + timedelta(minutes=30))
    engine.work()
    assert job.result(timeout=5) == 2


@needs(Capability.HARD_TIMEOUT)
def test_a_task_that_runs_too_long_is_stopped(real):
    job = real.tasks.slow.enqueue()
    real.work()
    with pytest.raises(JobFailedError, match="TaskTimeoutError: .*slow"):
        job.result(timeout=5)


@pytest.mark.parametrize("name", ["busy", "slow_async"])
def test_a_task_that_runs_too_long_in_code_of_its_own_is_stopped(real, name):
    job = getattr(real.tasks, name).enqueue()
    real.work()
    with pytest.raises(JobFailedError, match=f"TaskTimeoutError: .*{name}"):
        job.result(timeout=5)
