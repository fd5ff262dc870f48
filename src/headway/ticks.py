"""What is to be done about a schedule's ticks: pure rules, asked by schedulers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from headway.schedule import Schedule
from headway.timetable import Missed
from headway.timing import latest

_MICROSECOND = timedelta(microseconds=1)
#: Missed ticks are counted up to here.
COUNTED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The next thing to do: write ticks down as missed, or send one, or wait."""

    missed: Missed | None = None
    tick: datetime | None = None
    #: The tick after these; None: there is none any more.
    next_due: datetime | None = None


def step(
    schedule: Schedule,
    cursor: datetime,
    now: datetime,
    *,
    waiting_since: datetime | None = None,
) -> Step:
    """Return what is to be done about the ticks after the cursor.

    A tick is late when `now` is more than the schedule's grace after it, unless it
    has waited for the job of another.
    """
    first = schedule.next_after(cursor)
    if first is None or first > now:
        return Step(next_due=first)
    has_waited = waiting_since is not None and first >= waiting_since
    if has_waited or schedule.misfire == "all":
        return _among_all(schedule, first, now)
    late = now - schedule.grace
    if first >= late:
        return _send(schedule, first)
    last_late = _latest(schedule, first, late) or first
    if schedule.misfire == "skip":
        why = f"no scheduler was there within {schedule.grace}: misfire='skip'"
        return _miss(schedule, first, last_late, why)
    if last_late == first:
        return _send(schedule, first)
    before = _latest(schedule, first, last_late - _MICROSECOND) or first
    why = "a later tick was sent in its place: misfire='once'"
    return _miss(schedule, first, before, why)


def _among_all(schedule: Schedule, first: datetime, now: datetime) -> Step:
    """Send the first tick, unless more wait than are to be sent."""
    tick, count = first, 1
    while count <= schedule.misfire_limit:
        following = schedule.next_after(tick)
        if following is None or following > now:
            return _send(schedule, first)
        tick, count = following, count + 1
    # Count back: where many were missed, few are to be sent.
    kept = now
    for _ in range(schedule.misfire_limit):
        kept = (_latest(schedule, first, kept) or first) - _MICROSECOND
    last = _latest(schedule, first, kept) or first
    why = f"more than misfire_limit={schedule.misfire_limit} waited"
    return _miss(schedule, first, last, why)


def _send(schedule: Schedule, tick: datetime) -> Step:
    return Step(tick=tick, next_due=schedule.next_after(tick))


def _miss(schedule: Schedule, first: datetime, last: datetime, why: str) -> Step:
    count = _count(schedule, first, last)
    missed = Missed(first=first, last=last, count=count, reason=why)
    return Step(missed=missed, next_due=schedule.next_after(last))


def missed_between(
    schedule: Schedule, cursor: datetime, now: datetime, reason: str
) -> Missed | None:
    """Return the ticks after the cursor and not after `now` as missed, if any."""
    first = schedule.next_after(cursor)
    if first is None or first > now:
        return None
    last = _latest(schedule, first, now) or first
    count = _count(schedule, first, last)
    return Missed(first=first, last=last, count=count, reason=reason)


def _latest(schedule: Schedule, first: datetime, until: datetime) -> datetime | None:
    """Return the last tick from the first on that is not after `until`."""
    if until < first:
        return None
    if schedule.end is not None:
        until = min(until, schedule.end)
    return latest(schedule.ticks, until=until, since=first - _MICROSECOND)


def _count(schedule: Schedule, first: datetime, last: datetime) -> int | None:
    tick, count = first, 1
    while tick < last:
        following = schedule.next_after(tick)
        if following is None or count == COUNTED:
            return None
        tick, count = following, count + 1
    return count
