from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from headway import JobStatus
from headway.errors import (
    ArgumentError,
    JobFailedError,
    JobNotFoundError,
    ResultTimeoutError,
)
from tests.contract.cells import CELLS

ENGINES = CELLS


def test_a_job_runs_and_its_result_comes_back(engine):
    job = engine.tasks.add.enqueue(1, other=2)
    assert job.status is JobStatus.QUEUED
    engine.work()
    assert job.status is JobStatus.FINISHED
    assert job.result(timeout=5) == 3


def test_each_kind_of_argument_arrives_as_it_was_sent(engine):
    from sample_tasks.shapes import Colour, Point

    job = engine.tasks.kinds.enqueue(
        datetime(2026, 1, 1, tzinfo=UTC),
        date(2026, 1, 1),
        uuid.UUID(int=1),
        Decimal("1.5"),
        b"\x00\xff",
        Path("a"),
        Colour.RED,
        point=Point(x=1, y=2.5),
        pair=(1, "a"),
    )
    engine.work()
    assert job.result(timeout=5) == (
        [
            "datetime",
            "date",
            "UUID",
            "Decimal",
            "bytes",
            "PosixPath",
            "Colour",
            "Point",
            "tuple",
        ]
    )


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, -(2**70), 1.5e300, "", "\u2028 \x00 é 😀"),
        {"list": [1, [2, {"three": None}]], "": {}},
        "long " * 40_000,
    ],
    ids=["none", "true", "int", "float", "empty", "text", "nested", "long"],
)
def test_whatever_is_json_comes_back_as_it_was_sent(engine, value):
    job = engine.tasks.echo.enqueue(value)
    engine.work()
    assert job.result(timeout=5) == value
    assert job.info().args == (value,)


def test_results_come_back_as_the_task_is_annotated(engine):
    from sample_tasks.shapes import Point

    moment = datetime(2026, 1, 1, 12, tzinfo=UTC)
    one = engine.tasks.echo_moment.enqueue(moment)
    other = engine.tasks.echo_point.enqueue(Point(x=1, y=2))
    engine.work()
    assert one.result(timeout=5) == moment
    assert other.result(timeout=5) == Point(x=1, y=3.0)
    assert engine.app.job(one.id).result(timeout=5) == moment


def test_a_plain_function_needs_no_decorator(engine):
    job = engine.app.queue("low").enqueue(engine.tasks.plain, datetime.now(UTC))
    engine.work()
    assert job.info().queue == "low"
    assert job.status is JobStatus.FINISHED


def test_an_async_task_runs_and_is_awaited(engine):
    job = asyncio.run(engine.tasks.add_async.enqueue_async(1, 2))
    engine.work()
    assert asyncio.run(job.result_async(timeout=5)) == 3


def test_a_failure_carries_its_traceback(engine):
    job = engine.tasks.fail.enqueue("no bread")
    engine.work()
    assert job.status is JobStatus.FAILED
    with pytest.raises(JobFailedError, match="failed: ValueError: no bread") as caught:
        job.result(timeout=5)
    assert "raise ValueError(text)" in caught.value.traceback
    info = job.info()
    assert info.errors == ("ValueError: no bread",)
    assert info.error
    assert "ValueError: no bread" in info.error


def test_an_async_task_that_fails_is_told_alike(engine):
    job = engine.tasks.fail_async.enqueue("no milk")
    engine.work()
    assert job.status is JobStatus.FAILED
    info = job.info()
    assert info.errors == ("ValueError: no milk",)
    assert "raise ValueError(text)" in info.error


def test_what_led_to_a_failure_is_told_with_it(engine):
    job = engine.tasks.fail_because.enqueue("no salt")
    engine.work()
    info = job.info()
    assert info.errors == ("Flaky: for a reason",)
    assert info.error.index("ValueError: no salt") < info.error.index("Flaky: for a")
    assert "direct cause" in info.error


def test_a_result_that_cannot_be_written_fails_the_job(engine):
    job = engine.tasks.not_json.enqueue()
    engine.work()
    with pytest.raises(JobFailedError, match="cannot be written as JSON"):
        job.result(timeout=5)


def test_a_wrong_argument_is_refused_and_nothing_is_sent(engine):
    with pytest.raises(ArgumentError, match="one"):
        engine.tasks.add.enqueue("one")
    with pytest.raises(ArgumentError, match="got an unexpected keyword"):
        engine.tasks.add.enqueue(1, another=2)


def test_a_result_that_is_not_there_in_time_is_said_to_be_late(engine):
    job = engine.tasks.add.enqueue(1)
    with pytest.raises(ResultTimeoutError, match="is queued after the time"):
        job.result(timeout=0)
    with pytest.raises(ResultTimeoutError):
        job.result(timeout=timedelta(milliseconds=20))
    with pytest.raises(ResultTimeoutError):
        asyncio.run(job.result_async(timeout=0.02))


def test_a_job_that_is_not_there_is_said_to_be_missing(engine):
    job = engine.app.job("nothing-of-that-name")
    for ask in (
        job.info,
        job.result,
        job.cancel,
        job.requeue,
        job.delete,
        lambda: job.status,
        lambda: job.progress,
    ):
        with pytest.raises(JobNotFoundError, match="nothing-of-that-name"):
            ask()
    with pytest.raises(JobNotFoundError):
        asyncio.run(job.result_async())


def test_a_task_knows_its_job_and_says_how_far_it_has_come(engine):
    job = engine.tasks.tell.using(queue="low").enqueue()
    assert job.progress is None
    engine.work()
    assert job.result(timeout=5) == (job.id, 1, "low")
    progress = job.progress
    assert progress
    assert (progress.done, progress.total, progress.note) == (3, 4, "nearly")
    assert progress.fraction == 0.75


def test_outside_of_a_worker_there_is_no_current_job(engine):
    from headway import current_job

    assert current_job() is None


def test_a_task_that_is_called_by_a_task_simply_runs(engine):
    other = engine.tasks.calls_another.enqueue()
    itself = engine.tasks.factorial.enqueue(5)
    engine.work()
    assert other.result(timeout=5) == 3 + 24
    assert itself.result(timeout=5) == 120


def test_a_task_may_enqueue_another(engine):
    first = engine.tasks.enqueues_another.enqueue()
    engine.work()
    assert engine.app.job(first.result(timeout=5)).result(timeout=5) == 42


def test_what_is_known_of_a_job_is_told_at_each_stage(engine):
    job = engine.tasks.add.using(description="a sum").enqueue(1, other=2)
    before = job.info()
    assert (before.task, before.queue) == ("sample_tasks.basic.add", "default")
    assert (before.args, before.kwargs) == ((1,), {"other": 2})
    assert (before.attempt, before.description) == (0, "a sum")
    assert before.started_at is None
    assert before.ended_at is None
    assert before.result is None
    assert before.timeout == timedelta(minutes=3)
    engine.work()
    after = job.info()
    assert (after.attempt, after.result, after.error) == (1, 3, None)
    assert after.created_at <= after.enqueued_at <= after.started_at <= after.ended_at


def test_a_queues_timeout_holds_where_the_task_says_nothing(engine):
    low = engine.tasks.add.using(queue="low").enqueue(1)
    assert low.info().timeout == timedelta(minutes=7)
    own = engine.tasks.add.using(queue="low", timeout=timedelta(minutes=1)).enqueue(1)
    assert own.info().timeout == timedelta(minutes=1)
