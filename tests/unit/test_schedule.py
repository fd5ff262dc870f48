from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from headway import App, At, Cron, Every, Queue, Schedule
from headway.declared_schedules import declared_schedules
from headway.errors import ConfigurationError
from headway.options import JOB_ID
from headway.scheduler import Scheduler

OSLO = ZoneInfo("Europe/Oslo")
app = App(queues=[Queue("default")], tasks="tasks", engine="memory")


def work() -> None:
    return None


MESSAGE = app.task(work).message()


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def test_a_tick_has_one_id_whoever_asks_and_in_whatever_zone():
    schedule = Schedule("nightly", Cron("0 3 * * *"), MESSAGE)
    tick = utc(2026, 11, 22, 3)
    assert schedule.job_id(tick) == "cron-nightly-20261122T030000Z"
    assert schedule.job_id(tick.astimezone(OSLO)) == schedule.job_id(tick)
    assert JOB_ID.fullmatch(schedule.job_id(tick))


@pytest.mark.parametrize("name", ["", "a b", "a:b"])
def test_a_name_that_could_be_no_part_of_an_id_is_refused(name):
    with pytest.raises(ConfigurationError, match="expected letters, digits"):
        Schedule(name, Every(hours=1), MESSAGE)


@pytest.mark.parametrize("options", [{"unique": True}, {"job_id": "mine"}])
def test_an_option_that_a_tick_would_overwrite_is_refused(options):
    message = app.task(work).using(**options).message()
    with pytest.raises(ConfigurationError, match="each tick has a job_id"):
        Schedule("nightly", Every(hours=1), message)


def test_a_unique_task_may_be_scheduled_without():
    unique = app.task(unique=True)(work)
    message = unique.using(unique=False).message()
    assert Schedule("nightly", Every(hours=1), message).message is message


NEW_YORK = ZoneInfo("America/New_York")
NEVER = datetime.max.replace(tzinfo=NEW_YORK)


@pytest.mark.parametrize(
    "define",
    [
        lambda: Schedule("nightly", Every(hours=1), MESSAGE, end=NEVER),
        lambda: Schedule("nightly", Every(hours=1), MESSAGE, start=NEVER),
        lambda: At(NEVER),
        lambda: Every(hours=1, anchor=NEVER),
    ],
)
def test_a_moment_that_some_zone_cannot_show_is_refused(define):
    with pytest.raises(ConfigurationError, match="9998"):
        define()


def test_a_start_as_clocks_are_put_forward_is_no_hour_late():
    start = datetime(2027, 3, 28, 3, tzinfo=OSLO)  # the first moment after the gap
    schedule = Schedule("nightly", Every(minutes=15), MESSAGE, start=start)
    before = datetime(2027, 3, 1, tzinfo=UTC)
    assert schedule.next_after(before) == datetime(2027, 3, 28, 1, tzinfo=UTC)


def test_an_end_is_compared_by_real_time():
    first, second = (datetime(2026, 10, 25, 2, 30, tzinfo=OSLO, fold=n) for n in (0, 1))
    Schedule("nightly", Every(minutes=15), MESSAGE, start=first, end=second)
    with pytest.raises(ConfigurationError, match="before it starts"):
        Schedule("nightly", Every(minutes=15), MESSAGE, start=second, end=first)


@pytest.mark.parametrize(
    "timing",
    [Every(hours=1), Cron("0 3 * * *"), At(datetime(2030, 1, 1, tzinfo=UTC))],
    ids=["every", "cron", "at"],
)
def test_what_comes_after_a_naive_datetime_is_refused(timing):
    naive = datetime(2026, 11, 22, 12)  # noqa: DTZ001 - that is the mistake
    for ask in (timing, Schedule("nightly", timing, MESSAGE)):
        with pytest.raises(ConfigurationError, match="has no zone"):
            ask.next_after(naive)


def test_two_schedules_of_one_name_are_refused():
    twice = [Schedule("nightly", Every(hours=n), MESSAGE) for n in (1, 2)]
    with pytest.raises(ConfigurationError, match="two schedules are named 'nightly'"):
        Scheduler(app, {"tasks.schedules": twice})


def test_schedules_that_are_no_list_are_told_of_and_stop_nothing(
    tmp_path, monkeypatch, caplog
):
    folder = tmp_path / "nightly_jobs"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "schedules.py").write_text("schedules = 5\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    wrong = App(queues=[Queue("default")], tasks="nightly_jobs", engine="memory")
    assert declared_schedules(wrong) == {}
    assert "nightly_jobs.schedules: schedules is 5, expected a list of" in caplog.text
    assert "Traceback" not in caplog.text


def test_schedules_are_declared_by_more_than_modules(caplog):
    other = App(queues=[Queue("default")], tasks=(), engine="memory")
    nightly = Schedule("nightly", Every(hours=24), MESSAGE)
    other.declarations["beat"] = lambda: [nightly]
    other.declarations["broken"] = {}.popitem
    assert declared_schedules(other) == {"beat": [nightly]}
    assert "broken: it does not import" in caplog.text
