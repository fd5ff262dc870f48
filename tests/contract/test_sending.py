from __future__ import annotations

import threading
from datetime import datetime, timedelta

import pytest

from headway import JobStatus, Unique
from headway.backend import Capability
from headway.errors import (
    ArgumentError,
    ConfigurationError,
    DuplicateJobError,
    JobFailedError,
    JobNotFoundError,
)
from tests.contract.cells import OURS, needs

ENGINES = OURS
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


def test_many_messages_are_many_jobs_in_their_order(engine, log):
    jobs = engine.app.enqueue_many(
        [engine.tasks.order.message(str(n)) for n in range(5)]
    )
    assert len({job.id for job in jobs}) == 5
    assert engine.app.enqueue_many([]) == []
    engine.work()
    assert log() == ["0", "1", "2", "3", "4"]


def test_each_of_many_messages_has_its_own_result(engine):
    jobs = engine.app.enqueue_many([engine.tasks.add.message(n) for n in range(60)])
    engine.work()
    assert [job.info().result for job in jobs] == list(range(1, 61))


def test_messages_of_many_kinds_go_together(engine):
    add = engine.tasks.add
    sent = engine.app.enqueue_many(
        [
            add.message(1, 2),
            add.using(queue="low").message(3, 4),
            add.using(delay=HOUR).message(5, 6),
        ]
    )
    infos = [job.info() for job in sent]
    assert [i.queue for i in infos] == ["default", "low", "default"]
    assert [str(i.status) for i in infos] == ["queued", "queued", "scheduled"]


@needs(Capability.QUEUE_ORDER)
def test_queues_are_served_in_their_order(engine, log):
    for queue in ("low", "default", "high"):
        engine.tasks.order.using(queue=queue).enqueue(queue)
    engine.work()
    assert log() == ["high", "default", "low"]


@needs(Capability.AT_FRONT)
def test_a_job_may_go_in_front(engine, log):
    for text in ("first", "second"):
        engine.tasks.order.enqueue(text)
    engine.tasks.order.using(at_front=True).enqueue("urgent")
    engine.work()
    assert log() == ["urgent", "first", "second"]


@needs(Capability.AT_FRONT)
def test_a_delayed_job_may_go_in_front_when_it_is_due(engine, log):
    engine.tasks.order.using(at_front=True, delay=HOUR).enqueue("urgent")
    engine.tasks.order.enqueue("first")
    engine.pass_time(HOUR + timedelta(seconds=1))
    engine.work()
    assert log() == ["urgent", "first"]


def test_a_call_may_be_sent_for_later(engine, log):
    default = engine.app.queue("default")
    when = engine.app.clock.now() + HOUR
    sent = [
        default.enqueue_at(when + HOUR, engine.tasks.order, "fourth"),
        engine.tasks.order.enqueue_at(when + 2 * SECOND, "third"),
        engine.tasks.order.enqueue_in(HOUR + SECOND, text="second"),
        default.enqueue_in(HOUR, engine.tasks.order, "first"),
    ]
    assert [job.status for job in sent] == ["scheduled"] * 4
    assert sent[1].info().due == when + 2 * SECOND
    engine.work()
    assert log() == []
    engine.pass_time(HOUR + timedelta(minutes=1))
    engine.work()
    assert log() == ["first", "second", "third"]


def test_a_call_for_a_time_that_is_past_is_made_now(engine, log):
    engine.tasks.order.enqueue_at(engine.app.clock.now() - HOUR, "late")
    engine.app.queue("default").enqueue_in(timedelta(0), engine.tasks.order, "now")
    engine.work()
    assert log() == ["late", "now"]


def test_a_call_for_later_goes_to_the_queue_that_sends_it(engine):
    low = engine.app.queue("low")
    assert low.enqueue_in(HOUR, engine.tasks.add, 1).info().queue == "low"
    job = engine.tasks.add.using(queue="low", delay=HOUR).enqueue_in(2 * HOUR, 1)
    assert job.info().queue == "low"
    assert job.info().due > engine.app.clock.now() + HOUR


def test_a_call_for_later_without_a_zone_is_refused_and_not_sent(engine):
    naive = datetime(2030, 1, 1)  # noqa: DTZ001
    with pytest.raises(ConfigurationError, match="tzinfo=ZoneInfo"):
        engine.app.queue("default").enqueue_at(naive, engine.tasks.add, 1)
    with pytest.raises(ArgumentError):
        engine.tasks.add.enqueue_in(HOUR)


def test_an_id_of_ones_own_makes_one_job_however_often_it_is_sent(engine, log):
    task = engine.tasks.order.using(job_id="mine")
    first, second = task.enqueue("a"), task.enqueue("b")
    assert (first.id, first.duplicate) == ("mine", False)
    assert (second.id, second.duplicate) == ("mine", True)
    engine.work()
    assert task.enqueue("c").duplicate
    engine.work()
    assert log() == ["a"]


def test_a_unique_call_gets_the_job_that_is_there(engine):
    first = engine.tasks.once.enqueue(1)
    second = engine.tasks.once.enqueue(number=1)
    other = engine.tasks.once.enqueue(2)
    assert (second.id, second.duplicate) == (first.id, True)
    assert (other.id != first.id, other.duplicate) == (True, False)
    engine.work()
    assert second.result(timeout=5) == 1


def test_a_unique_key_is_given_back_at_the_end(engine):
    first = engine.tasks.once.enqueue(1)
    engine.work()
    again = engine.tasks.once.enqueue(1)
    assert (again.duplicate, again.id != first.id) == (False, True)


def test_a_unique_key_is_given_back_by_a_failure_a_cancel_and_a_delete(engine):
    fail = engine.tasks.fail.using(unique="k")
    fail.enqueue("x")
    engine.work()
    second = fail.enqueue("x")
    assert not second.duplicate
    second.cancel()
    third = fail.enqueue("x")
    assert not third.duplicate
    third.delete()
    assert not fail.enqueue("x").duplicate


def test_a_unique_key_is_kept_while_a_job_waits_for_its_next_attempt(engine):
    later = engine.tasks.later.using(unique="k")
    first = later.enqueue()
    engine.work()
    assert later.enqueue().id == first.id
    engine.pass_time(2 * HOUR)
    engine.work()
    assert not later.enqueue().duplicate


def test_a_duplicate_may_be_refused_and_the_others_are_sent_all_the_same(engine):
    first = engine.tasks.only.enqueue()
    with pytest.raises(DuplicateJobError, match=f"{first.id} holds the unique key"):
        engine.tasks.only.enqueue()
    messages = [
        engine.tasks.add.using(job_id="before").message(1),
        engine.tasks.only.message(),
        engine.tasks.add.using(job_id="after").message(1),
    ]
    told = []
    engine.app.subscribe(told.append)
    with pytest.raises(DuplicateJobError):
        engine.app.enqueue_many(messages)
    assert [event.duplicate for event in told] == [False, True, False]
    assert engine.app.job("after").status is JobStatus.QUEUED


def test_a_key_may_be_kept_for_its_whole_time(engine):
    first = engine.tasks.sparse.enqueue()
    engine.work()
    again = engine.tasks.sparse.enqueue()
    assert (again.id, again.duplicate) == (first.id, True)


def test_two_of_one_key_in_one_call_are_one_job(engine):
    one, two = engine.app.enqueue_many([engine.tasks.once.message(1)] * 2)
    assert (one.id, one.duplicate, two.duplicate) == (two.id, False, True)


def test_the_shortest_time_to_live_makes_no_half_a_job(engine):
    shortest = Unique(key="short", ttl=timedelta(microseconds=1), until="ttl")
    job = engine.tasks.add.using(unique=shortest).enqueue(1)
    engine.work()
    assert job.result(timeout=5) == 2


@needs(Capability.RECOVERY)
def test_a_key_is_taken_over_from_a_job_that_crashed(real):
    job = real.tasks.crash.enqueue()
    assert real.tasks.crash.enqueue().duplicate
    real.work()
    with pytest.raises(JobFailedError, match="ended 3 times"):
        job.result(timeout=5)
    assert not real.tasks.crash.enqueue().duplicate


def test_a_waiting_job_can_be_canceled(engine, log):
    queued = engine.tasks.order.enqueue("a")
    delayed = engine.tasks.order.using(delay=HOUR).enqueue("b")
    for job in (queued, delayed):
        assert job.cancel()
        assert job.status is JobStatus.CANCELED
        assert not job.cancel()
    engine.pass_time(2 * HOUR)
    engine.work()
    assert log() == []
    with pytest.raises(JobFailedError, match="ended as canceled"):
        queued.result(timeout=5)


def test_a_job_that_ended_is_not_canceled(engine):
    job = engine.tasks.add.enqueue(1)
    engine.work()
    assert not job.cancel()
    assert job.status is JobStatus.FINISHED


def test_a_canceled_job_can_be_requeued(engine):
    job = engine.tasks.add.enqueue(1)
    job.cancel()
    job.requeue()
    engine.work()
    assert job.result(timeout=5) == 2


def test_a_retry_that_waits_can_be_canceled_and_tells_its_attempts(engine):
    job = engine.tasks.later.enqueue()
    engine.work()
    assert job.cancel()
    info = job.info()
    assert (info.status, info.attempt) == (JobStatus.CANCELED, 1)


@needs(Capability.STOP_RUNNING)
@pytest.mark.parametrize("name", ["wait_to_be_stopped", "wait_to_be_stopped_async"])
def test_a_running_job_can_be_stopped_and_the_next_one_runs(real, until, log, name):
    job = getattr(real.tasks, name).enqueue()
    real.worker()
    until(lambda: job.status is JobStatus.STARTED)
    assert job.cancel()
    real.tasks.order.enqueue("next")
    until(lambda: log() == ["next"])
    until(lambda: job.status is JobStatus.STOPPED)
    with pytest.raises(JobFailedError, match="ended as stopped"):
        job.result(timeout=5)


@needs(Capability.STOP_RUNNING)
def test_a_job_that_is_requeued_as_it_was_stopped_runs_to_its_end(
    real, until, log, tmp_path
):
    job = real.tasks.held.enqueue("a")
    real.worker()
    until(lambda: log() == ["begun-a"])
    assert job.cancel()
    until(lambda: job.status is JobStatus.STOPPED)
    job.requeue()
    until(lambda: log() == ["begun-a"] * 2)
    # A worker may go on for a second to look for what it was told to stop.
    threading.Timer(1.2, (tmp_path / "go").touch).start()
    assert job.result(timeout=20) > 0
    assert log() == ["begun-a", "begun-a", "ended-a"]


def test_a_deleted_job_is_gone_and_never_runs(engine, log):
    job = engine.tasks.order.enqueue("a")
    job.delete()
    with pytest.raises(JobNotFoundError):
        job.info()
    engine.work()
    assert log() == []


def test_failed_jobs_are_listed_latest_first(engine):
    jobs = [engine.tasks.fail.enqueue(str(n)) for n in range(3)]
    engine.tasks.add.enqueue(1)
    engine.work()
    found = engine.app.backend().failed("default", 10)
    assert {job.id for job in found} == {job.id for job in jobs}
    assert len(engine.app.backend().failed("default", 2)) == 2
    assert engine.app.backend().failed("low", 10) == []


def test_a_result_of_no_time_to_live_is_not_kept(real):
    job = real.tasks.add.using(result_ttl=timedelta(0)).enqueue(1)
    real.work()
    with pytest.raises(JobNotFoundError):
        job.result(timeout=5)
