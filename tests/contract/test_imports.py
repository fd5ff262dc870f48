"""Schedules of other tools, as their own files and objects have them."""

from __future__ import annotations

import shutil
import sys
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from celery import Celery
from celery.schedules import schedule
from celery.utils.time import LocalTimezone

from headway import At, Cron, Every, Schedule, Solar
from headway.errors import ConfigurationError
from headway.migrate import celery_beat, rq_cron
from headway.migrate import machine_zone as of_machine
from headway.migrate.end_after import end_after
from headway.migrate.found import Found
from headway.migrate.keep import keep
from headway.migrate.machine_zone import machine_zone
from headway.migrate.rq_options import options_of
from tests.conftest import SAMPLE

OSLO = "Europe/Oslo"


def by_name(found: list[Found]) -> dict[str, Found]:
    return {each.name: each for each in found}


def carried(found: Found) -> Schedule:
    assert isinstance(found.carried, Schedule), found.notes
    return found.carried


@pytest.fixture
def beat(sample_app) -> dict[str, Found]:
    return by_name(celery_beat.read(sample_app, "sample_beat", None))


@pytest.mark.parametrize(
    ("name", "timing"),
    [
        ("nightly", Cron("30 3 * * *", zone=OSLO)),
        ("office hours", Cron("*/15 9,10,11,12,13,14,15,16 * * 1,2,3,4,5", zone=OSLO)),
        ("on the hour", Cron("0 * * * *", zone=OSLO)),
        ("twice a month", Cron("0 6,18 1,15 * *", zone=OSLO)),
        ("each quarter", Cron("5 0 1 */3 *", zone=OSLO)),
        ("seconds", Every(seconds=30.0)),
        ("span", Every(seconds=300.0)),
        ("object", Every(seconds=7200.0)),
    ],
)
def test_what_beat_is_told_is_due_at_the_same_times(beat, name, timing):
    assert carried(beat[name]).timing == timing


def test_crontabs_of_celery_and_lines_of_ours_are_due_together(beat):
    """An oracle: Celery's own rule, asked for the time that is left."""
    import sample_beat

    entries = sample_beat.app.conf.beat_schedule
    begin = datetime(2026, 5, 4, 12, 7, tzinfo=UTC)
    asked = ("nightly", "office hours", "on the hour", "twice a month", "each quarter")
    for name in asked:
        moment = begin
        crontab = entries[name]["schedule"]
        crontab.app = sample_beat.app
        for _ in range(30):
            crontab.nowfun = lambda now=moment: now
            theirs = moment + crontab.remaining_estimate(moment)
            ours = carried(beat[name]).timing.next_after(moment)
            assert ours == theirs.astimezone(UTC), name
            moment = ours


def test_what_beat_sends_is_sent_as_it_is_said(beat):
    found = beat["nightly"]
    message = carried(found).message
    assert message.task == "sample_tasks.basic.add"
    assert message.arguments.args == (1, 2)
    assert message.options["queue"] == "low"
    assert message.options["expires"] == timedelta(minutes=10)
    assert found.notes == ("its option priority=5 is left out",)
    assert carried(beat["office hours"]).name == "office-hours"
    assert carried(beat["office hours"]).message.arguments.kwargs == {"one": 1}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("friday the 13th", "here is for either"),
        ("too fast", "expected a second or more"),
        ("gone", "no such function"),
        ("elsewhere", "may not run"),
        ("no queue", "no queue 'celery'"),
        ("no arguments", "missing"),
    ],
)
def test_what_beat_is_told_in_vain_says_why(beat, name, why):
    assert beat[name].carried is None
    assert why in beat[name].notes[0]


class Other:
    def __repr__(self) -> str:
        return "<other>"


@pytest.fixture
def module(monkeypatch) -> ModuleType:
    made = ModuleType("sample_own_beat")
    monkeypatch.setitem(sys.modules, "sample_own_beat", made)
    return made


def entry(schedule: object, **more: Any) -> dict[str, Any]:
    return {"task": "sample_tasks.basic.add", "args": [1], "schedule": schedule, **more}


def test_a_dict_needs_no_celery(sample_app, module):
    sun = SimpleNamespace(event="sunset", lat=59.9, lon=10.7)
    module.CELERYBEAT_SCHEDULE = {
        "sun": entry(sun),
        "plain": entry(
            60, options={"queue": None, "time_limit": 30, "expires": timedelta(hours=1)}
        ),
        "other": entry(Other()),
        "yes": entry(True),
        "no": None,
    }
    found = by_name(celery_beat.read(sample_app, "sample_own_beat", None))
    assert carried(found["sun"]).timing == Solar("sunset", 59.9, 10.7)
    options = carried(found["plain"]).message.options
    assert (options["timeout"], options["expires"]) == (
        timedelta(seconds=30),
        timedelta(hours=1),
    )
    assert found["other"].notes[0].startswith("<other> is a Other: known are")
    assert found["yes"].carried is None
    assert found["no"].notes == ("expected a dict with task and schedule, not None",)


def at_three(**more: object) -> SimpleNamespace:
    return SimpleNamespace(
        minute={0},
        hour={3},
        day_of_month=set(range(1, 32)),
        month_of_year=set(range(1, 13)),
        day_of_week=set(range(7)),
        **more,
    )


@pytest.mark.parametrize(
    ("timezone", "zone"),
    [
        (UTC, "UTC"),
        (LocalTimezone(), "Asia/Kolkata"),
        (ZoneInfo("America/Bogota"), "America/Bogota"),
        (SimpleNamespace(zone="America/Bogota"), "America/Bogota"),  # as pytz has it
    ],
)
def test_lines_are_read_where_celery_reads_them(
    sample_app, module, monkeypatch, timezone, zone
):
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    conf = SimpleNamespace(beat_schedule={"nightly": entry(at_three())})
    module.celery = SimpleNamespace(conf=conf, timezone=timezone)
    for said, expected in ((None, zone), (OSLO, OSLO)):
        [found] = celery_beat.read(sample_app, "sample_own_beat:celery", said)
        assert carried(found).timing == Cron("0 3 * * *", zone=expected)


def test_a_zone_without_a_name_is_asked_for(sample_app, module):
    entries = {
        "line": entry(at_three()),
        "own": entry(at_three(tz=ZoneInfo("America/Bogota"))),
        "span": entry(60),
    }
    fixed = timezone(timedelta(hours=2))
    conf = SimpleNamespace(beat_schedule=entries)
    module.celery = SimpleNamespace(conf=conf, timezone=fixed)
    found = by_name(celery_beat.read(sample_app, "sample_own_beat", None))
    assert "say by --zone" in found["line"].notes[0]
    assert carried(found["own"]).timing == Cron("0 3 * * *", zone="America/Bogota")
    assert carried(found["span"])


@pytest.mark.parametrize(
    ("said", "zone"),
    [
        ({"timezone": OSLO}, OSLO),
        ({"CELERY_TIMEZONE": OSLO, "timezone": sys}, OSLO),
        ({"enable_utc": False}, "Asia/Kolkata"),
        ({"CELERY_ENABLE_UTC": True}, "UTC"),
        ({}, "UTC"),
    ],
)
def test_settings_beside_the_schedules_say_their_zone(
    sample_app, module, monkeypatch, said, zone
):
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    vars(module).update(said, beat_schedule={"nightly": entry(at_three())})
    [found] = celery_beat.read(sample_app, "sample_own_beat", None)
    assert carried(found).timing == Cron("0 3 * * *", zone=zone)
    told = ("read in UTC, as no timezone is said; or give --zone",)
    assert found.notes == (() if said else told)


def test_what_is_not_carried_over_is_said(sample_app, module):
    by_day = schedule(run_every=timedelta(days=1), relative=True)
    entries = {
        "hourly": entry(3600, relative=True, enabled=False),
        "daily": entry(by_day, options={"queue": "low"}),
        "routed": entry(60),
    }
    conf = SimpleNamespace(beat_schedule=entries, task_routes={"a": "b"})
    module.celery = SimpleNamespace(conf=conf, timezone=ZoneInfo(OSLO))
    found = by_name(celery_beat.read(sample_app, "sample_own_beat", None))
    routes = "task_routes is not read: its queue is that of the task"
    assert found["hourly"].notes == (
        "relative is left out: its interval counts from 1970 in UTC",
        "its enabled=False is left out",
        routes,
    )
    assert carried(found["daily"]).timing == Cron("0 0 * * *", zone=OSLO)
    assert found["daily"].notes == ()
    assert found["routed"].notes == (routes,)


def test_what_is_added_when_the_application_is_ready_is_found(sample_app, module):
    module.celery = celery = Celery("late", broker="memory://", set_as_current=False)

    @celery.on_after_finalize.connect
    def add(sender: Celery, **_more: object) -> None:
        task = sender.signature("sample_tasks.basic.add", (1,))
        sender.add_periodic_task(30.0, task, name="late")

    celery.conf.imports = ["sample_late_beat"]
    with pytest.raises(ConfigurationError, match="sample_late_beat"):
        celery_beat.read(sample_app, "sample_own_beat", None)
    celery.conf.imports = []
    del celery.loader.__dict__["default_modules"]
    celery.conf.timezone = "Europe/Atlantis"
    with pytest.raises(ConfigurationError, match="Atlantis"):
        celery_beat.read(sample_app, "sample_own_beat", None)
    celery.conf.timezone = OSLO
    [found] = celery_beat.read(sample_app, "sample_own_beat", None)
    assert (found.name, carried(found).timing) == ("late", Every(seconds=30))


def test_an_application_without_schedules_says_so(sample_app, module):
    module.celery = Celery("empty", broker="memory://", set_as_current=False)
    with pytest.raises(ConfigurationError, match="has no schedules"):
        celery_beat.read(sample_app, "sample_own_beat", None)


class Proxy:
    """As Flask's `current_app` is outside of an application."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError("Working outside of application context.")


def test_a_proxy_that_is_imported_beside_is_passed_over(sample_app, module):
    module.current_app = Proxy()
    module.beat_schedule = {"span": entry(60)}
    [found] = celery_beat.read(sample_app, "sample_own_beat", "UTC")
    assert carried(found).timing == Every(seconds=60)


def test_a_module_without_schedules_says_what_was_looked_for(sample_app, module):
    with pytest.raises(ConfigurationError, match="no dict named beat_schedule or"):
        celery_beat.read(sample_app, "sample_own_beat", None)
    with pytest.raises(ConfigurationError, match="sample_lost cannot be imported"):
        celery_beat.read(sample_app, "sample_lost", None)


@pytest.fixture
def registered(sample_app, monkeypatch) -> list[Found]:
    monkeypatch.chdir(SAMPLE)
    return rq_cron.read(sample_app, "sample_rq_cron.py", OSLO)


def test_what_a_file_for_rq_cron_registers(registered):
    names = ["nightly", *["sample_tasks-basic-add" + n for n in ("", "-2", "-3")]]
    assert [carried(each).name for each in registered[:4]] == names
    nightly, often, noted, seconds = map(carried, registered[:4])
    assert nightly.timing == Cron("30 3 * * *", zone=OSLO)
    assert nightly.message.options["queue"] == "low"
    assert "result_ttl" not in nightly.message.options
    assert often.timing == Every(seconds=300)
    assert often.message.arguments.kwargs == {"one": 1}
    options = often.message.options
    assert options["timeout"] == timedelta(minutes=1)
    assert options["expires"] == timedelta(minutes=2)
    assert options["result_ttl"] == timedelta(hours=1)
    assert options["failure_ttl"] == timedelta(hours=2)
    assert noted.timing == Every(seconds=60)
    assert registered[2].notes == (
        "results are kept for 500 seconds, not for ever",
        "its meta is left out",
    )
    # RQ has the seconds at the end of a line, and we in front.
    assert seconds.timing == Cron("15 0 3 * * *", zone=OSLO)


def test_what_is_registered_in_vain_says_why(registered):
    whys = [each.notes[0] for each in registered[4:]]
    assert "no queue 'elsewhere'" in whys[0]
    assert "rq cron itself refuses it: Cannot specify both" in whys[1]
    assert all(each.carried is None for each in registered[4:])


def test_a_file_that_does_not_load_says_so(sample_app):
    with pytest.raises(ConfigurationError, match=r"sample_lost\.py: .*sample_lost"):
        rq_cron.read(sample_app, "sample_lost.py", OSLO)


def test_schedules_are_kept_once(sample_app, redis_url, registered, monkeypatch):
    monkeypatch.setenv("REDIS_URL", redis_url)
    schedules = sample_app.schedules
    dry = keep(sample_app, registered, dry_run=True)
    assert [each.done for each in dry] == ["made"] * 4 + [""] * 2
    assert schedules.all() == []
    for word in ("made", "as before"):
        kept = keep(sample_app, registered, dry_run=False)
        assert [each.done for each in kept] == [word] * 4 + [""] * 2
    assert len(schedules.all()) == 4
    [nightly, *_] = rq_cron.read(sample_app, "sample_rq_cron.py", "UTC")
    assert keep(sample_app, [nightly], dry_run=False)[0].done == "changed"
    assert schedules.get("nightly").timing == "30 3 * * * in UTC"


def test_schedules_of_others_are_left_alone(
    sample_app, redis_url, registered, monkeypatch
):
    monkeypatch.setenv("REDIS_URL", redis_url)
    tasks = sys.modules["sample_tasks.basic"]
    other = Schedule("nightly", Every(hours=1), tasks.fail.message("other"))
    sample_app.schedules.add(other)
    [kept] = keep(sample_app, registered[:1], dry_run=False)
    assert "there is a schedule 'nightly' of sample_tasks.basic.fail" in kept.notes[0]
    sample_app.schedules.declare({"sample_tasks.schedules": [other]})
    [kept] = keep(sample_app, registered[:1], dry_run=False)
    assert "declared in sample_tasks.schedules" in kept.notes[0]
    assert kept.carried is None


def test_one_of_another_file_is_told_from_a_change(sample_app, redis_url, monkeypatch):
    monkeypatch.setenv("REDIS_URL", redis_url)
    add = sys.modules["sample_tasks.basic"].add

    def kept(timing: Every, message: Any) -> Found:
        schedule = Schedule("sync", timing, message)
        found = Found(name="sync", task="", when="", carried=schedule)
        return keep(sample_app, [found], dry_run=True)[0]

    there = add.using(queue="low").message(1)
    sample_app.schedules.add(Schedule("sync", Every(hours=1), there))
    assert kept(Every(hours=1), there).done == "as before"
    assert kept(Every(hours=2), there).done == "changed"
    for other, why in (
        (add.using(queue="low").message(2), "args [1], not [2]: rename"),
        (add.using(queue="low").message(1, other=2), "kwargs {}, not {'other': 2}"),
        (add.message(1), "queue 'low', not None"),
    ):
        found = kept(Every(hours=1), other)
        assert found.done == ""
        assert why in found.notes[0]


def test_to_look_tells_of_what_would_never_be_sent(sample_app, redis_url, monkeypatch):
    monkeypatch.setenv("REDIS_URL", redis_url)
    message = sys.modules["sample_tasks.basic"].add.message(1)
    over = Schedule("over", At(datetime(2020, 1, 1, tzinfo=UTC)), message)
    found = Found(name="over", task="", when="", carried=over)
    [kept] = keep(sample_app, [found], dry_run=True)
    assert kept.done == ""
    assert "no tick after now" in kept.notes[0]


@pytest.mark.parametrize(
    ("said", "zone"),
    [
        ("Europe/Oslo", OSLO),
        (":Europe/Oslo", OSLO),
        ("/usr/share/zoneinfo/Europe/Oslo", OSLO),
    ],
)
def test_the_zone_of_a_machine(said, zone, monkeypatch):
    monkeypatch.setenv("TZ", said)
    assert machine_zone() == zone


def test_a_zone_that_has_no_name_is_asked_for(monkeypatch):
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0")
    with pytest.raises(ConfigurationError, match="say which it is"):
        machine_zone()
    monkeypatch.delenv("TZ")
    assert machine_zone()


@pytest.fixture
def set_clock(monkeypatch):
    """Have this process's clock go by a file, as it does by /etc/localtime."""

    def set_(clock: Path, zone: str) -> None:
        shutil.copy(f"/usr/share/zoneinfo/{zone}", clock)
        for said in ("UTC0", f":{clock}"):  # what is said anew is read anew
            monkeypatch.setenv("TZ", said)
            time.tzset()

    yield set_
    monkeypatch.undo()
    time.tzset()


def test_a_system_says_its_zone_by_a_link_or_a_name(set_clock, monkeypatch, tmp_path):
    clock, name = tmp_path / "localtime", tmp_path / "timezone"
    monkeypatch.setattr(of_machine, "_CLOCK", clock)
    monkeypatch.setattr(of_machine, "_NAME", name)
    set_clock(clock, "UTC")
    assert machine_zone() == "UTC"
    set_clock(clock, "Asia/Kolkata")
    name.write_text("Asia/Kolkata\n")
    assert machine_zone() == "Asia/Kolkata"
    set_clock(clock, OSLO)
    clock.unlink()
    clock.symlink_to(f"/usr/share/zoneinfo/{OSLO}")
    assert machine_zone() == OSLO


@pytest.mark.parametrize("zone", ["Europe/London", OSLO, "America/Bogota"])
def test_a_clock_that_goes_by_another_zone_is_asked_for(
    set_clock, monkeypatch, tmp_path, zone
):
    """As where /etc/localtime is a file that nobody names."""
    clock = tmp_path / "localtime"
    monkeypatch.setattr(of_machine, "_CLOCK", clock)
    monkeypatch.setattr(of_machine, "_NAME", tmp_path / "timezone")
    set_clock(clock, zone)
    with pytest.raises(ConfigurationError, match="from UTC at .*say which it is"):
        machine_zone()


def test_a_timing_may_have_fewer_moments_than_are_asked_for():
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    once = At(begin + timedelta(hours=1))
    assert end_after(once, begin, 1) == once.moment
    assert end_after(once, begin, 2) is None


@pytest.mark.parametrize("timeout", ["soon", "1 year", [], "x"])
def test_a_timeout_that_rq_does_not_read_is_refused(timeout):
    with pytest.raises(ConfigurationError, match="expected seconds"):
        options_of({"timeout": timeout})


def test_what_rq_keeps_for_ever_is_said():
    options, notes = options_of({"failure_ttl": -1, "ttl": -1, "timeout": "1h"})
    assert options == {"timeout": timedelta(hours=1)}
    assert notes == ["failed jobs are kept for a year, not for ever"]
