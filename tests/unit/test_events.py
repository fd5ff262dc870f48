from __future__ import annotations

import json
import logging
from datetime import timedelta

import pytest

from headway import App, Queue, Retry, fixed
from headway.events import (
    JobEnqueued,
    JobFailed,
    JobRetried,
    JobStarted,
    JobSucceeded,
)
from headway.observe.json_log import JSONFormatter
from headway.observe.log import log_events
from headway.testing import in_memory


@pytest.fixture
def app() -> App:
    return App(queues=[Queue("default")], tasks="tasks", engine="memory")


def double(number: int) -> int:
    return 2 * number


def fail() -> None:
    raise ValueError("two\nlines")


def test_each_transition_is_told_once_and_in_order(app):
    told: list[object] = []
    app.subscribe(told.append)
    with in_memory(app) as jobs:
        app.task(double).enqueue(4)
        jobs.drain()
    assert [type(event) for event in told] == [JobEnqueued, JobStarted, JobSucceeded]
    assert {event.task for event in told} == {f"{__name__}.double"}
    assert len({event.job_id for event in told}) == 1


def test_a_failure_is_told_with_its_reason_on_one_line(app):
    told: list[object] = []
    rule = Retry(attempts=2, backoff=fixed(timedelta(seconds=9)))
    with in_memory(app) as jobs:
        job = app.task(retry=rule)(fail)
        app.subscribe(told.append)
        job.enqueue()
        jobs.drain()
        jobs.clock.move(timedelta(seconds=10))
        jobs.drain(raise_failures=False)
    retried, failed = told[2], told[4]
    assert isinstance(retried, JobRetried)
    assert (retried.attempt, retried.delay) == (1, timedelta(seconds=9))
    assert isinstance(failed, JobFailed)
    assert (failed.attempt, failed.error) == (2, "ValueError: two lines")


def test_a_subscriber_that_raises_changes_nothing(app, caplog):
    told: list[object] = []
    app.subscribe(lambda _event: 1 / 0)
    app.subscribe(told.append)
    with in_memory(app) as jobs:
        job = app.task(double).enqueue(4)
        jobs.drain()
        assert job.result(timeout=0) == 8
    assert len(told) == 3
    assert "a subscriber failed" in caplog.text


def test_events_become_log_lines_with_fields(app, caplog):
    caplog.set_level(logging.DEBUG, "headway.job")
    log_events(app)
    with in_memory(app) as jobs:
        job = app.task(fail).enqueue()
        jobs.drain(raise_failures=False)
    levels = [r.levelname for r in caplog.records if r.name == "headway.job"]
    assert levels == ["DEBUG", "DEBUG", "ERROR"]
    line = json.loads(JSONFormatter().format(caplog.records[-1]))
    assert line["job_id"] == job.id
    assert line["error"] == "ValueError: two lines"
    assert line["level"] == "ERROR"


def test_a_log_line_of_json_stays_one_line_and_keeps_its_traceback():
    try:
        fail()
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.makeLogRecord({"msg": "a\nb", "exc_info": info, "x": object()})
    text = JSONFormatter().format(record)
    assert "\n" not in text
    assert "ValueError: two" in json.loads(text)["traceback"]
