"""`headway schedules import`, as a person types it."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime

import pytest
from rq_scheduler import Scheduler

from headway.wire import keys
from tests.conftest import SAMPLE


@pytest.fixture
def imported(command, environment, tmp_path):
    """Run the command beside a file for `rq cron`."""
    shutil.copy(SAMPLE / "sample_rq_cron.py", tmp_path / "cron_config.py")
    environment["TZ"] = "Europe/Oslo"
    return lambda *words: command("headway", "schedules", "import", "--from", *words)


def test_a_file_for_rq_cron(imported, store):
    dry = imported("rq-cron", "cron_config.py", "--dry-run")
    assert dry.returncode == 1
    assert dry.stderr == (
        "lines of cron are read in Europe/Oslo, this machine's zone; --zone names "
        "another (RQ before 3 has read them in UTC: --zone UTC)\n"
    )
    assert not store.exists(keys.SCHEDULES)
    *rows, told = dry.stdout.splitlines()
    words = [word.strip() for word in rows[0].split("  ") if word]
    task = "sample_tasks.basic.add"
    assert words == ["nightly", "30 3 * * * in Europe/Oslo", task, "made"]
    assert "    its meta is left out" in rows
    assert told == "4 made, 2 not made; nothing was changed (--dry-run)"
    for word in ("made", "as before"):
        done = imported("rq-cron", "cron_config.py")
        assert done.stdout.splitlines()[-1] == f"4 {word}, 2 not made"
    assert store.hlen(keys.SCHEDULES) == 4


def test_the_module_of_a_celery_application(imported, store):
    done = imported("celery-beat", "sample_beat", "--zone", "Asia/Kolkata")
    assert done.stderr == ""
    assert "30 3 * * * in Asia/Kolkata" in done.stdout
    assert "office-hours " in done.stdout  # as it is named here
    assert done.stdout.splitlines()[-1] == "8 made, 6 not made"
    assert done.returncode == 1


def test_what_rq_scheduler_has_in_redis(imported, store, environment):
    environment["HEADWAY_APP"] = "sample_pickle_app:app"
    nothing = imported("rq-scheduler")
    assert (nothing.returncode, nothing.stdout) == (0, "nothing was found\n")
    theirs = Scheduler(connection=store)
    tick = "sample_ledger.tick"
    theirs.schedule(datetime.now(UTC), tick, ["a"], interval=60, id="often")
    dry = imported("rq-scheduler", "--dry-run")
    assert dry.stdout.endswith("1 made; nothing was changed (--dry-run)\n")
    done = imported("rq-scheduler")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "1 made")
    assert imported("rq-scheduler").stdout == "nothing was found\n"


def test_what_a_stranger_wrote_moves_no_cursor(imported, store, environment):
    environment["HEADWAY_APP"] = "sample_pickle_app:app"
    hostile = "\x1b[2J\r\nnightly"
    theirs = Scheduler(connection=store)
    theirs.schedule(datetime.now(UTC), f"gone.{hostile}", interval=60)
    dry = imported("rq-scheduler", "--dry-run")
    assert "gone.\N{REPLACEMENT CHARACTER}[2J" in dry.stdout
    assert all(line.isprintable() for line in dry.stdout.splitlines())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("rq-cron",), "the file that `rq cron` is given"),
        (("celery-beat",), "the module"),
        (("rq-scheduler", "some.py"), "its jobs are in Redis"),
        (("cron",), "'rq-scheduler', 'rq-cron', 'celery-beat'"),
        (("rq-cron", "lost.py"), "lost"),
        (("rq-cron", "cron_config.py", "--zone", "Oslo"), "Oslo"),
    ],
)
def test_what_is_typed_wrong_is_said(imported, words, said):
    done = imported(*words)
    assert done.returncode in (1, 2)
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
