"""A moment, for people: on the clock of its own zone, and how far from now."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from headway.span import coarse, short

_SECOND = timedelta(seconds=1)
#: Up to here a span is told in whole seconds.
_MINUTE = timedelta(minutes=1)


def in_zone(moment: datetime, zone: str) -> datetime:
    """Return a moment on the clocks of a zone, as it is where they end before it."""
    try:
        return moment.astimezone(ZoneInfo(zone))
    except OverflowError:
        return moment


def on_the_clock(moment: datetime, now: datetime) -> str:
    """Return a moment in its own zone, as "Fri 27 Nov 03:00 CET"."""
    zone = moment.tzname() or ""
    if not zone[:1].isalpha():
        zone = f"UTC{zone}"  # a zone whose times have no name but their offset
    year = (
        f" {moment.year}" if moment.year != now.astimezone(moment.tzinfo).year else ""
    )
    seconds = f"{moment:%H:%M:%S}" if moment.second else f"{moment:%H:%M}"
    return f"{moment:%a} {moment.day} {moment:%b}{year} {seconds} {zone}"


def from_now(moment: datetime, now: datetime) -> str:
    """Return how far a moment is from now, as "in 7 h 12 min" or "3 min ago".

    What is to come is told in two units, what is past in the largest.
    """
    if moment - now >= _SECOND:
        ahead = moment - now
        return f"in {short(ahead) if ahead >= _MINUTE else coarse(ahead)}"
    if now - moment >= _SECOND:
        return f"{coarse(now - moment)} ago"
    return "now" if moment > now else "just now"


def due_in(moment: datetime, now: datetime) -> str:
    """Return how far it is to when something is due, or "due 3 min ago"."""
    return f"{'' if moment > now else 'due '}{from_now(moment, now)}"
