"""The jobs of other workers that are lost, given back by whoever sees it first.

A process that died on this machine is seen within a second: its id and the moment it
began say so. A machine that is gone is known by its leases, which run out.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

from redis.exceptions import ResponseError

from headway.lease import Gone, Holder
from headway.wire.leftovers import Leftover, Leftovers
from headway.worker.aftermath import Aftermath
from headway.worker.identity import Identity
from headway.worker.loss import story, undecided
from headway.worker.member import new_holder
from headway.worker.office import Office
from headway.worker.plan import CRASH_LIMIT

log = logging.getLogger("headway.worker")

#: How often workers that have died on this machine are looked for, in seconds.
HERE = 1.0
#: How often leases that ran out are looked for at most, in seconds.
EVERYWHERE = 3.0
#: How often what workers of RQ's own have left is looked for, in seconds. It is theirs
#: to end as long as it is seen once only.
LEFT_BY_RQ = 3.0


class Finishes(Protocol):
    """Has what is the application's to say of jobs said."""

    def settle(self, aftermath: Sequence[Aftermath]) -> None:
        """Have the outcome of jobs written that only the application can tell."""
        ...

    def enqueue_let_go(self, worker: str) -> None:
        """Have the jobs enqueued that wait for nobody any more."""
        ...


class Recovery:
    """What one worker does for others."""

    def __init__(
        self,
        office: Office,
        finishers: Finishes,
        leftovers: Leftovers,
        *,
        recalls: bool = True,
    ) -> None:
        """`recalls`: what other engines have of its queues is taken back."""
        self._recalls = recalls
        self._office = office
        self._finishers = finishers
        self._leftovers = leftovers

    def look(self) -> None:
        """Give back the jobs of workers that are lost."""
        contact, lease = self._office.contact, self._office.lease
        if self._office.is_due("recover here", HERE):
            contact.made(self._recover_here)
        # After an outage nobody's lease was renewed: give all a chance to do so first.
        has_rested = self._office.now - contact.since >= lease / 2
        if has_rested and self._office.is_due("recover", min(lease / 6, EVERYWHERE)):
            contact.made(self._recover_late)
        if self._office.is_due("leftovers", LEFT_BY_RQ):
            contact.made(self._recover_leftovers)

    def _recover_here(self) -> None:
        mine, broker = self._office.identity, self._office.broker
        for holder, written in broker.neighbours(mine.machine_id):
            other = Identity.read(written)
            if other is not None and mine.sees_dead(other):
                self._recover(holder, other, "its worker was killed", "dead")
                broker.forget(holder, mine.machine_id)
                broker.unregister(holder.worker, written)

    def _recover_late(self) -> None:
        for holder, written in self._office.broker.late():
            other = Identity.read(written)
            cause = "its worker did not renew its lease"
            try:
                self._recover(holder, other, cause, "late")
            except ResponseError as error:  # the others need not wait for this one
                log.error("what %s held cannot be recovered: %s", holder.child, error)  # noqa: TRY400 - in Redis' own words

    def _recover_leftovers(self) -> None:
        if not self._leftovers.is_my_turn(LEFT_BY_RQ * 0.8):
            return
        if self._recalls:
            for job_id in self._leftovers.recall():
                log.info("job %s is taken back from the engine that had it", job_id)
        found = self._leftovers.found(LEFT_BY_RQ * 0.5)
        for worker in sorted({each.worker for each in found}):
            self._take_over(worker, [each for each in found if each.worker == worker])
        if self._leftovers.waits_for_nobody(LEFT_BY_RQ * 0.5):
            self._finishers.enqueue_let_go(self._office.plan.name)
        self._leftovers.go_on()

    def _take_over(self, worker: str, left: Sequence[Leftover]) -> None:
        holder = new_holder(worker or "rq")
        for ordinal, each in enumerate(left, 1):
            fate = self._leftovers.adopt(each, holder, ordinal)
            if fate == "requeued":
                log.warning(
                    "job %s goes back to the front of %s: a worker of RQ's own had "
                    "taken it, and is gone",
                    each.job_id,
                    each.queue,
                )
        self._recover(holder, None, "its worker, one of RQ's own, is gone", "dead")

    def _recover(
        self, holder: Holder, process: Identity | None, cause: str, gone: Gone
    ) -> None:
        host = process.host if process else "unknown"
        mine, broker = self._office.identity, self._office.broker
        recovered = broker.recover(
            holder,
            begun=None,
            story=story(cause, holder.worker, host, self._office.clock.now()),
            crash_limit=CRASH_LIMIT,
            gone=gone,
        )
        for orphan in recovered:
            log.warning(
                "job %s is %s: %s (%s on host %s); crashes counted: %d",
                orphan.leased.job_id,
                orphan.told,
                cause,
                holder.worker,
                host,
                orphan.crashes,
            )
        if left := undecided(recovered, self._office.clock):
            # From now on it is this process that answers for them: they are not to be
            # recovered again while the application decides.
            broker.sign([holder.child], mine.written, mine.machine_id)
            self._finishers.settle(left)
