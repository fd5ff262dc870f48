"""Times, as a command line spells them."""

from __future__ import annotations

import re
from datetime import datetime

from headway.cron import Cron
from headway.errors import ConfigurationError
from headway.local_time import is_in_calendar, zone_of
from headway.timing import At, Every, Timing

_PART = r"(\d+(?:\.\d+)?)([dhms])"


def timing(
    *, cron: str | None, every: str | None, at: str | None, zone: str | None
) -> Timing:
    """Return the one timing that was given.

    Raises:
        ConfigurationError: there is not one, or it is none that could be meant.
    """
    match cron, every, at:
        case str(line), None, None:
            return Cron(line, zone="UTC" if zone is None else zone)
        case None, str(span), None:
            return _every(span)
        case None, None, str(when):
            return At(moment("--at", when, zone))
        case _:
            raise ConfigurationError(
                "say when, in one way: --cron '0 3 * * *', --every 15m or "
                "--at 2030-01-31T09:00Z"
            )


def moment(option: str, text: str, zone: str | None) -> datetime:
    """Return a time as ISO 8601 has it; one without a zone is read in `zone`.

    Raises:
        ConfigurationError: it is none, nothing says its zone, or it is so far off that
            some zone cannot show it.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(
            f"{option} {text!r}: expected a time, as 2030-01-31T09:00+01:00, or "
            "2030-01-31T09:00 with --zone Europe/Oslo"
        ) from error
    if not is_in_calendar(found):
        raise ConfigurationError(
            f"{option} {text!r}: not every zone has that moment; expected a year from "
            "2 to 9998"
        )
    is_naive = found.utcoffset() is None
    if zone is not None:
        place = zone_of("--zone", zone)
        return found.replace(tzinfo=place) if is_naive else found.astimezone(place)
    if is_naive:
        iso = found.isoformat()
        raise ConfigurationError(
            f"{option} {text!r} does not say its zone: write {iso}Z or {iso}+01:00, "
            "or add --zone Europe/Oslo"
        )
    return found


def _every(text: str) -> Every:
    parts = re.findall(_PART, text)
    units = {unit: _number(count) for count, unit in parts}
    if not re.fullmatch(f"(?:{_PART})+", text) or len(units) < len(parts):
        raise ConfigurationError(
            f"--every {text!r}: expected a span, as 15m, 1h30m, 2d or 10s"
        )
    days, hours, minutes, seconds = (units.get(unit, 0) for unit in "dhms")
    return Every(days=days, hours=hours, minutes=minutes, seconds=seconds)


def _number(text: str) -> float:
    # A whole one is kept as such: it is the same schedule as one that code declares.
    return int(text) if text.isdigit() else float(text)
