"""A length of time, for people."""

from __future__ import annotations

from datetime import timedelta

_UNITS = {
    "day": timedelta(days=1),
    "hour": timedelta(hours=1),
    "minute": timedelta(minutes=1),
}
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def in_words(span: timedelta) -> str:
    """Return a span that is not negative, as "1 hour 30 minutes"."""
    parts: list[str] = []
    for unit, length in _UNITS.items():
        count, span = divmod(span, length)
        if count:
            parts.append(_counted(count, unit))
    if span or not parts:
        parts.append(_counted(span.total_seconds(), "second"))
    return " ".join(parts)


def _counted(count: float, unit: str) -> str:
    return f"{count:g} {unit}" if count == 1 else f"{count:g} {unit}s"


def short(span: timedelta) -> str:
    """Return a span in the two largest of its units, as "7 h 12 min" or "3.2 s"."""
    seconds = span.total_seconds()
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    if seconds < _MINUTE:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"  # noqa: PLR2004
    whole = int(seconds)
    if whole < _HOUR:
        return _two(whole // _MINUTE, "min", whole % _MINUTE, "s")
    if whole < _DAY:
        return _two(whole // _HOUR, "h", whole % _HOUR // _MINUTE, "min")
    return _two(whole // _DAY, "d", whole % _DAY // _HOUR, "h")


def coarse(span: timedelta) -> str:
    """Return a span in the largest of its units, as "7 h"."""
    seconds = span.total_seconds()
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _two(large: int, unit: str, small: int, small_unit: str) -> str:
    return f"{large} {unit} {small} {small_unit}" if small else f"{large} {unit}"
