"""How the pages write times, spans and names."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from flask import Flask
from markupsafe import Markup

from headway.job import Progress
from headway.options import JOB_ID
from headway.span import coarse, short
from headway.when import due_in, from_now, in_zone, on_the_clock
from headway.wire.reading import pretty


def add_words(app: Flask) -> None:
    """Make the functions of this module filters of the application's templates."""
    filters: list[Callable[..., object]] = [
        *(age, ago, clock, due, in_zone, moment, span, seconds_between),
        *(number, share, percent, task_name, module_of, pretty),
    ]
    for filter_ in filters:
        app.add_template_filter(filter_)
    app.add_template_test(schedule_name)


def span(seconds: float | timedelta | None) -> str:
    """Write a length of time in the two largest of its units."""
    if seconds is None:
        return ""
    if not isinstance(seconds, timedelta):
        seconds = timedelta(seconds=seconds)
    return short(seconds)


def ago(at: datetime | None) -> Markup:
    """Write a time as how long ago, with the time itself on hover."""
    if at is None:
        return Markup("–")  # noqa: RUF001 - a dash for a person
    return _time(at, from_now(at, datetime.now(UTC)))


def age(at: datetime) -> Markup:
    """Write how long ago a time is, in few words."""
    return _time(at, coarse(max(datetime.now(UTC) - at, timedelta(0))))


def moment(at: datetime | None) -> Markup:
    """Write a time of day, with the day unless it is today."""
    if at is None:
        return Markup("–")  # noqa: RUF001 - a dash for a person
    today = at.date() == datetime.now(UTC).date()
    return _time(at, f"{at:%H:%M:%S}" if today else f"{at:%d %b %Y, %H:%M:%S}")


def clock(at: datetime | None) -> Markup:
    """Write a time on the clock of its own zone, as "Fri 27 Nov 03:00 CET"."""
    if at is None:
        return Markup("–")  # noqa: RUF001 - a dash for a person
    return _time(at, on_the_clock(at, datetime.now(UTC)))


def due(at: datetime) -> str:
    """Write how far a time is that something is due, or since when it is."""
    return due_in(at, datetime.now(UTC))


def seconds_between(start: datetime | None, end: datetime | None) -> str:
    """Write the span between two times, if both are known and in order."""
    if start is None or end is None or end < start:
        return ""
    return span(end - start)


def schedule_name(text: str) -> bool:
    """Tell whether a schedule can have that name; another might lead elsewhere."""
    return JOB_ID.fullmatch(text) is not None


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


def _time(at: datetime, words: str) -> Markup:
    stamp = f"{in_zone(at, 'UTC'):%Y-%m-%d %H:%M:%S %Z}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        at.isoformat(), stamp, words
    )
