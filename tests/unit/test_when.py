"""Moments and spans, in the words that commands and pages share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from headway.span import coarse, short
from headway.when import due_in, from_now, on_the_clock

NOW = datetime(2026, 11, 26, 18, 48, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words", "in_short"),
    [
        (-1, "-1 s", "0 ms"),
        (0.25, "0 s", "250 ms"),
        (3.21, "3 s", "3.2 s"),
        (42, "42 s", "42 s"),
        (60, "1 min", "1 min"),
        (185, "3 min", "3 min 5 s"),
        (3600, "1 h", "1 h"),
        (7 * 3600 + 12 * 60 + 59, "7 h", "7 h 12 min"),
        (86_400, "1 d", "1 d"),
        (5 * 86_400 + 3 * 3600, "5 d", "5 d 3 h"),
    ],
)
def test_a_span_is_told_in_one_unit_or_two(seconds, words, in_short):
    span = timedelta(seconds=seconds)
    assert (coarse(span), short(span)) == (words, in_short)


@pytest.mark.parametrize(
    ("seconds", "words", "due"),
    [
        (-16 * 3600, "16 h ago", "due 16 h ago"),
        (-185, "3 min ago", "due 3 min ago"),
        (-1, "1 s ago", "due 1 s ago"),
        (0, "just now", "due just now"),
        (0.5, "now", "now"),
        (1.5, "in 2 s", "in 2 s"),
        (42, "in 42 s", "in 42 s"),
        (7 * 3600 + 12 * 60, "in 7 h 12 min", "in 7 h 12 min"),
    ],
)
def test_a_moment_is_so_far_from_now(seconds, words, due):
    moment = NOW + timedelta(seconds=seconds)
    assert (from_now(moment, NOW), due_in(moment, NOW)) == (words, due)


@pytest.mark.parametrize(
    ("moment", "zone", "words"),
    [
        ("2026-11-27T03:00", "Europe/Oslo", "Fri 27 Nov 03:00 CET"),
        ("2026-07-01T03:00", "Europe/Oslo", "Wed 1 Jul 03:00 CEST"),
        ("2026-11-27T03:00:30", "UTC", "Fri 27 Nov 03:00:30 UTC"),
        ("2027-02-01T03:00", "America/New_York", "Mon 1 Feb 2027 03:00 EST"),
        # Still 2026 where we are, but not there.
        ("2027-01-01T03:00", "Pacific/Kiritimati", "Fri 1 Jan 2027 03:00 UTC+14"),
        ("2026-11-27T03:00", "Asia/Kathmandu", "Fri 27 Nov 03:00 UTC+0545"),
    ],
)
def test_a_moment_stands_on_the_clock_of_its_zone(moment, zone, words):
    at = datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo(zone))
    assert on_the_clock(at, NOW) == words
