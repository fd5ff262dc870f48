"""Times of the day by the sun; `astral` knows where it stands."""

from __future__ import annotations

import importlib
from bisect import bisect_left
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from headway.errors import ConfigurationError, MissingExtraError
from headway.local_time import check_aware
from headway.span import in_words
from headway.spelling import meant

#: How far the sun stands above the horizon, and whether it rises. At sunrise its upper
#: edge is seen, by the air's refraction, while its middle is 50' below.
_EVENTS: dict[str, tuple[float, bool]] = {
    "dawn_astronomical": (-18, True),
    "dawn_nautical": (-12, True),
    "dawn_civil": (-6, True),
    "sunrise": (-50 / 60, True),
    "sunset": (-50 / 60, False),
    "dusk_civil": (-6, False),
    "dusk_nautical": (-12, False),
    "dusk_astronomical": (-18, False),
}
_NOON = "solar_noon"
#: Polar day and night are shorter than that, wherever they end at all.
_LONGEST_WAIT = 400
_DAY = timedelta(days=1)
_HALF = 12 * 60 * 60


@dataclass(frozen=True, slots=True)
class Solar:
    """An event of the sun at a place, on the days that have it."""

    event: str
    #: Degrees north; negative in the south.
    latitude: float
    #: Degrees east; negative in the west.
    longitude: float
    _: KW_ONLY
    #: That much later than the event; negative before it.
    offset: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        """Refuse what is no event, and no place on earth.

        Raises:
            ConfigurationError: naming it and what is expected.
            MissingExtraError: `astral` is not installed.
        """
        if self.event not in _EVENTS and self.event != _NOON:
            raise ConfigurationError(f"{self}: {_did_you_mean(self.event)}")
        for name, value, most in (
            ("latitude", self.latitude, 90),
            ("longitude", self.longitude, 180),
        ):
            if not (isinstance(value, int | float) and -most <= value <= most):
                raise ConfigurationError(
                    f"{self}: {name} {value!r}: expected degrees, -{most} to {most}"
                )
        if not isinstance(self.offset, timedelta) or abs(self.offset) > _DAY:
            raise ConfigurationError(
                f"{self}: expected an offset of a day at most, as "
                "timedelta(minutes=-30)"
            )
        _astral("astral.sun")

    @property
    def in_words(self) -> str:
        """Return the event and the place, as "sunset at 59.9, 10.7"."""
        words = f"{self.event.replace('_', ' ')} at {self.latitude}, {self.longitude}"
        if not self.offset:
            return words
        side = "after" if self.offset > timedelta(0) else "before"
        return f"{in_words(abs(self.offset))} {side} {words}"

    def to_wire(self) -> dict[str, str | float]:
        """Return the timing as JSON."""
        wire: dict[str, str | float] = {
            "kind": "solar",
            "event": self.event,
            "latitude": self.latitude,
            "longitude": self.longitude,
        }
        return wire | ({"offset": self.offset.total_seconds()} if self.offset else {})

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first event after `moment`, in UTC; None: none in 400 days."""
        check_aware("Solar.next_after", moment)
        passed = moment.astimezone(UTC) - self.offset
        # The event of a day is twelve hours from its noon, which is in UTC's day.
        first = passed.date() - _DAY
        try:
            for days in range(_LONGEST_WAIT):
                found = self._on(first + days * _DAY)
                if found is not None and found > passed:
                    return found + self.offset
        except OverflowError:
            return None  # the calendar ends
        return None

    def _on(self, day: date) -> datetime | None:
        """Return the event round the noon of a day, found by halving its half day."""
        astral = _astral("astral")
        sun = _astral("astral.sun")
        place = astral.Observer(self.latitude, self.longitude)
        noon: datetime = sun.noon(place, day)
        if self.event == _NOON:
            return noon
        height, rises = _EVENTS[self.event]
        start = noon - timedelta(seconds=_HALF) if rises else noon

        def over(seconds: int) -> bool:
            moment = start + timedelta(seconds=seconds)
            above = sun.elevation(place, moment, with_refraction=False) >= height
            return above is rises

        if over(0) or not over(_HALF):
            return None
        return start + timedelta(seconds=bisect_left(range(_HALF), 1, key=over))


def _did_you_mean(event: str) -> str:
    known = [*_EVENTS, _NOON]
    alike = meant(str(event), known)
    return f"no such event; {alike}there are {', '.join(sorted(known))}"


def _astral(module: str) -> Any:  # noqa: ANN401 - it is not always installed
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            "Solar(...) needs astral: pip install 'headway[solar]'"
        ) from error
