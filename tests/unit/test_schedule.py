from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway import App, Cron, Every, Queue, Schedule
from headway.errors import ConfigurationError
from headway.options import JOB_ID
from headway.scheduler import Scheduler, declared

NAIVE = datetime  # hypothesis adds the zone itself
OSLO = ZoneInfo("Europe/Oslo")
app = App(queues=[Queue("default")], tasks="tasks", engine="memory")


def work() -> None:
    return None


MESSAGE = app.task(work).message()


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "latest"),
    [
        (utc(2026, 11, 22, 2, 59, 59), utc(2026, 11, 21, 3)),
        (utc(2026, 11, 22, 3), utc(2026, 11, 22, 3)),
        (utc(2026, 11, 22, 3, 0, 0, 1), utc(2026, 11, 22, 3)),
        (utc(2026, 1, 1), utc(2025, 12, 31, 3)),
    ],
)
def test_a_cron_line_names_its_latest_moment(now, latest):
    assert Cron("0 3 * * *").latest(now) == latest


def test_a_cron_line_is_read_in_its_zone():
    nightly = Cron("0 3 * * *", zone="Europe/Oslo")
    assert nightly.latest(utc(2026, 7, 1, 12)) == utc(2026, 7, 1, 1)
    assert nightly.latest(utc(2026, 12, 1, 12)) == utc(2026, 12, 1, 2)
    assert nightly.latest(utc(2026, 12, 1, 12)).tzinfo is UTC


@pytest.mark.parametrize("day", [(2026, 3, 29), (2026, 10, 25)])
def test_a_daily_line_runs_once_a_day_when_the_clocks_change(day):
    nightly = Cron("30 3 * * *", zone="Europe/Oslo")
    begin = datetime(*day, tzinfo=OSLO).astimezone(UTC)
    moments = {
        nightly.latest(begin + timedelta(minutes=10 * step)) for step in range(150)
    }
    assert (
        len(
            [
                m
                for m in moments
                if m.astimezone(OSLO).date() == begin.astimezone(OSLO).date()
            ]
        )
        == 1
    )


@pytest.mark.parametrize("line", ["", "x", "* * * *", "61 * * * *", "0 0 31 2 *"])
def test_a_line_that_means_nothing_is_refused(line):
    with pytest.raises(ConfigurationError, match=r"^Cron\(.*expected five fields"):
        Cron(line)


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "", "../etc/passwd"])
def test_an_unknown_zone_is_refused(zone):
    with pytest.raises(ConfigurationError, match="no such zone"):
        Cron("0 3 * * *", zone=zone)


@given(
    st.sampled_from(["* * * * *", "*/7 * * * *", "0 3 * * 1-5", "15 2 1 * *"]),
    st.sampled_from(["UTC", "Europe/Oslo", "Asia/Kathmandu", "America/New_York"]),
    st.datetimes(
        NAIVE(2025, 1, 1),
        NAIVE(2027, 1, 1),
        timezones=st.just(UTC),
    ),
)
def test_the_latest_moment_is_never_after_now_and_its_own_latest(line, zone, now):
    cron = Cron(line, zone=zone)
    latest = cron.latest(now)
    assert latest <= now
    assert cron.latest(latest) == latest


@given(
    st.floats(1, 10_000),
    st.datetimes(NAIVE(1971, 1, 1), NAIVE(2100, 1, 1), timezones=st.just(UTC)),
)
def test_an_interval_is_counted_from_1970_whenever_it_is_asked(seconds, now):
    every = Every(seconds=seconds)
    latest = every.latest(now)
    assert timedelta(0) <= now - latest < every.interval
    assert (latest - utc(1970, 1, 1)) % every.interval == timedelta(0)


@pytest.mark.parametrize("span", [{}, {"seconds": 0.5}, {"minutes": -1}])
def test_an_interval_below_a_second_is_refused(span):
    with pytest.raises(ConfigurationError, match="expected a second or more"):
        Every(**span)


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
        Scheduler(app, twice)


def test_schedules_that_are_no_list_are_told_of_and_stop_nothing(
    tmp_path, monkeypatch, caplog
):
    folder = tmp_path / "nightly_jobs"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "schedules.py").write_text("schedules = 5\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    wrong = App(queues=[Queue("default")], tasks="nightly_jobs", engine="memory")
    assert declared(wrong) == []
    assert "nightly_jobs.schedules gives no list `schedules`" in caplog.text
