"""What `headway schedules` prints, letter by letter."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from headway.cli.timetable import history, portrait, table
from headway.schedules import ScheduleInfo
from headway.timetable import Tick

NOW = datetime(2026, 11, 26, 18, 48, tzinfo=UTC)
OSLO = ZoneInfo("Europe/Oslo")
NIGHT = datetime(2026, 11, 27, 3, 0, tzinfo=OSLO)
SENT = Tick(
    due=datetime(2026, 11, 26, 2, 0, tzinfo=UTC),
    sent_at=datetime(2026, 11, 26, 2, 0, 0, 24_000, tzinfo=UTC),
    job_id="cron-nightly-20261126T020000Z",
    outcome="finished",
)
MISSED = Tick(
    due=datetime(2026, 11, 25, 2, 0, tzinfo=UTC),
    outcome="missed",
    reason="it was paused",
    count=3,
)
NIGHTLY = ScheduleInfo(
    name="nightly",
    timing="0 3 * * * in Europe/Oslo",
    task="tasks.cleaning.sweep",
    args=(30, "all"),
    kwargs={"deep": True},
    queue="low",
    next_due=NIGHT,
    last=SENT,
    paused=False,
    declared="tasks.schedules",
    zone="Europe/Oslo",
    misfire="once",
    misfire_limit=100,
    grace=timedelta(minutes=1),
    overlap="allow",
)
QUICK = replace(
    NIGHTLY, name="quick", timing="every 15 minutes", declared="", zone="UTC"
)


def lines(*infos: ScheduleInfo) -> list[str]:
    return list(table(infos, NOW))


def test_the_table_says_when_it_is_next_and_how_the_last_one_ended():
    paused = replace(QUICK, paused=True, next_due=None, last=MISSED)
    head, nightly, quick = lines(NIGHTLY, paused)
    assert head == (
        "SCHEDULE  WHEN                      NEXT                                 "
        "LAST                FROM"
    )
    assert nightly == (
        "nightly   0 3 * * * in Europe/Oslo  Fri 27 Nov 03:00 CET, in 7 h 12 min  "
        "finished, 16 h ago  tasks.schedules"
    )
    assert quick == (
        "quick     every 15 minutes          paused                               "
        "missed 3, 1 d ago   run time"
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"next_due": None}, "none any more"),
        ({"last": None}, "none yet"),
        ({"last": replace(MISSED, count=None)}, "missed many, 1 d ago"),
        ({"last": replace(MISSED, count=1)}, "missed, 1 d ago"),
        ({"last": replace(SENT, outcome="")}, "sent, 16 h ago"),
        (
            {"next_due": NOW - timedelta(minutes=3)},
            "Thu 26 Nov 18:45 UTC, due 3 min ago",
        ),
    ],
)
def test_the_table_has_a_word_for(change, words):
    assert words in lines(replace(NIGHTLY, **change))[1]


def test_a_problem_stands_beneath_its_schedule():
    lost = replace(
        NIGHTLY, name="lost", timing="", next_due=None, problem="no such task"
    )
    about = lines(lost, NIGHTLY)
    assert about[1].startswith("lost      -                         -   ")
    assert about[2] == "    problem: no such task"
    assert about[3].startswith("nightly")


def test_what_a_stranger_wrote_moves_no_cursor():
    hostile = "\x1b[2J\r\nnightly"
    info = replace(NIGHTLY, name=hostile, problem=hostile, task=hostile)
    tick = replace(MISSED, reason=hostile, outcome=hostile, job_id=hostile)
    said = [*lines(info), *portrait(info, [], NOW), *history(info, [tick], NOW)]
    assert all(line.isprintable() for line in said)


def test_the_portrait_tells_all():
    info = replace(NIGHTLY, misfire="all", start=NOW - timedelta(days=1), end=NIGHT)
    assert list(portrait(info, [NIGHT], NOW)) == [
        "nightly",
        "  when     0 3 * * * in Europe/Oslo",
        '  task     tasks.cleaning.sweep(30, "all", deep=true)',
        "  queue    low",
        "  from     tasks.schedules",
        "  next     Fri 27 Nov 03:00 CET, in 7 h 12 min",
        "  last     finished, 16 h ago",
        "  start    Wed 25 Nov 19:48 CET",
        "  end      Fri 27 Nov 03:00 CET",
        "  misfire  all, 100 at most, for what is later than 1 minute",
        "  overlap  allow",
        "next ticks",
        "  Fri 27 Nov 03:00 CET, in 7 h 12 min",
    ]
    paused = list(portrait(replace(info, paused=True), [NIGHT], NOW))
    assert "next ticks, if it were resumed now" in paused
    lost = list(portrait(replace(QUICK, problem="no such task"), [], NOW))
    assert lost[4:] == [
        "  from     run time",
        "  next     -",
        "  last     finished, 16 h ago",
        "  problem  no such task",
    ]


def test_what_is_beyond_the_calendar_of_its_zone_is_told_in_its_own():
    last = datetime.max.replace(tzinfo=UTC)
    info = replace(NIGHTLY, zone="Asia/Tokyo", end=last, last=None)
    assert "  end      Fri 31 Dec 9999 23:59:59 UTC" in list(portrait(info, [], NOW))
    first = datetime.min.replace(tzinfo=UTC)
    west = replace(info, zone="America/New_York", start=first, end=None)
    assert "  start    Mon 1 Jan 1 00:00 UTC" in list(portrait(west, [], NOW))
    far = replace(SENT, due=last, sent_at=None)
    assert list(history(info, [far], NOW))[1].startswith("Fri 31 Dec 9999 23:59:59 UTC")


def test_the_history_has_the_job_of_each_tick_or_the_reason():
    by_hand = replace(SENT, by_hand=True, outcome="failed")
    assert list(history(NIGHTLY, [SENT, MISSED, by_hand], NOW)) == [
        "DUE                   SENT        OUTCOME   JOB",
        "Thu 26 Nov 03:00 CET  24 ms late  finished  cron-nightly-20261126T020000Z",
        "Wed 25 Nov 03:00 CET  -           missed 3  -",
        "    it was paused",
        "Thu 26 Nov 03:00 CET  by hand     failed    cron-nightly-20261126T020000Z",
    ]
