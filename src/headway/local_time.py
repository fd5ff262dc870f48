"""Which instants a local time stands for: one, two where clocks go back, or none.

The rules, for whatever is due at a local time: one that does not exist is due at the
first moment after the gap, and one that occurs twice is due the first time.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta, tzinfo
from difflib import get_close_matches
from zoneinfo import ZoneInfo, available_timezones

from headway.errors import ConfigurationError

SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Local times that are left out as clocks go forward."""

    #: The first moment after it, and what clocks show then.
    end: datetime
    local_end: datetime
    length: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Local times that occur twice as clocks go back; its end is the first not to."""

    local_start: datetime
    local_end: datetime


def zone_of(owner: str, name: str) -> ZoneInfo:
    """Return the zone of that name.

    Raises:
        ConfigurationError: there is none; the message says which is spelled alike.
    """
    if name == "localtime":
        raise ConfigurationError(
            f"{owner}: each host has its own {name!r}; name the zone, as 'Europe/Oslo'"
        )
    try:
        return ZoneInfo(name)
    # What ZoneInfo raises for a folder of zones, an absolute path and no text at all.
    except (KeyError, ValueError, OSError, TypeError, AttributeError) as error:
        known = available_timezones()
        alike = get_close_matches(str(name), known, n=1)
        way_out = (
            f"did you mean {alike[0]!r}?"
            if alike
            else "expected a name as 'Europe/Oslo'"
            if known
            else "this machine has no time zones: pip install tzdata"
        )
        raise ConfigurationError(
            f"{owner}: no such zone as {name!r}; {way_out}"
        ) from error


def check_aware(owner: str, moment: datetime) -> None:
    """Refuse a datetime without a zone: each machine would read it as another time.

    Raises:
        ConfigurationError: with the datetime as it should have been written.
    """
    if not isinstance(moment, datetime):
        raise ConfigurationError(
            f"{owner}: {moment!r} is no datetime; write "
            "datetime(2030, 1, 31, 9, 0, tzinfo=ZoneInfo('Europe/Oslo'))"
        )
    if moment.utcoffset() is None:
        bare = repr(moment.replace(tzinfo=None)).removeprefix("datetime.")
        raise ConfigurationError(
            f"{owner}: {bare} has no zone, so nobody can tell when that is; write "
            f"{bare[:-1]}, tzinfo=ZoneInfo('Europe/Oslo')) with the zone that is meant"
        )


def check_moment(owner: str, moment: datetime) -> None:
    """Refuse a datetime without a zone, or so far off that some zone cannot show it.

    Raises:
        ConfigurationError: with what is expected.
    """
    check_aware(owner, moment)
    if not is_in_calendar(moment):
        raise ConfigurationError(
            f"{owner}: {moment} is at the end of the calendar; expected a year from 2 "
            "to 9998"
        )


def is_in_calendar(moment: datetime) -> bool:
    """Tell whether every zone can show that moment."""
    return MINYEAR < moment.year < MAXYEAR


def due(local: datetime, zone: tzinfo) -> datetime:
    """Return when what is due at a naive local time is due, by the rules above."""
    gap = gap_at(local, zone)
    return first_pass(local, zone) if gap is None else gap.end


def first_pass(local: datetime, zone: tzinfo) -> datetime:
    """Return the instant at which clocks show that time, or do so the first time."""
    return local.replace(tzinfo=zone, fold=0).astimezone(UTC)


def second_pass(local: datetime, zone: tzinfo) -> datetime:
    """Return the instant at which clocks show that time again."""
    return local.replace(tzinfo=zone, fold=1).astimezone(UTC)


def gap_at(local: datetime, zone: tzinfo) -> Gap | None:
    """Return the gap that a naive local time lies in."""
    # In a gap the readings by the offsets before and after it have changed places.
    late, early = first_pass(local, zone), second_pass(local, zone)
    if early >= late:
        return None
    end = _change(zone, early, late)
    return Gap(end=end, local_end=_shown(end, zone), length=late - early)


def fold_at(local: datetime, zone: tzinfo) -> Fold | None:
    """Return the fold that a naive local time lies in."""
    early, late = first_pass(local, zone), second_pass(local, zone)
    if early >= late:
        return None
    start = _shown(_change(zone, early, late), zone)
    return Fold(local_start=start, local_end=start + (late - early))


def _change(zone: tzinfo, early: datetime, late: datetime) -> datetime:
    """Return the first moment after `early` with another offset from UTC."""
    before = early.astimezone(zone).utcoffset()

    def is_changed(seconds: int) -> bool:
        return (early + seconds * SECOND).astimezone(zone).utcoffset() != before

    length = round((late - early) / SECOND)
    return early + bisect_left(range(length), 1, key=is_changed) * SECOND


def _shown(moment: datetime, zone: tzinfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)
