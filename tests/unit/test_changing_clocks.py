"""What is told of clocks that change, each with the instants in UTC, by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from headway import Cron

OSLO, NEW_YORK = "Europe/Oslo", "America/New_York"
LORD_HOWE, KOLKATA = "Australia/Lord_Howe", "Asia/Kolkata"

#: What happens: line, zone, after which moment, and the moments that follow.
CASES = {
    "oslo forward: a time that does not exist runs as the gap ends": (
        *("30 2 * * *", OSLO, "2026-03-28 12:00"),
        ["2026-03-29 01:00", "2026-03-30 00:30"],
    ),
    "oslo forward: the first time after the gap is the gap's end": (
        *("0 3 * * *", OSLO, "2026-03-28 12:00"),
        ["2026-03-29 01:00", "2026-03-30 01:00"],
    ),
    "oslo forward: several times of a gap run once": (
        *("*/10 2 * * *", OSLO, "2026-03-28 12:00"),
        ["2026-03-29 01:00", "2026-03-30 00:00", "2026-03-30 00:10"],
    ),
    "oslo forward: two times, one in the gap and one at its end, are one moment": (
        *("0 2,3 * * *", OSLO, "2026-03-29 00:00"),
        ["2026-03-29 01:00", "2026-03-30 00:00", "2026-03-30 01:00"],
    ),
    "oslo forward: each real hour at :00": (
        *("0 * * * *", OSLO, "2026-03-28 23:30"),
        ["2026-03-29 00:00", "2026-03-29 01:00", "2026-03-29 02:00"],
    ),
    "oslo forward: each real hour at :30, none in addition": (
        *("30 * * * *", OSLO, "2026-03-29 00:00"),
        ["2026-03-29 00:30", "2026-03-29 01:30", "2026-03-29 02:30"],
    ),
    "oslo forward: each real second": (
        *("* * * * * *", OSLO, "2026-03-29 00:59:58"),
        ["2026-03-29 00:59:59", "2026-03-29 01:00:00", "2026-03-29 01:00:01"],
    ),
    "oslo back: a time that occurs twice runs the first time": (
        *("30 2 * * *", OSLO, "2026-10-24 12:00"),
        ["2026-10-25 00:30", "2026-10-26 01:30"],
    ),
    "oslo back: asked in the second pass, the day is done": (
        *("30 2 * * *", OSLO, "2026-10-25 01:10"),
        ["2026-10-26 01:30"],
    ),
    "oslo back: each real hour": (
        *("0 * * * *", OSLO, "2026-10-24 23:30"),
        ["2026-10-25 00:00", "2026-10-25 01:00", "2026-10-25 02:00"],
    ),
    "oslo back: every other hour names hours": (
        *("0 */2 * * *", OSLO, "2026-10-24 22:30"),
        ["2026-10-25 00:00", "2026-10-25 03:00"],
    ),
    "new york forward: a time that does not exist runs as the gap ends": (
        *("30 2 * * *", NEW_YORK, "2026-03-07 12:00"),
        ["2026-03-08 07:00", "2026-03-09 06:30"],
    ),
    "new york back: once for a fixed time": (
        *("30 1 * * *", NEW_YORK, "2026-10-31 12:00"),
        ["2026-11-01 05:30", "2026-11-02 06:30"],
    ),
    "new york back: no hole of two hours": (
        *("0 * * * *", NEW_YORK, "2026-11-01 04:30"),
        ["2026-11-01 05:00", "2026-11-01 06:00", "2026-11-01 07:00"],
    ),
    "lord howe forward, half an hour: 02:00 runs at 02:30": (
        *("0 2 * * *", LORD_HOWE, "2026-10-03 12:00"),
        ["2026-10-03 15:30", "2026-10-04 15:00"],
    ),
    "lord howe forward: no hour is left out": (
        *("0 * * * *", LORD_HOWE, "2026-10-03 14:00"),
        ["2026-10-03 14:30", "2026-10-03 15:30", "2026-10-03 16:00"],
    ),
    "lord howe back, half an hour: 01:45 runs in both passes": (
        *("45 * * * *", LORD_HOWE, "2026-04-04 14:00"),
        ["2026-04-04 14:45", "2026-04-04 15:15", "2026-04-04 16:15"],
    ),
    "lord howe back: 01:45 once for a fixed time": (
        *("45 1 * * *", LORD_HOWE, "2026-04-04 12:00"),
        ["2026-04-04 14:45", "2026-04-05 15:15"],
    ),
    "kolkata: half an hour from UTC, and nothing changes": (
        *("0 3 * * *", KOLKATA, "2026-03-28 22:00"),
        ["2026-03-29 21:30", "2026-03-30 21:30"],
    ),
    "cairo forward at midnight: midnight runs at one": (
        *("0 0 * * *", "Africa/Cairo", "2026-04-22 23:00"),
        ["2026-04-23 22:00", "2026-04-24 21:00"],
    ),
    "cairo back at midnight: the last hour of the day occurs twice": (
        *("30 23 * * *", "Africa/Cairo", "2026-10-29 12:00"),
        ["2026-10-29 20:30", "2026-10-30 21:30"],
    ),
    "apia: a day that does not exist runs as the next begins": (
        *("0 12 * * *", "Pacific/Apia", "2011-12-29 00:00"),
        ["2011-12-29 22:00", "2011-12-30 10:00", "2011-12-30 22:00"],
    ),
    "dublin back: winter's offset is the negative one": (
        *("30 1 * * *", "Europe/Dublin", "2026-10-24 12:00"),
        ["2026-10-25 00:30", "2026-10-26 01:30"],
    ),
    "leap day": (
        *("0 0 29 2 *", "UTC", "2026-01-01 00:00"),
        ["2028-02-29 00:00", "2032-02-29 00:00"],
    ),
    "leap day over the year 2100, which has none": (
        *("0 0 29 feb *", "UTC", "2096-03-01 00:00"),
        ["2104-02-29 00:00"],
    ),
    "the last day of February": (
        *("0 12 L 2 *", "UTC", "2027-01-01 00:00"),
        ["2027-02-28 12:00", "2028-02-29 12:00"],
    ),
    "the end of a year, in a zone that is ahead": (
        *("59 59 23 31 12 *", "Asia/Tokyo", "2026-12-31 14:59:58"),
        ["2026-12-31 14:59:59", "2027-12-31 14:59:59"],
    ),
    "the third Friday": (
        *("0 9 * * fri#3", "UTC", "2026-11-21 00:00"),
        ["2026-12-18 09:00", "2027-01-15 09:00"],
    ),
    "the last Friday": (
        *("0 9 * * L5", "UTC", "2026-11-28 00:00"),
        ["2026-12-25 09:00", "2027-01-29 09:00"],
    ),
    "the 13th or a Friday, when both are named": (
        *("0 0 13 * 5", "UTC", "2026-12-05 00:00"),
        ["2026-12-11 00:00", "2026-12-13 00:00", "2026-12-18 00:00"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_when_clocks_change(case):
    line, zone, moment, expected = CASES[case]
    following = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    found = []
    for _ in expected:
        following = Cron(line, zone=zone).next_after(following)
        found.append(following.replace(tzinfo=None))
    assert found == [datetime.fromisoformat(due) for due in expected]
