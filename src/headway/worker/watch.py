"""What a supervisor sees of its children, and does about it, many times a second."""

from __future__ import annotations

import resource
from pathlib import Path

from headway.broker import SupervisorBroker
from headway.clock import Clock
from headway.worker.member import Member
from headway.worker.slot import Held, State, Told

#: A job that runs for longer keeps others waiting: they are given back, in seconds.
LONG = 0.05
#: A job that runs for longer is shown in RQ's registries, in seconds.
VISIBLE = 0.25
#: What a job has to end by itself once its time is over, in seconds.
LAST_WORDS = 1.0


def overdue(member: Member, now: float) -> list[Held]:
    """Return the jobs that run on although their time is over, and their alarm rang."""
    return [
        held
        for held in running(member)
        if held.deadline and now > held.deadline + LAST_WORDS
    ]


def running(member: Member) -> list[Held]:
    """Return the jobs that a child runs."""
    if not member.is_alive or member.slot.state is not State.BUSY:
        return []
    return [
        held
        for held in member.slot.table()
        if held.began and not held.over and held.told != Told.REVOKED
    ]


def take_back(member: Member, now: float) -> None:
    """Take from a child that runs a long job what it has not begun."""
    if not member.is_alive or member.slot.state is not State.BUSY:
        return
    table = member.slot.table()
    if not any(h.began and not h.over and now - h.began > LONG for h in table):
        return
    for held in table:
        is_waiting = not (held.began or held.over or held.told)
        if is_waiting and member.slot.revoke(held.place):
            member.to_release.add(held.ordinal)


def release(member: Member, broker: SupervisorBroker) -> None:
    """Give back what was taken from a child; it may be tried again."""
    if member.to_release and member.holder is not None:
        broker.release(member.holder, sorted(member.to_release))
        member.to_release.clear()


def acknowledge(member: Member, broker: SupervisorBroker, now: float) -> None:
    """Write what a child has done, while it is busy with a long job."""
    notes, count = member.slot.notes()
    if count <= member.slot.settled or member.holder is None:
        return
    if any(now - held.began > LONG for held in running(member)):
        member.slot.settle(count)
        broker.acknowledge(member.holder, notes)


def show(
    member: Member, broker: SupervisorBroker, clock: Clock, *, again: bool
) -> None:
    """Show long jobs in RQ's registries; `again` keeps there what is shown."""
    now, seconds = clock.monotonic(), clock.now().timestamp()
    long = [held for held in running(member) if now - held.began > VISIBLE]
    due = [held for held in long if again or held.ordinal not in member.shown]
    if due and member.holder is not None:
        begun = [(held.ordinal, seconds - (now - held.began)) for held in due]
        broker.show(member.holder, begun, seconds)
    member.shown = {held.ordinal for held in long}


def memory_of(pid: int) -> int:
    """Return how much memory a process has, in bytes; 0 where that cannot be read."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * resource.getpagesize()
