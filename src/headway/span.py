"""A length of time, for people."""

from __future__ import annotations

from datetime import timedelta

_UNITS = {
    "day": timedelta(days=1),
    "hour": timedelta(hours=1),
    "minute": timedelta(minutes=1),
}


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
