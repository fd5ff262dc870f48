"""What a line of cron should do, found the slow way: nothing here is headway's.

Fields are read by a few lines of its own. UTC is walked minute by minute, each minute's
local time is read by zoneinfo, a gap is where the offset from UTC grows, and a local
time occurs again where it was seen before. Then the three rules are applied as they
are written in docs/explanation/time.md.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun"]
MONTHS += ["jul", "aug", "sep", "oct", "nov", "dec"]
WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]


class Line:
    def __init__(self, text: str) -> None:
        fields = text.lower().split()
        seconds, minutes, hours, self.days, months, self.weekdays = (
            fields if len(fields) == 6 else ["0", *fields]
        )
        self.seconds = sorted(numbers(seconds, 0, 59))
        self.minutes = sorted(numbers(minutes, 0, 59))
        self.hours = sorted(numbers(hours, 0, 23))
        self.months = numbers(months, 1, 12, MONTHS)
        self.is_every_hour = len(self.hours) == 24
        self.runs_on = cache(self._runs_on)

    def _runs_on(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        by_date = any(is_date(item, day) for item in self.days.split(","))
        by_weekday = any(is_weekday(item, day) for item in self.weekdays.split(","))
        if "*" not in {self.days, self.weekdays}:
            return by_date or by_weekday
        return by_date and by_weekday

    def names_minute(self, local: datetime) -> bool:
        return (
            local.minute in self.minutes
            and local.hour in self.hours
            and self.runs_on(local.date())
        )


def numbers(text: str, low: int, high: int, names: list[str] | None = None) -> set[int]:
    found: set[int] = set()
    for item in text.split(","):
        span, _, step = item.partition("/")
        first, _, last = span.partition("-")
        begin = low if first == "*" else number(first, low, names)
        if last:
            end = number(last, low, names)
        else:
            end = high if first == "*" or step else begin
        row = [*range(begin, end + 1)]
        if end < begin:  # over the end and on from the beginning
            row = [*range(begin, high + 1), *range(low, end + 1)]
        found.update(row[:: int(step or 1)])
    return found


def number(text: str, low: int, names: list[str] | None) -> int:
    return names.index(text) + low if names and text in names else int(text)


def is_date(item: str, day: date) -> bool:
    if item == "l":
        return (day + DAY).month != day.month
    return day.day in numbers(item, 1, 31)


def is_weekday(item: str, day: date) -> bool:
    weekday = day.isoweekday() % 7
    if item.startswith("l"):
        is_last = (day + 7 * DAY).month != day.month
        return is_last and weekday == int(item[1:]) % 7
    if "#" in item:
        name, _, which = item.partition("#")
        weeks = calendar.monthcalendar(day.year, day.month)
        column = (number(name, 0, WEEKDAYS) - 1) % 7
        dates = [week[column] for week in weeks if week[column]]
        return len(dates) >= int(which) and day.day == dates[int(which) - 1]
    return weekday in {n % 7 for n in numbers(item, 0, 6, WEEKDAYS)}


class Minute(NamedTuple):
    moment: datetime
    local: datetime
    again: bool  # the same local time was there before


class Missing(NamedTuple):
    local: datetime
    gap_end: datetime
    gap_length: timedelta


class Window:
    """Some hours of a zone, read minute by minute."""

    def __init__(self, zone: str, begin: datetime, end: datetime) -> None:
        self.zone, self.begin, self.end = zone, begin, end
        self.minutes: list[Minute] = []
        self.missing: list[Missing] = []
        info = ZoneInfo(zone)
        seen: set[datetime] = set()
        offset = begin.astimezone(info).utcoffset()
        for moment in steps(begin, end, MINUTE):
            aware = moment.astimezone(info)
            local = aware.replace(tzinfo=None, fold=0)
            self.minutes.append(Minute(moment, local, local in seen))
            seen.add(local)
            length = aware.utcoffset() - offset
            for left_out in steps(local - length, local, MINUTE):
                self.missing.append(Missing(left_out, moment, length))
            offset = aware.utcoffset()

    def moments(self, line: Line) -> list[datetime]:
        """Return when the line is due in these hours."""
        due: set[datetime] = set()
        for minute in self.minutes:
            is_due = line.is_every_hour or not minute.again
            if is_due and line.names_minute(minute.local):
                due.update(minute.moment + timedelta(seconds=s) for s in line.seconds)
        for missing in self.missing:
            if line.names_minute(missing.local):
                stands_for_it = line.names_minute(missing.local + missing.gap_length)
                if not (line.is_every_hour and stands_for_it):
                    due.add(missing.gap_end)
        return sorted(due)


def steps(begin: datetime, end: datetime, step: timedelta) -> Iterator[datetime]:
    while begin < end:
        yield begin
        begin += step


def changes(zone: str, begin: datetime, end: datetime) -> list[datetime]:
    """Return the hours in which a zone's offset changes."""
    info = ZoneInfo(zone)
    hours = [hour.astimezone(info) for hour in steps(begin, end, HOUR)]
    return [
        later.astimezone(UTC)
        for earlier, later in pairwise(hours)
        if earlier.utcoffset() != later.utcoffset()
    ]


def first_after(line: Line, moment: datetime) -> datetime | None:
    """Return the next moment of a line that is read in UTC, within forty years."""
    for day in steps(
        moment.replace(hour=0, minute=0, second=0, microsecond=0),
        moment + 40 * 366 * DAY,
        DAY,
    ):
        if not line.runs_on(day.date()):
            continue
        for hour in line.hours:
            for minute in line.minutes:
                for second in line.seconds:
                    due = day.replace(hour=hour, minute=minute, second=second)
                    if due > moment:
                        return due
    return None
