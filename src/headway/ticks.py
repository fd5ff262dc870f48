"""What is to be done about a schedule's ticks: pure rules, asked by schedulers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from headway.schedule import Schedule
from headway.timetable import Missed, Waiting
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
    #: All ticks until then are to be sent: they have been counted.
    all_until: datetime | None = None


def step(
    schedule: Schedule,
    cursor: datetime,
    now: datetime,
    *,
    waiting: Waiting | None = None,
    all_until: datetime | None = None,
) -> Step:
    """Return what is to be done about the ticks after the cursor.

    A tick is late when `now` is more than the schedule's grace after it, unless it
    has waited for the job of another. `all_until` is what the step before has said.
    """
    first = schedule.next_after(cursor)
    if first is None or first > now:
        return Step(next_due=first)
    if all_until is not None and first <= all_until:
        return _send(schedule, first, all_until)
    waited = _waited_until(waiting, first, now, schedule.grace)
    if waited is not None:
        return _among_all(schedule, first, waited)
    late = now - schedule.grace
    if waiting is not None and waiting.away_until and first < waiting.away_until:
        late = min(late, waiting.away_until)
    if first >= late:
        return _send(schedule, first)
    return _late(schedule, first, late)


def _late(schedule: Schedule, first: datetime, late: datetime) -> Step:
    """Do with ticks that nobody has sent in time, until `late`, as `misfire` says."""
    if schedule.misfire == "all":
        return _among_all(schedule, first, late)
    last_late = _latest(schedule, first, late) or first
    if schedule.misfire == "skip":
        why = f"no scheduler was there within {schedule.grace}: misfire='skip'"
        return _miss(schedule, first, last_late, why)
    if last_late == first:
        return _send(schedule, first)
    before = _latest(schedule, first, last_late - _MICROSECOND) or first
    why = "a later tick was sent in its place: misfire='once'"
    return _miss(schedule, first, before, why)


def _waited_until(
    waiting: Waiting | None, first: datetime, now: datetime, grace: timedelta
) -> datetime | None:
    """Return until when ticks from this one on have waited; None: it has not."""
    if waiting is None or not waiting.since <= first <= waiting.asked_at:
        return None
    if waiting.away_from is not None and waiting.away_until is not None:
        if first <= waiting.away_from:
            return waiting.away_from
        if first < waiting.away_until:
            return None
    return now if now - waiting.asked_at <= grace else waiting.asked_at


def _among_all(schedule: Schedule, first: datetime, until: datetime) -> Step:
    """Send the first tick, unless more wait than are to be sent."""
    tick, count = first, 1
    while count <= schedule.misfire_limit:
        following = schedule.next_after(tick)
        if following is None or following > until:
            return _send(schedule, first, until)
        tick, count = following, count + 1
    # Count back: where many were missed, few are to be sent.
    kept = until
    for _ in range(schedule.misfire_limit):
        kept = (_latest(schedule, first, kept) or first) - _MICROSECOND
    last = _latest(schedule, first, kept) or first
    why = f"more than misfire_limit={schedule.misfire_limit} waited"
    return _miss(schedule, first, last, why)


def _send(
    schedule: Schedule, tick: datetime, all_until: datetime | None = None
) -> Step:
    following = schedule.next_after(tick)
    return Step(tick=tick, next_due=following, all_until=all_until)


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
