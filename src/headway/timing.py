"""When something runs by itself: pure rules that name moments, one after the other."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from headway.cron import Cron
from headway.errors import ConfigurationError
from headway.local_time import SECOND, check_aware, check_moment, gap_at
from headway.solar import Solar
from headway.span import in_words

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = ("days", "hours", "minutes", "seconds")
#: "every day", while it is "every 1 day 12 hours".
_ONES = ("1 day", "1 hour", "1 minute", "1 second")


class Timing(Protocol):
    """A rule that names moments; two of them are a second apart, or more."""

    @property
    def in_words(self) -> str:
        """Return the rule for people, as "every 5 minutes"."""
        ...

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first moment after `moment` (aware), in UTC; None: there is none.

        Whoever asks, and however often, gets the same moments.
        """
        ...

    def to_wire(self) -> dict[str, str | float]:
        """Return the rule as JSON, for `timing_from_wire`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    """A fixed interval, counted from 1970 in UTC, so that a restart shifts nothing."""

    days: float = 0
    hours: float = 0
    minutes: float = 0
    seconds: float = 0
    #: Count from this moment instead, before it as well as after it.
    anchor: datetime | None = None
    #: Each moment comes later by a share of this: the same one, whoever asks.
    jitter: timedelta = timedelta(0)
    #: Rules of unlike seeds are put off by unlike shares.
    seed: str = ""

    def __post_init__(self) -> None:
        """Refuse an interval that no scheduler could keep.

        Raises:
            ConfigurationError: it is shorter than a second, or `anchor` or `jitter` is
                none that could have been meant.
        """
        for unit in _UNITS:
            count: object = getattr(self, unit)
            if not _is_finite(count):
                raise ConfigurationError(
                    f"Every({unit}={count!r}): expected a number, as {unit}=5"
                )
        try:
            is_too_short = self.interval < SECOND
        except OverflowError as error:
            raise ConfigurationError(
                f"{self}: expected {timedelta.max.days} days or less"
            ) from error
        if is_too_short:
            raise ConfigurationError(f"{self}: expected a second or more")
        if self.anchor is not None:
            check_moment("Every(anchor=...)", self.anchor)
        # Moments less than a second apart would have the same name.
        longest = self.interval - SECOND
        if not (
            isinstance(self.jitter, timedelta)
            and timedelta(0) <= self.jitter <= longest
        ):
            raise ConfigurationError(
                f"{self}: jitter must leave a second of the interval; expected "
                f"timedelta(0) to {longest!r}"
            )

    @property
    def interval(self) -> timedelta:
        """Return the time from one moment to the next."""
        return timedelta(
            days=self.days,
            hours=self.hours,
            minutes=self.minutes,
            seconds=self.seconds,
        )

    @property
    def in_words(self) -> str:
        """Return the interval, as "every 5 minutes"."""
        span = in_words(self.interval)
        words = f"every {span[2:] if span in _ONES else span}"
        if self.anchor is not None:
            words += f" from {self.anchor.isoformat(sep=' ')}"
        if self.jitter:
            words += f", up to {in_words(self.jitter)} later"
        return words

    def to_wire(self) -> dict[str, str | float]:
        """Return the timing as JSON, without what is as by default."""
        wire: dict[str, str | float] = {"kind": "every"}
        wire |= {unit: getattr(self, unit) for unit in _UNITS if getattr(self, unit)}
        if self.anchor is not None:
            wire["anchor"] = self.anchor.isoformat()
        if self.jitter:
            wire["jitter"] = self.jitter.total_seconds()
        if self.seed:
            wire["seed"] = self.seed
        return wire

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first moment after `moment`, in UTC."""
        check_aware("Every.next_after", moment)
        passed = (moment - self._anchor) // self.interval
        try:
            # The one whose interval runs may be put off beyond `moment`.
            latest = self._moment(passed)
            return latest if latest > moment else self._moment(passed + 1)
        except OverflowError:
            return None  # the calendar ends

    @property
    def _anchor(self) -> datetime:
        return _EPOCH if self.anchor is None else self.anchor.astimezone(UTC)

    def _moment(self, number: int) -> datetime:
        regular = self._anchor + number * self.interval
        if not self.jitter:
            return regular
        key = f"{self.seed} {regular.isoformat()}".encode()
        digest = hashlib.blake2b(key, digest_size=8).digest()
        return regular + self.jitter * (int.from_bytes(digest) / 2**64)


@dataclass(frozen=True, slots=True)
class At:
    """One moment, given as an aware datetime."""

    when: datetime

    def __post_init__(self) -> None:
        """Refuse a datetime without a zone.

        Raises:
            ConfigurationError: with the datetime as it should have been written.
        """
        check_moment("At(...)", self.when)

    @property
    def moment(self) -> datetime:
        """Return the moment in UTC; a local time that a gap leaves out is its end."""
        gap = gap_at(self.when.replace(tzinfo=None), self._zone)
        return self.when.astimezone(UTC) if gap is None else gap.end

    @property
    def in_words(self) -> str:
        """Return the moment, as "once, 2030-01-31 09:00:00 in Europe/Oslo"."""
        local = self.moment.astimezone(self._zone).replace(tzinfo=None)
        return f"once, {local} in {self._zone}"

    def to_wire(self) -> dict[str, str | float]:
        """Return the timing as JSON."""
        wire: dict[str, str | float] = {"kind": "at"}
        wire["when"] = self.moment.astimezone(self._zone).isoformat()
        # Without its zone a moment is the same, but people would read another time.
        if isinstance(self._zone, ZoneInfo) and self._zone.key:
            wire["zone"] = self._zone.key
        return wire

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the moment while it is still to come."""
        check_aware("At.next_after", moment)
        return self.moment if self.moment > moment else None

    @property
    def _zone(self) -> tzinfo:
        return self.when.tzinfo or UTC


def _is_finite(number: object) -> bool:
    if isinstance(number, bool) or not isinstance(number, int | float):
        return False
    return math.isfinite(number)


def latest(timing: Timing, *, until: datetime, since: datetime) -> datetime | None:
    """Return the last moment of a timing after `since` and not after `until`."""

    def first_after(moment: datetime) -> datetime | None:
        first = timing.next_after(moment)
        return None if first is None or first > until else first

    found = first_after(since)
    if found is None:
        return None
    # Back from `until` by steps that double, as far as there is a moment to be found...
    step, empty_from = SECOND, until
    while (begin := until - step) > found:
        if (later := first_after(begin)) is not None:
            found = later
            break
        step, empty_from = 2 * step, begin
    # ...then on from there, leaving out half of what is left, as the moments are many.
    while (later := first_after(found)) is not None:
        middle = later + (empty_from - later) / 2
        beyond = first_after(middle)
        found, empty_from = (later, middle) if beyond is None else (beyond, empty_from)
    return found


def timing_from_wire(wire: Mapping[str, Any]) -> Timing:
    """Return the timing that `to_wire` wrote down.

    Raises:
        ConfigurationError: it is no timing.
    """
    match wire:
        case {"kind": "cron", "line": str(line), "zone": str(zone)}:
            return Cron(line, zone=zone)
        case {"kind": "every", **fields}:
            return _every_from_wire(fields)
        case {"kind": "at", "when": str(when), **rest}:
            moment = datetime.fromisoformat(when)
            named = rest.get("zone")
            return At(moment.astimezone(ZoneInfo(named)) if named else moment)
        case {"kind": "solar", "event": str(event), **place}:
            return Solar(
                event,
                place["latitude"],
                place["longitude"],
                offset=timedelta(seconds=place.get("offset", 0)),
            )
        case _:
            raise ConfigurationError(
                f"{wire!r} is no timing; expected the `kind` cron, every, at or solar, "
                "and what belongs to it"
            )


def _every_from_wire(fields: Mapping[str, Any]) -> Every:
    anchor = fields.get("anchor")
    return Every(
        days=fields.get("days", 0),
        hours=fields.get("hours", 0),
        minutes=fields.get("minutes", 0),
        seconds=fields.get("seconds", 0),
        anchor=anchor and datetime.fromisoformat(anchor),
        jitter=timedelta(seconds=fields.get("jitter", 0)),
        seed=fields.get("seed", ""),
    )
