from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway import At, Cron, Every, Solar
from headway.timing import latest, timing_from_wire

OSLO = ZoneInfo("Europe/Oslo")
ANCHOR = datetime(2020, 2, 29, 0, 0, 30, tzinfo=OSLO)
JITTER = timedelta(seconds=20)
MINUTES = Every(minutes=5)
TIMINGS = [
    MINUTES,
    Every(hours=1.5, anchor=ANCHOR),
    Every(seconds=30, jitter=JITTER, seed="nightly"),
    Cron("0 3 * * *"),
    Cron("@hourly", zone="Australia/Lord_Howe"),
    Cron("*/20 * * * * *", zone="Europe/Oslo"),
    Cron("30 2 L * *", zone="America/New_York"),
    At(datetime(2030, 1, 31, 9, 0, tzinfo=OSLO)),
    At(datetime(2030, 1, 31, 9, 0, tzinfo=UTC)),
    Solar("sunset", 59.9, 10.7, offset=timedelta(minutes=-30)),
    Solar("solar_noon", -16.5, 180),
]
MOMENTS = st.datetimes(
    datetime(1990, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(2060, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize("timing", TIMINGS, ids=lambda timing: timing.in_words)
@given(moment=MOMENTS)
def test_the_next_moment_is_after_and_its_own_latest(timing, moment):
    following = timing.next_after(moment)
    if following is None:
        assert isinstance(timing, At)
        return
    assert following > moment
    assert following.tzinfo is UTC
    assert latest(timing, until=following, since=moment) == following
    before = following - timedelta(microseconds=1)
    assert latest(timing, until=before, since=moment) is None
    assert timing.next_after(before) == following


@pytest.mark.parametrize("timing", TIMINGS, ids=lambda timing: timing.in_words)
def test_a_timing_is_the_same_after_its_journey(timing):
    assert timing_from_wire(timing.to_wire()) == timing
    assert timing_from_wire(timing.to_wire()).in_words == timing.in_words
