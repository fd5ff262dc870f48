"""What is done about the jobs of a child that is gone.

What it had finished is acknowledged, from its slot. What it had begun is an orphan: it
goes back, and counts as a crash of that job alone, unless it was us who ended the
child. What it had not begun goes back as if nothing had been. What only the application
can decide is handed to a finisher.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from headway.broker import SupervisorBroker
from headway.clock import Clock
from headway.lease import Holder, Leased, Recovered
from headway.wire.success import successes
from headway.worker.aftermath import Aftermath
from headway.worker.member import STOPPED, Doom, Member
from headway.worker.plan import CRASH_LIMIT
from headway.worker.slot import Held, Told

log = logging.getLogger("headway.worker")

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A child that is gone, and what its slot told when it went."""

    holder: Holder
    host: str
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
        """Return the ordinals of the jobs that it had begun, and not ended."""
        return [held.ordinal for held in self.table if held.began and not held.over]


def loss_of(member: Member, status: int, *, ended: str, host: str) -> Loss:
    """Return what is lost with a child, by the status that the system reports.

    `ended` says why we have ended it; empty where it came to its end by what it ran.
    """
    notes, count = member.slot.notes()
    return Loss(
        holder=member.life,
        host=host,
        notes=notes,
        count=count,
        table=tuple(member.slot.table()),
        doomed=_cancelled(member) | member.doomed,
        cause=ended or member.blamed or cause_of(status, member.memory),
        crashed=not ended,
    )


def _cancelled(member: Member) -> dict[int, Doom]:
    return {
        held.ordinal: Doom("stopped", STOPPED)
        for held in member.slot.table()
        if held.told == Told.CANCELLED and not held.over
    }


def cause_of(status: int, memory: int = 0) -> str:
    """Return in words how a process ended, by its wait status.

    `memory` is what it had last, in bytes.
    """
    if status >= 0:
        return f"it exited with code {status}"
    number = -status
    name = signal.Signals(number).name
    had = f"; it had {memory // MIB} MiB of memory" if memory else ""
    hint = ", as the kernel does when memory runs out" if name == "SIGKILL" else ""
    return f"it was killed by signal {number} ({name}){hint}{had}"


def story(cause: str, worker: str, host: str, now: datetime) -> str:
    """Return the line that a job keeps of a worker that it ended."""
    return f"{now:%Y-%m-%d %H:%M:%S} UTC, worker {worker} on host {host}: {cause}"


def settle(loss: Loss, broker: SupervisorBroker, clock: Clock) -> Sequence[Aftermath]:
    """See to the jobs of a child that is gone; return what needs the application."""
    aftermath = _doomed(loss, broker, clock)
    if loss.count:
        parents = broker.acknowledge(loss.holder, loss.notes)
        aftermath += _successes(loss, parents)
    recovered = broker.recover(
        loss.holder,
        begun=loss.begun,
        kept=[each.leased.ordinal for each in aftermath],
        story=story(loss.cause, loss.holder.worker, loss.host, clock.now()),
        crash_limit=CRASH_LIMIT,
        gone="dead" if loss.crashed else "ended",
    )
    for orphan in recovered:
        if not loss.crashed and orphan.leased.ordinal in loss.begun:
            log.warning(
                "job %s is %s: it was broken off: %s",
                orphan.leased.job_id,
                orphan.told,
                loss.cause,
            )
        if orphan.crashes:
            log.warning(
                "job %s is %s: its worker ended while it ran (%s); that was time %d",
                orphan.leased.job_id,
                orphan.told,
                loss.cause,
                orphan.crashes,
            )
    return [*aftermath, *undecided(recovered, clock)]


def undecided(recovered: Iterable[Recovered], clock: Clock) -> list[Aftermath]:
    """Return the orphans whose end, if it is one, only the application can write."""
    now = clock.now().timestamp()
    found: list[Aftermath] = []
    for orphan in recovered:
        if orphan.fate == "broken off":
            found.append(Aftermath(leased=orphan.leased, began=now, why="broken off"))
        elif orphan.fate == "left" and orphan.crashes:
            found.append(Aftermath(leased=orphan.leased, began=now, why="crashed"))
    return found


def _successes(loss: Loss, parents: Sequence[str]) -> list[Aftermath]:
    """Return the jobs that have ended well, and that others wait for."""
    return [
        Aftermath(
            leased=Leased(loss.holder, success.job_id, success.ordinal, success.queue),
            began=float(success.began),
            why="succeeded",
            value=success.result,
        )
        for success in successes(loss.notes, loss.count)
        if success.job_id in parents
    ]


def _doomed(loss: Loss, broker: SupervisorBroker, clock: Clock) -> list[Aftermath]:
    if not loss.doomed:
        return []
    ids = broker.held(loss.holder)
    now, monotonic = clock.now().timestamp(), clock.monotonic()
    return [
        Aftermath(
            leased=Leased(loss.holder, *_id_and_queue(ids, held.ordinal)),
            began=now - (monotonic - held.began) if held.began else now,
            why=loss.doomed[held.ordinal].why,
            reason=loss.doomed[held.ordinal].reason,
        )
        for held in loss.table
        if held.ordinal in loss.doomed and held.ordinal in ids
    ]


def _id_and_queue(
    ids: dict[int, tuple[str, str]], ordinal: int
) -> tuple[str, int, str]:
    job_id, queue = ids[ordinal]
    return job_id, ordinal, queue
