"""How the pages write times, spans and names."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from flask import Flask
from markupsafe import Markup

from headway.job import Progress

MINUTE, HOUR, DAY = 60, 3600, 86_400


def add_words(app: Flask) -> None:
    """Make the functions of this module filters of the application's templates."""
    filters: list[Callable[..., object]] = [
        *(age, ago, moment, span, seconds_between),
        *(number, share, percent, task_name, module_of),
    ]
    for filter_ in filters:
        app.add_template_filter(filter_)


def span(seconds: float | timedelta | None) -> str:
    """Write a length of time in the two largest of its units."""
    if seconds is None:
        return ""
    length = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
    if length < 1:
        return f"{max(length, 0) * 1000:.0f} ms"
    if length < MINUTE:
        return f"{length:.1f} s" if length < 10 else f"{length:.0f} s"  # noqa: PLR2004
    whole = int(length)
    if whole < HOUR:
        return _two(whole // MINUTE, "min", whole % MINUTE, "s")
    if whole < DAY:
        return _two(whole // HOUR, "h", whole % HOUR // MINUTE, "min")
    return _two(whole // DAY, "d", whole % DAY // HOUR, "h")


def ago(at: datetime | None) -> Markup:
    """Write a time as how long ago, with the time itself on hover."""
    if at is None:
        return Markup("–")  # noqa: RUF001 - a dash for a person
    seconds = (datetime.now(UTC) - at).total_seconds()
    if seconds < -1:
        words = f"in {_coarse(-seconds)}"
    else:
        words = f"{_coarse(seconds)} ago" if seconds >= 1 else "just now"
    return _time(at, words)


def age(at: datetime) -> Markup:
    """Write how long ago a time is, in few words."""
    return _time(at, _coarse(max((datetime.now(UTC) - at).total_seconds(), 0)))


def moment(at: datetime | None) -> Markup:
    """Write a time of day, with the day unless it is today."""
    if at is None:
        return Markup("–")  # noqa: RUF001 - a dash for a person
    today = at.date() == datetime.now(UTC).date()
    return _time(at, f"{at:%H:%M:%S}" if today else f"{at:%d %b %Y, %H:%M:%S}")


def seconds_between(start: datetime | None, end: datetime | None) -> str:
    """Write the span between two times, if both are known and in order."""
    if start is None or end is None or end < start:
        return ""
    return span(end - start)


def number(value: float) -> str:
    """Write a number with its thousands apart."""
    return f"{value:,}".replace(",", "\u202f")


def task_name(dotted: str) -> str:
    """Return the last part of a dotted name."""
    return dotted.rpartition(".")[2] or dotted


def module_of(dotted: str) -> str:
    """Return what stands before the last part of a dotted name."""
    return dotted.rpartition(".")[0]


def share(value: float, whole: float) -> float:
    """Return a value as a percentage of the whole, visible if there is any."""
    return round(max(100 * value / whole, 2), 1) if value and whole else 0


def percent(progress: Progress) -> int:
    """Return how far a job is, in whole percent."""
    return int(progress.fraction * 100)


def _coarse(seconds: float) -> str:
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _two(large: int, unit: str, small: int, small_unit: str) -> str:
    return f"{large} {unit} {small} {small_unit}" if small else f"{large} {unit}"


def _time(at: datetime, words: str) -> Markup:
    stamp = f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        at.isoformat(), stamp, words
    )
