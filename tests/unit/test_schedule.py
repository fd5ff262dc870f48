from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from headway import App, Cron, Every, Queue, Schedule
from headway.errors import ConfigurationError
from headway.options import JOB_ID
from headway.scheduler import Scheduler, declared

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
    assert declared(wrong) == {}
    assert "nightly_jobs.schedules gives no list `schedules`" in caplog.text
