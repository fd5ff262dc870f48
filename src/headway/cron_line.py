"""A line of cron: which local times it names; it knows no zones.

The calendar is croniter's, which RQ uses as well. What it reads otherwise than a person
would, or draws by lot, is refused here: see `_check_field`.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from croniter import CroniterBadDateError, croniter

from headway.errors import ConfigurationError

ALIASES = (
    "@hourly",
    "@daily",
    "@midnight",
    "@weekly",
    "@monthly",
    "@yearly",
    "@annually",
)
_MONTHS = (
    *("jan", "feb", "mar", "apr", "may", "jun"),
    *("jul", "aug", "sep", "oct", "nov", "dec"),
)
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    #: What the field may say beside numbers, names, ranges and steps.
    special: re.Pattern[str] | None = None
    special_words: str = ""

    def number(self, text: str) -> int | None:
        """Return what a number or a name stands for, None where it is out of range."""
        if text in self.names:
            return self.names.index(text) + self.low
        number = int(text) if text.isascii() and text.isdecimal() else self.high + 1
        return number if self.low <= number <= self.high else None


_FIELDS = (
    _Field(name="second", low=0, high=59),
    _Field(name="minute", low=0, high=59),
    _Field(name="hour", low=0, high=23),
    _Field(
        name="day of the month",
        low=1,
        high=31,
        special=re.compile(r"l"),
        special_words=", L for the last day",
    ),
    _Field(name="month", low=1, high=12, names=_MONTHS),
    _Field(
        name="day of the week",
        low=0,
        high=7,
        names=_WEEKDAYS,
        special=re.compile(r"(?:[0-7]|" + "|".join(_WEEKDAYS) + r")#[1-5]|l[0-7]"),
        special_words=", fri#3 for the third Friday, L5 for the last one",
    ),
)


def check_line(owner: str, line: str) -> None:
    """Refuse a line that cannot be read, or that never comes.

    Raises:
        ConfigurationError: naming the field, its value and what is expected.
    """
    words = line.lower().split() if isinstance(line, str) else []
    if words[:1] and words[0] in ALIASES and len(words) == 1:
        return
    if len(words) not in {5, 6}:
        raise ConfigurationError(
            f"{owner}: expected five fields (minute, hour, day of the month, month, "
            "day of the week), as '0 3 * * *', six with seconds in front, or one of "
            f"{' '.join(ALIASES)}"
        )
    for field, text in zip(_FIELDS[-len(words) :], words, strict=True):
        _check_field(owner, field, text)
    _check_days(owner, words[-3], words[-1])
    if following(line, datetime(2026, 1, 1)) is None:  # noqa: DTZ001 - a local time
        raise ConfigurationError(
            f"{owner}: it never comes, there is no such date; for the last day of a "
            "month write L, as '0 0 L * *'"
        )


def _check_field(owner: str, field: _Field, text: str) -> None:
    for item in text.split(","):
        fault = _fault(field, item)
        if fault is not None:
            raise ConfigurationError(f"{owner}: {field.name} {item!r}: {fault}")


def _fault(field: _Field, item: str) -> str | None:
    """Return what is wrong with a part of a field, and what to write instead."""
    if field.special is not None and field.special.fullmatch(item):
        return None
    span, slash, step = item.partition("/")
    first, dash, last = span.partition("-")
    begin = field.low if first == "*" and not dash else field.number(first)
    end = field.number(last) if dash else begin
    is_step = step.isascii() and step.isdecimal() and int(step) > 0
    if begin is None or end is None or (slash and not is_step):
        return (
            f"expected {field.low}-{field.high}"
            f"{' or a name as ' + field.names[1] if field.names else ''}, "
            f"*, a list 1,2, a range 1-5, a step */2 or 1-5/2{field.special_words}"
        )
    # croniter takes 5-5 for the whole field, and counts steps anew in 22-2/3.
    if dash and (begin == end or (begin, end) == (field.high, field.low) == (7, 0)):
        return f"it begins where it ends; write {first}"
    if slash and begin > end:
        return "a step goes to the end of a range only; write a list, as 22,0,2"
    return None


def _check_days(owner: str, day: str, weekday: str) -> None:
    """Refuse a pair of days that croniter would join in another way than others."""
    if "*" in {day, weekday}:
        return
    pair = f"{owner}: day of the month {day!r} beside day of the week {weekday!r}"
    if "#" in weekday or re.search(r"l\d", weekday):
        raise ConfigurationError(
            f"{pair}: with # or L one of the two must be *; make two schedules"
        )
    if "*" in day + weekday:
        raise ConfigurationError(
            f"{pair}: crons differ on whether that is both or either; write "
            "1-31/2 instead of */2 for either"
        )


def following(line: str, after: datetime) -> datetime | None:
    """Return the first local time of the line that is after a naive one."""
    try:
        # A copy, for threads: croniter keeps its place.
        found: datetime = copy.copy(_parsed(line)).get_next(datetime, after)
    except (CroniterBadDateError, OverflowError, ValueError):
        return None  # none within fifty years, or none in the calendar
    return found


def names(line: str, local: datetime) -> bool:
    """Return whether a naive local time is one of the line's."""
    return following(line, local - _SECOND) == local


@lru_cache
def is_every_hour(line: str) -> bool:
    """Return whether the line leaves out no hour of a day, as * and 0-23 do."""
    hours: list[int | str] = _parsed(line).expanded[1]
    return "*" in hours


@lru_cache(maxsize=1024)
def _parsed(line: str) -> Any:  # noqa: ANN401 - croniter has no types
    return croniter(line, second_at_beginning=True)
