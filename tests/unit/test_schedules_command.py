"""`headway schedules`: what a person types, and what comes of it."""

from __future__ import annotations

import importlib
import json
from datetime import UTC, datetime, timedelta

import pytest

from headway import At, Cron, Every, Schedule
from headway.app import load_app
from headway.cli import call
from headway.cli.timing import moment, timing
from headway.declared_schedules import declared_schedules
from headway.errors import ArgumentError, ConfigurationError
from headway.scheduler import Scheduler


@pytest.fixture
def app(sample, redis_url, monkeypatch):
    monkeypatch.setenv("REDIS_URL", redis_url)
    app = load_app("sample_app:app")
    app.registry.import_all()
    yield app
    app.close()


@pytest.fixture
def basic(app):
    return importlib.import_module("sample_tasks.basic")


@pytest.fixture
def headway(command):
    """Run `headway schedules` with arguments; return what it printed."""

    def run(*arguments: str, code: int = 0) -> str:
        done = command("headway", "schedules", *arguments)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    return run


def test_schedules_are_made_listed_held_sent_and_forgotten(app, headway):
    assert headway() == (
        "the code declares sum, and no scheduler has run since: start `headway "
        "scheduler`\n"
    )
    said = headway(
        *("add", "nightly", "sample_tasks.basic.add", "1", "other=2"),
        *("--cron", "0 3 * * *", "--zone", "Europe/Oslo", "--queue", "low"),
    )
    assert said.startswith("added nightly: 0 3 * * * in Europe/Oslo; next: ")
    listed = headway("list")
    assert "nightly   0 3 * * * in Europe/Oslo" in listed
    assert "none yet  run time" in listed
    assert "the code declares sum, and no scheduler" in listed
    assert headway("pause", "nightly") == "paused nightly\n"
    [info] = json.loads(headway("--json"))
    assert (info["name"], info["paused"], info["next_due"]) == ("nightly", True, None)
    assert (info["args"], info["kwargs"]) == ([1], {"other": 2})
    assert headway("resume", "nightly") == "resumed nightly\n"
    [info] = json.loads(headway("list", "--json"))
    assert datetime.fromisoformat(info["next_due"]).hour == 3

    job_id = headway("run", "nightly").strip()
    assert app.job(job_id).info().queue == "low"
    assert f"by hand  queued   {job_id}" in headway("history", "nightly")
    [tick] = json.loads(headway("history", "nightly", "--json"))
    assert (tick["job_id"], tick["by_hand"]) == (job_id, True)

    assert headway("remove", "nightly") == "removed nightly\n"
    assert "the code declares sum" in headway()


def test_one_is_shown_with_its_next_ticks_and_its_last(app, basic, headway):
    app.schedules.add(Schedule("hourly", Every(hours=1), basic.add.message(1)))
    said = headway("show", "hourly")
    assert "task     sample_tasks.basic.add(1)" in said
    assert len(said.partition("next ticks\n")[2].splitlines()) == 5
    assert headway("history", "hourly") == "nothing was sent of hourly yet\n"
    app.schedules.run_now("hourly")
    assert "history\n  DUE" in headway("show", "hourly")
    found = json.loads(headway("show", "hourly", "--json"))
    assert len(found["coming"]) == 5
    assert len(found["history"]) == 1


def test_json_is_asked_of_the_command_that_prints_it(app, basic, headway):
    app.schedules.add(Schedule("hourly", Every(hours=1), basic.add.message(1)))
    said = headway("--json", "show", "hourly", code=2)
    assert "--json belongs behind the command: headway schedules show --json" in said


@pytest.mark.parametrize(
    "words",
    ["schedules", "schedules add", "schedules import", "schedules show", "failed list"],
)
def test_help_needs_no_application_and_no_redis(command, words):
    nothing = {"HEADWAY_APP": "gone:app", "REDIS_URL": ""}
    done = command("headway", *words.split(), "--help", env=nothing)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Usage: headway {words} ")


def test_what_is_typed_wrong_is_said_before_anything_is_imported(command):
    nothing = {"HEADWAY_APP": "gone:app", "REDIS_URL": ""}
    done = command("headway", "schedules", "show", env=nothing)
    assert (done.returncode, "Missing argument 'NAME'" in done.stderr) == (2, True)
    done = command("headway", "schedules", env=nothing | {"REDIS_URL": "redis://no"})
    assert (done.returncode, "'gone'" in done.stderr) == (2, True)


def test_one_that_cannot_be_read_is_listed_with_the_reason(app, basic, headway):
    lost = basic.add.message(1)._replace(task="sample_tasks.basic.gone")
    app.schedules.add(Schedule("lost", Every(hours=1), lost))
    listed = headway()
    assert "    problem: 'sample_tasks.basic.gone': the module has no such" in listed
    assert "  problem  'sample_tasks.basic.gone'" in headway("show", "lost")
    assert headway("remove", "lost") == "removed lost\n"


def test_one_of_which_nothing_can_be_read_is_removed(app, store, headway):
    store.hset("headway:schedules", "broken", "[")
    store.hset("headway:schedule:broken", "cursor", "many")
    assert "no schedule 'broken'" in headway("show", "broken", code=2)
    assert headway("remove", "broken") == "removed broken\n"
    assert not store.exists("headway:schedules", "headway:schedule:broken")


def test_a_schedule_is_replaced_only_when_told(app, basic, headway):
    made = ("add", "often", "sample_tasks.basic.add", "1", "--every", "1h")
    headway(*made)
    said = headway(*made, code=2)
    assert "there is a schedule 'often': take another name, or put this one" in said
    headway(*made[:3], "5", "--every", "90m", "--replace")
    assert app.schedules.get("often").args == (5,)
    assert app.schedules.get("often").timing == "every 1 hour 30 minutes"


def test_a_name_that_is_not_there_is_refused_before_anything_is_done(
    app, basic, headway
):
    app.schedules.add(Schedule("nightly", Every(hours=1), basic.add.message(1)))
    said = headway("pause", "nightly", "nightyl", code=2)
    assert "no schedule 'nightyl': did you mean 'nightly'?" in said
    assert not app.schedules.get("nightly").paused
    assert "it never was, it was removed, or" in headway("show", "other", code=2)


def test_what_the_code_declares_is_not_removed_here(app, headway):
    app.schedules.declare(declared_schedules(app))
    said = headway("remove", "sum", code=2)
    assert "declared in sample_tasks.schedules: remove it there, or pause it" in said
    assert "sample_tasks.schedules" in headway()


def test_nothing_is_removed_where_one_of_them_must_stay(app, basic, headway):
    app.schedules.declare(declared_schedules(app))
    for name in ("first", "last"):
        app.schedules.add(Schedule(name, Every(hours=1), basic.add.message(1)))
    said = headway("remove", "first", "sum", "last", code=2)
    assert said.startswith("Error: schedule 'sum' is declared in sample_tasks.")
    assert {info.name for info in app.schedules} == {"first", "last", "sum"}
    said = headway("remove", "first", "sum", "--declared")
    assert said == "removed first\nremoved sum\n"


def test_nobody_who_sends_is_said(app, basic, store, headway):
    app.schedules.add(Schedule("quick", Every(seconds=1), basic.add.message(1)))
    store.zadd("headway:schedules:due", {"quick": 1})
    hint = "1 schedule has been due for "
    assert hint in headway()
    assert "start `headway scheduler`, or a worker with --with-scheduler" in headway()
    scheduler = Scheduler(app)
    scheduler.round()
    store.persist("headway:schedules:leader")  # it goes on, as far as is known
    store.zadd("headway:schedules:due", {"quick": 1})
    assert hint not in headway()


def test_an_application_without_any_is_told_how_to_make_one(command, tmp_path):
    (tmp_path / "other.py").write_text(
        "from headway import App, Queue\n"
        "app = App(queues=[Queue('default')], tasks='other')\n"
    )
    done = command("headway", "schedules", env={"HEADWAY_APP": "other:app"})
    assert done.stdout.startswith("no schedules: declare them in schedules.py")
    assert "headway schedules add nightly" in done.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schedule = []", "(ConfigurationError: schedules is None, expected a list"),
        ("import gone", "(ModuleNotFoundError: No module named 'gone'): mend it"),
    ],
)
def test_declarations_that_cannot_be_read_are_no_lack_of_them(
    command, tmp_path, text, said
):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "__init__.py").touch()
    (tmp_path / "other" / "schedules.py").write_text(text)
    (tmp_path / "queues.py").write_text(
        "from headway import App, Queue\n"
        "app = App(queues=[Queue('default')], tasks='other')\n"
    )
    done = command("headway", "schedules", env={"HEADWAY_APP": "queues:app"})
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith(f"other.schedules cannot be read {said}")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({"cron": "0 3 * * *"}, Cron("0 3 * * *")),
        (
            {"cron": "0 3 * * *", "zone": "Europe/Oslo"},
            Cron("0 3 * * *", zone="Europe/Oslo"),
        ),
        ({"every": "15m"}, Every(minutes=15)),
        ({"every": "1h30m"}, Every(hours=1, minutes=30)),
        ({"every": "2d"}, Every(days=2)),
        ({"every": "1.5s"}, Every(seconds=1.5)),
        ({"at": "2030-01-31T09:00Z"}, At(datetime(2030, 1, 31, 9, tzinfo=UTC))),
    ],
)
def test_a_timing_is_spelled_in_one_of_three_ways(given, made):
    found = timing(**{"cron": None, "every": None, "at": None, "zone": None, **given})
    assert found.to_wire() == made.to_wire()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "say when, in one way: --cron"),
        ({"cron": "0 3 * * *", "every": "1h"}, "say when, in one way"),
        ({"every": "15"}, "--every '15': expected a span, as 15m, 1h30m"),
        ({"every": "1h1h"}, "--every '1h1h': expected a span"),
        ({"every": "0s"}, "expected a second or more"),
        ({"at": "tomorrow"}, "--at 'tomorrow': expected a time, as 2030-01-31T09:00"),
        ({"at": "2030-01-31T09:00"}, "does not say its zone: write 2030-01-31T09:00"),
        ({"at": "2030-01-31T09:00", "zone": "Europe/Olso"}, "'Europe/Oslo'"),
        ({"cron": "0 3 * *"}, "0 3 * *"),
    ],
)
def test_a_timing_that_cannot_be_meant_is_refused(given, words):
    with pytest.raises(ConfigurationError) as refused:
        timing(**{"cron": None, "every": None, "at": None, "zone": None, **given})
    assert words in str(refused.value)


def test_times_are_read_in_the_zone_that_is_given():
    local = moment("--start", "2030-01-31T09:00", "Europe/Oslo")
    assert local.isoformat() == "2030-01-31T09:00:00+01:00"
    aware = moment("--start", "2030-01-31T09:00Z", "Europe/Oslo")
    assert aware.isoformat() == "2030-01-31T10:00:00+01:00"
    assert moment("--end", "2030-01-31T09:00+02:00", None).utcoffset() == timedelta(
        hours=2
    )


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("9999-12-31T23:59:59Z", "Asia/Tokyo"),
        ("9999-12-31T23:59:59", "America/New_York"),
        ("9999-12-31T23:59:59-05:00", None),
        ("0001-01-01T00:00Z", "America/New_York"),
    ],
)
def test_a_time_that_some_zone_does_not_have_is_refused(text, zone):
    with pytest.raises(ConfigurationError, match="expected a year from 2 to 9998"):
        moment("--end", text, zone)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--cron", "Cron('', zone='UTC')"),
        ("--every", "--every '': expected a span"),
        ("--at", "--at '': expected a time"),
        ("--start", "--start '': expected a time"),
        ("--end", "--end '': expected a time"),
        ("--zone", "an interval has none"),
        ("--queue", "''"),
    ],
)
def test_an_option_that_was_given_nothing_is_refused(app, headway, option, words):
    when = () if option in {"--cron", "--every", "--at"} else ("--every", "1h")
    made = ("add", "quick", "sample_tasks.basic.add", "1", *when, option, "")
    assert words in headway(*made, code=2)
    assert app.schedules.all() == []


def test_an_empty_zone_is_not_taken_for_none():
    with pytest.raises(ConfigurationError, match="no such zone as ''"):
        timing(cron="0 3 * * *", every=None, at=None, zone="")


def test_a_name_that_the_code_declares_is_refused(app, headway):
    made = ("add", "sum", "sample_tasks.basic.add", "1", "--every", "1h")
    for _ in range(2):  # whether a scheduler has run, or not
        said = headway(*made, code=2)
        assert "the code declares a schedule 'sum': change it there, or take" in said
        assert said == headway(*made, "--replace", code=2)
        app.schedules.declare(declared_schedules(app))


def test_a_number_below_zero_is_named_or_stands_behind_two_dashes(app, headway):
    made = ("sample_tasks.basic.add", "--every", "1h")
    headway("add", "named", *made, "one=-5", "other=-1")
    headway("add", "behind", *made, "--", "-5")
    assert app.schedules.get("named").kwargs == {"one": -5, "other": -1}
    assert app.schedules.get("behind").args == (-5,)
    assert "\n  below zero is named" in headway("add", "--help")


def test_a_line_of_cron_without_quotes_is_said_and_not_its_rest(headway):
    made = ("add", "nightly", "sample_tasks.basic.add", "1")
    said = headway(*made, "--cron", "0", "3", "queues.py", "tasks", "mon", code=2)
    assert said.startswith("Error: Cron('0', zone='UTC'): expected five fields")


def test_an_interval_has_no_zone(app, headway):
    said = headway(
        *("add", "quick", "sample_tasks.basic.add", "1", "--every", "1h"),
        *("--zone", "Europe/Oslo"),
        code=2,
    )
    assert "--zone Europe/Oslo: an interval has none" in said


def test_a_call_is_spelled_as_json_and_checked_as_one_of_the_code(app, basic):
    name = "sample_tasks.basic.echo_moment"
    found = call.message(app, name, ['"2030-01-01T00:00:00Z"'], "low")
    then = datetime(2030, 1, 1, tzinfo=UTC)
    assert found.arguments == basic.echo_moment.message(then).arguments
    assert found.options.get("queue") == "low"
    named = call.message(app, "sample_tasks.basic.add", ["1", "other=3"], None)
    assert named.arguments == basic.add.message(1, other=3).arguments


@pytest.mark.parametrize(
    ("task", "words", "kind", "said"),
    [
        ("add", ["1"], ConfigurationError, "did you mean 'sample_tasks.basic.add'?"),
        (
            "sample_tasks.basic.ad",
            ["1"],
            ConfigurationError,
            "no task 'sample_tasks.basic.ad': did you mean 'sample_tasks.basic.add'?",
        ),
        ("os.system", ['"ls"'], Exception, "may not run"),
        ("sample_tasks.broken.gone", [], ConfigurationError, "sample_tasks.broken"),
        (
            "sample_tasks.basic.add",
            ["x"],
            ConfigurationError,
            """argument x is no JSON; a text has quotes: '"x"'""",
        ),
        (
            "sample_tasks.basic.add",
            ["one=x y"],
            ConfigurationError,
            """argument one=x y is no JSON; a text has quotes: 'one="x y"'""",
        ),
        ("sample_tasks.basic.add", ['"x"'], ArgumentError, "Expected `int`, got `str`"),
        ("sample_tasks.basic.add", [], ArgumentError, "missing a required argument"),
    ],
)
def test_a_call_that_no_worker_could_make_is_refused(app, task, words, kind, said):
    with pytest.raises(kind) as refused:
        call.message(app, task, words, None)
    assert said in str(refused.value)
