from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway import At, Cron, Every, Solar
from headway.errors import ConfigurationError
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
#: To the end of the years that every zone can show.
ANCHORS = st.datetimes(
    datetime(1990, 1, 1),  # noqa: DTZ001
    datetime(9998, 12, 31),  # noqa: DTZ001
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


class Counted:
    """A timing that says how often it was asked."""

    def __init__(self, timing: Cron) -> None:
        self.timing = timing
        self.asked = 0

    def next_after(self, moment: datetime) -> datetime | None:
        self.asked += 1
        return self.timing.next_after(moment)


@pytest.mark.parametrize("line", ["* * * * * *", "*/5 9 * * mon", "0 0 1 1 *"])
def test_the_latest_of_years_is_found_in_a_few_dozen_questions(line):
    counted = Counted(Cron(line))
    until = utc(2026, 11, 22, 12)
    found = latest(counted, until=until, since=utc(2020, 1, 1))
    assert counted.timing.next_after(found - timedelta(seconds=1)) == found <= until
    assert counted.timing.next_after(found) > until
    assert counted.asked < 100


@given(st.floats(1, 10_000), MOMENTS, st.none() | ANCHORS)
def test_an_interval_is_counted_from_its_anchor_whenever_it_is_asked(
    seconds, moment, anchor
):
    every = Every(seconds=seconds, anchor=anchor)
    following = every.next_after(moment)
    assert timedelta(0) < following - moment <= every.interval
    assert (following - (anchor or utc(1970, 1, 1))) % every.interval == timedelta(0)


def test_an_anchor_is_a_wall_clock():
    weekly = Every(days=7, anchor=ANCHOR)
    assert weekly.next_after(utc(2026, 11, 22)) == utc(2026, 11, 27, 23, 0, 30)
    assert weekly.next_after(utc(2019, 1, 1)) == utc(2019, 1, 4, 23, 0, 30)


def moments(timing: Every, count: int) -> list[datetime]:
    found = [timing.next_after(utc(2026, 1, 1) - timedelta(microseconds=1))]
    while len(found) < count:
        found.append(timing.next_after(found[-1]))
    return found


def test_jitter_puts_off_each_moment_by_a_share_that_all_agree_on():
    jittered = Every(minutes=5, jitter=timedelta(minutes=3), seed="nightly")
    put_off = [
        jittered_moment - regular
        for regular, jittered_moment in zip(
            moments(MINUTES, 400), moments(jittered, 400), strict=True
        )
    ]
    assert timedelta(0) <= min(put_off) < timedelta(seconds=10)
    assert timedelta(seconds=170) < max(put_off) < timedelta(minutes=3)
    assert abs(sum(put_off, timedelta(0)) / 400 - timedelta(seconds=90)) < (
        timedelta(seconds=10)
    )
    again = Every(minutes=5, jitter=timedelta(minutes=3), seed="nightly")
    assert moments(again, 400) == moments(jittered, 400)


def test_unlike_seeds_are_put_off_by_unlike_shares():
    first = {
        moments(Every(hours=1, jitter=timedelta(minutes=30), seed=str(seed)), 1)[0]
        for seed in range(100)
    }
    assert len(first) == 100
    assert max(first) - min(first) > timedelta(minutes=25)


def test_jittered_moments_never_have_the_same_second():
    every = Every(seconds=2.5, jitter=timedelta(seconds=1.5), seed="a")
    named = {f"{moment:%Y%m%dT%H%M%S}" for moment in moments(every, 2000)}
    assert len(named) == 2000


@pytest.mark.parametrize("span", [{}, {"seconds": 0.5}, {"minutes": -1}])
def test_an_interval_below_a_second_is_refused(span):
    with pytest.raises(ConfigurationError, match="expected a second or more"):
        Every(**span)


@pytest.mark.parametrize("days", [10**9, 10**14])
def test_an_interval_that_no_calendar_has_is_refused(days):
    with pytest.raises(ConfigurationError, match="expected 999999999 days or less"):
        Every(days=days)


@pytest.mark.parametrize(
    "jitter",
    [
        timedelta(minutes=1),
        timedelta(seconds=59.5),
        timedelta(seconds=-1),
        timedelta(days=1),
        5,
    ],
    ids=str,
)
def test_a_jitter_that_does_not_fit_into_the_interval_is_refused(jitter):
    with pytest.raises(ConfigurationError, match="jitter must leave a second"):
        Every(minutes=1, jitter=jitter)


@pytest.mark.parametrize("minutes", ["5", None, True, float("nan"), float("inf")])
def test_an_interval_that_is_no_number_is_refused(minutes):
    with pytest.raises(ConfigurationError, match="expected a number, as minutes=5"):
        Every(minutes=minutes)


NAIVE = datetime(2026, 7, 1, 9, 30)  # noqa: DTZ001


@pytest.mark.parametrize(
    "define", [lambda: At(NAIVE), lambda: Every(hours=1, anchor=NAIVE)]
)
def test_a_naive_datetime_is_refused_with_the_line_to_write(define):
    with pytest.raises(ConfigurationError) as refused:
        define()
    assert "write datetime(2026, 7, 1, 9, 30, tzinfo=ZoneInfo('Europe/Oslo'))" in str(
        refused.value
    )


def test_what_is_no_datetime_is_refused():
    with pytest.raises(ConfigurationError, match="'tomorrow' is no datetime; write"):
        At("tomorrow")


def test_a_moment_is_due_once():
    once = At(datetime(2026, 7, 1, 9, 0, tzinfo=OSLO))
    assert once.next_after(utc(2026, 1, 1)) == utc(2026, 7, 1, 7)
    assert once.next_after(utc(2026, 7, 1, 7)) is None
    assert once.in_words == "once, 2026-07-01 09:00:00 in Europe/Oslo"


@pytest.mark.parametrize(
    ("local", "due"),
    [
        (datetime(2026, 3, 29, 2, 30, tzinfo=OSLO), utc(2026, 3, 29, 1)),
        (datetime(2026, 10, 25, 2, 30, tzinfo=OSLO), utc(2026, 10, 25, 0, 30)),
        (datetime(2026, 10, 25, 2, 30, tzinfo=OSLO, fold=1), utc(2026, 10, 25, 1, 30)),
    ],
    ids=["in a gap", "in a fold", "in a fold, the second one by name"],
)
def test_a_moment_that_clocks_leave_out_or_repeat(local, due):
    assert At(local).next_after(utc(2026, 1, 1)) == due
    assert timing_from_wire(At(local).to_wire()).moment == due


@pytest.mark.parametrize(
    ("timing", "words"),
    [
        (MINUTES, "every 5 minutes"),
        (Every(days=1), "every day"),
        (Every(hours=1, minutes=1), "every 1 hour 1 minute"),
        (Every(seconds=1.5), "every 1.5 seconds"),
        (
            Every(minutes=90, jitter=timedelta(seconds=1)),
            "every 1 hour 30 minutes, up to 1 second later",
        ),
        (
            Every(days=2, anchor=utc(2026, 1, 1)),
            "every 2 days from 2026-01-01 00:00:00+00:00",
        ),
        (Cron("0 3 * * *", zone="Europe/Oslo"), "0 3 * * * in Europe/Oslo"),
        (Solar("dusk_civil", 59.9, 10.7), "dusk civil at 59.9, 10.7"),
        (
            Solar("sunset", -33, 18.4, offset=timedelta(minutes=-90)),
            "1 hour 30 minutes before sunset at -33, 18.4",
        ),
        (
            Solar("sunrise", 0, 0, offset=timedelta(seconds=30)),
            "30 seconds after sunrise at 0, 0",
        ),
    ],
)
def test_a_timing_in_words(timing, words):
    assert timing.in_words == words


@pytest.mark.parametrize("wire", [{}, {"kind": "moon"}, {"kind": "cron", "line": 5}])
def test_what_is_no_timing_is_refused(wire):
    with pytest.raises(ConfigurationError, match="is no timing; expected the `kind`"):
        timing_from_wire(wire)


def test_the_end_of_the_calendar_is_no_moment():
    assert MINUTES.next_after(datetime.max.replace(tzinfo=UTC)) is None
