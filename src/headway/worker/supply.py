"""What a child exchanges with the store: jobs in, acknowledgements out.

Acknowledgements are noted in the slot first: should the child die now, its supervisor
sends them. They travel with the next reservation, which follows at once.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from redis.exceptions import RedisError, ResponseError

from headway.broker import ChildBroker
from headway.clock import Clock
from headway.errors import ResultError
from headway.lease import Lease, Served, Turn
from headway.wire.steadfast import TRIES_OF_LARGE, not_taken
from headway.worker.order import Ordering
from headway.worker.slot import Slot

log = logging.getLogger("headway.worker")

#: Between two attempts to reach Redis, in seconds.
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
#: More than a time to live that Redis is sure to take; it is as good as for ever.
LONGEST_TTL = 10**11
#: Reservations closer than this that bring little are worth waiting for each other.
HURRIED, LITTLE, COALESCE = 0.002, 16, 0.001


class Noted(NamedTuple):
    """A success that is noted in the slot and not acknowledged yet."""

    lease: Lease
    value: bytes
    began: float
    ended: float


class Supply:
    """The jobs of one child."""

    def __init__(
        self,
        broker: ChildBroker,
        slot: Slot,
        ordering: Ordering,
        clock: Clock,
        *,
        lease: float,
        default_ttl: int,
        finish_parent: Callable[[Noted], None],
    ) -> None:
        self._broker = broker
        self._slot = slot
        self._ordering = ordering
        self._clock = clock
        self._lease = lease
        self._default_ttl = default_ttl
        self._finish_parent = finish_parent
        self._noted: dict[str, Noted] = {}
        #: Leases that were handed out and have not ended, by id.
        self._open: dict[str, int] = {}
        #: A job that was to be released may still be held here.
        self._is_in_doubt = False
        self._last, self._last_brought = 0.0, LITTLE
        self.suspended = False

    def take(self, wanted: int, *, wait: float = 0.0) -> list[Lease]:
        """Return jobs to run; none when all queues are empty, now or after the wait."""
        order = self._ordering.next()
        if not self._ordering.is_strict:
            wanted = 1
        self._coalesce()
        turn = self._exchange(wanted, order, wait)
        self._last_brought = len(turn.leases)
        for lease in turn.leases:
            self._open[lease.job_id] = lease.ordinal
        if turn.leases:
            self._ordering.served(turn.leases[0].queue)
        self.suspended = turn.suspended
        return turn.leases

    def acknowledge(
        self, lease: Lease, value: bytes, began: float, ended: float, *, shown: bool
    ) -> None:
        """Note that a job succeeded; `flush` or the next `take` writes it.

        Raises:
            ResultError: what it returned is too large for this Redis.
        """
        ttl = int(lease.result_ttl) if lease.result_ttl else self._default_ttl
        ttl = min(ttl, LONGEST_TTL)
        packed = self._broker.success(
            lease, ttl=ttl, value=value, began=began, ended=ended, shown=shown
        )
        noted = Noted(lease, value, began, ended)
        if not self._slot.note(packed):
            self.flush()
            if not self._slot.note(packed):  # a result of more than a mebibyte
                turn = self._written(packed)
                self._tell_lost(turn, {lease.job_id: noted})
                self._finish_parents(turn, {lease.job_id: noted})
                self.forget(lease)
                return
        self._noted[lease.job_id] = noted
        self.forget(lease)

    def _written(self, packed: bytes) -> Turn:
        """Write what is large, unless it is for this that Redis refuses it.

        Raises:
            ResultError: it was not taken time and again, and something small was.
        """
        pause = FIRST_PAUSE
        for left in reversed(range(TRIES_OF_LARGE)):
            try:
                return self._broker.reserve(0, (), packed)
            except RedisError as error:
                self._is_in_doubt = True
                # Until an answer comes, and it is small; nothing else has this result,
                # so that the child does not leave before.
                self._patiently(0, (), b"", heeds_stop=False)
                if not left:
                    raise ResultError(not_taken(len(packed), error)) from error
            self._clock.sleep(pause)
            pause *= 2
        raise AssertionError("it was written, or not")

    @property
    def has_notes(self) -> bool:
        """Tell whether anything is noted that is not written yet."""
        return bool(self._noted)

    def flush(self) -> None:
        """Write what is noted, now."""
        if self._noted:
            self._exchange(0, ())

    def forget(self, lease: Lease) -> None:
        """Say that a job has ended otherwise: RQ's own code wrote its outcome."""
        # Where it is to run again, this child may have it once more already.
        if self._open.get(lease.job_id) == lease.ordinal:
            del self._open[lease.job_id]

    def release(self, leases: Sequence[Lease]) -> None:
        """Give jobs back unrun; those the supervisor has given back are not ours."""
        if not leases:
            return
        jobs = [(lease.job_id, lease.ordinal) for lease in leases]
        try:
            self._broker.release(jobs)
        except RedisError as error:
            # The next question gives them back, or the supervisor if there is none.
            log.warning("%d jobs are not released yet: %s", len(jobs), error)
            self._is_in_doubt = True
        for lease in leases:
            self.forget(lease)

    def _coalesce(self) -> None:
        """Let jobs that come one by one gather a little: Redis is what they share."""
        now = self._clock.monotonic()
        if now - self._last < HURRIED and 0 < self._last_brought < LITTLE:
            self._clock.sleep(COALESCE)
            now = self._clock.monotonic()
        self._last = now

    def _exchange(
        self, wanted: int, order: tuple[Served, ...], wait: float = 0.0
    ) -> Turn:
        notes, _ = self._slot.notes()
        noted = self._noted
        turn = self._patiently(wanted, order, notes, wait)
        if notes:
            settled = self._slot.settled
            self._noted = {}
            self._tell_lost(turn, dict(list(noted.items())[settled:]))
            self._finish_parents(turn, noted)
            self._slot.clear_notes()  # now nothing of them is left for a supervisor
        return turn

    def _patiently(
        self,
        wanted: int,
        order: tuple[Served, ...],
        notes: bytes,
        wait: float = 0.0,
        *,
        heeds_stop: bool = True,
    ) -> Turn:
        """Ask until the store answers; a lost answer leads to what is still true."""
        pause, away = FIRST_PAUSE, False
        while True:
            try:
                if away or self._is_in_doubt:
                    self._resume()
                asked = self._clock.monotonic()
                turn = self._broker.reserve(wanted, order, notes, wait=wait)
            except RedisError as error:
                if not away:
                    answers = isinstance(error, ResponseError)
                    what = "refuses what the child asks" if answers else "is away"
                    log.warning("Redis %s, the child waits: %s", what, error)
                away = True
                if heeds_stop and self._slot.stop_asked:
                    raise StoreAwayError from error
                self._clock.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
                pause = min(LONGEST_PAUSE, 2 * pause)
            else:
                if away:
                    log.warning("Redis is back")
                if turn.leases:
                    self._slot.reserve_until(asked + self._lease)
                return turn

    def _resume(self) -> None:
        """Give back the jobs of a reservation whose answer was lost."""
        held = self._broker.resume()
        noted = {name: each.lease.ordinal for name, each in self._noted.items()}
        known = self._open.items() | noted.items()
        unknown = sorted((ordinal, job_id) for job_id, ordinal in held.items() - known)
        self._broker.release([(job_id, ordinal) for ordinal, job_id in unknown])
        self._is_in_doubt = False

    def _tell_lost(self, turn: Turn, noted: dict[str, Noted]) -> None:
        for job_id in turn.lost:
            if job_id in noted:
                log.warning(
                    "job %s: its lease was lost, so this run is superseded and its "
                    "result is discarded: another worker has the job now",
                    job_id,
                )

    def _finish_parents(self, turn: Turn, noted: dict[str, Noted]) -> None:
        for job_id in turn.parents:
            if job_id in noted:
                self._finish_parent(noted[job_id])


class StoreAwayError(Exception):
    """Raised to leave while the store is away: the slot tells what is to be written."""
