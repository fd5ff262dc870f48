"""What is done about the jobs of a child that is gone.

What it had finished is acknowledged, from its slot. What it had begun is an orphan: it
goes back, and counts as a crash of that job alone. What it had not begun goes back as
if nothing had been. What it was ended for is written by a process of its own.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from headway.broker import SupervisorBroker
from headway.clock import Clock
from headway.lease import Holder
from headway.wire.success import successes
from headway.worker.aftermath import Aftermath
from headway.worker.member import STOPPED, Doom, Member
from headway.worker.plan import CRASH_LIMIT
from headway.worker.slot import Held, Told

log = logging.getLogger("headway.worker")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A child that is gone, and what its slot told when it went."""

    holder: Holder
    notes: bytes
    count: int
    table: tuple[Held, ...]
    doomed: dict[int, Doom]
    #: Why it went, in words for a person.
    cause: str
    #: It went because of what it ran, and not because we have ended it.
    crashed: bool

    @property
    def begun(self) -> list[int]:
        """Return the ordinals of the jobs that may have ended it."""
        if not self.crashed:
            return []
        return [held.ordinal for held in self.table if held.began and not held.over]


def loss_of(member: Member, status: int, *, asked: bool) -> Loss:
    """Return what is lost with a child, by the status that the system reports."""
    notes, count = member.slot.notes()
    return Loss(
        holder=member.life,
        notes=notes,
        count=count,
        table=tuple(member.slot.table()),
        doomed=_cancelled(member) | member.doomed,
        cause=cause_of(status),
        crashed=not (asked or member.doomed),
    )


def _cancelled(member: Member) -> dict[int, Doom]:
    return {
        held.ordinal: Doom("stopped", STOPPED)
        for held in member.slot.table()
        if held.told == Told.CANCELLED and not held.over
    }


def cause_of(status: int) -> str:
    """Return in words how a process ended, by its wait status."""
    if status < 0:
        number = -status
        name = signal.Signals(number).name
        killed = number == signal.SIGKILL
        hint = ", as the kernel does when memory runs out" if killed else ""
        return f"it was killed by signal {number} ({name}){hint}"
    return f"it exited with code {status}"


def settle(loss: Loss, broker: SupervisorBroker, clock: Clock) -> Sequence[Aftermath]:
    """See to the jobs of a child that is gone; return what needs the application."""
    aftermath = _aftermath(loss, broker, clock)
    if loss.count:
        parents = broker.acknowledge(loss.holder, loss.notes)
        aftermath += _successes(loss, parents)
    kept = [each.ordinal for each in aftermath]
    for orphan in broker.recover(
        loss.holder,
        begun=loss.begun,
        kept=kept,
        reason=(
            f"The worker that ran this job ended {CRASH_LIMIT} times; the last time "
            f"{loss.cause}."
        ),
        now=clock.now().timestamp(),
        crash_limit=CRASH_LIMIT,
    ):
        if orphan.crashes:
            log.warning(
                "job %s is %s: its worker ended while it ran (%s); that was time %d",
                orphan.job_id,
                orphan.fate,
                loss.cause,
                orphan.crashes,
            )
    return aftermath


def _successes(loss: Loss, parents: Sequence[str]) -> list[Aftermath]:
    """Return the jobs that have ended well, and that others wait for."""
    return [
        Aftermath(
            job_id=success.job_id,
            ordinal=success.ordinal,
            queue=success.queue,
            holder=loss.holder,
            began=float(success.began),
            why="succeeded",
            value=success.result,
        )
        for success in successes(loss.notes, loss.count)
        if success.job_id in parents
    ]


def _aftermath(loss: Loss, broker: SupervisorBroker, clock: Clock) -> list[Aftermath]:
    if not loss.doomed:
        return []
    ids = broker.held(loss.holder)
    now, monotonic = clock.now().timestamp(), clock.monotonic()
    return [
        Aftermath(
            job_id=ids[held.ordinal][0],
            ordinal=held.ordinal,
            queue=ids[held.ordinal][1],
            holder=loss.holder,
            began=now - (monotonic - held.began) if held.began else now,
            why=loss.doomed[held.ordinal].why,
            reason=loss.doomed[held.ordinal].reason,
        )
        for held in loss.table
        if held.ordinal in loss.doomed and held.ordinal in ids
    ]
