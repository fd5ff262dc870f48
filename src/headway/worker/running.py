"""A job among others that a child runs at once, and what its lanes share."""

from __future__ import annotations

import asyncio
import inspect
import threading
from dataclasses import dataclass, field
from queue import SimpleQueue

from headway.clock import Clock
from headway.delivery import Delivery
from headway.lease import Lease
from headway.outcome import Succeeded
from headway.worker.execute import Ending, Execute
from headway.worker.notes import Notes
from headway.worker.slot import Slot, Told


# Not frozen: it is the state of a job that runs.
@dataclass(slots=True, eq=False)
class Running:
    """A job that this child has, from its reservation to its end."""

    lease: Lease
    index: int
    notes: Notes | None = None
    delivery: Delivery | None = None
    began: float = 0.0
    began_monotonic: float = 0.0
    outcome: Ending | None = None
    by_rq: bool = False
    succeeded: bool = False
    revoked: bool = False
    stopped: bool = False
    was_interrupted: bool = False
    #: It has heeded that, and let it pass.
    broken_off: bool = False
    #: What it was prevented by from being ended as it should.
    error: BaseException | None = None
    #: How long it may run; none or less for ever.
    seconds: float = 0.0
    #: When it was last told to end; monotonic seconds.
    told_at: float = 0.0
    thread: int = 0
    task: asyncio.Task[None] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    _is_taken: bool = False

    def take(self) -> bool:
        """Claim it, to run it or to give it back; tell whether nobody has done so."""
        with self.lock:
            is_free, self._is_taken = not self._is_taken, True
        return is_free

    @property
    def may_be_interrupted(self) -> bool:
        """Tell whether its function runs, and was not told to end yet."""
        is_over = self.outcome is not None or self.stopped or self.revoked
        return not (is_over or self.was_interrupted or self.by_rq)

    @property
    def is_async(self) -> bool:
        """Tell whether it belongs on the loop."""
        return self.delivery is not None and inspect.iscoroutinefunction(
            self.delivery.task.function
        )

    @property
    def ends_by_rq(self) -> bool:
        """Tell whether its outcome is one that only RQ's own code can write."""
        return self.outcome is not None and not isinstance(self.outcome, Succeeded)


#: What has ended, for the main thread; None is a wake-up.
Ended = SimpleQueue[Running | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """What a lane of any kind needs."""

    execute: Execute
    slot: Slot
    clock: Clock
    ended: Ended

    def begin(self, running: Running) -> bool:
        """Mark a job as begun; tell whether it is still ours to run."""
        now = self.clock.monotonic()
        running.began, running.began_monotonic = self.execute.seconds(now), now
        deadline = self.execute.deadline(running.lease, now)
        told = self.slot.begin(running.index, now, deadline)
        running.revoked = told == Told.REVOKED
        running.stopped = told == Told.CANCELLED
        return not told

    def attempted(self, running: Running, delivery: Delivery) -> Ending:
        """Run a plain task in this thread."""
        try:
            return self.execute.attempted(running.lease, delivery)
        finally:
            self.slot.task_is_over(running.index)

    async def attempted_async(self, running: Running, delivery: Delivery) -> Ending:
        """Run an `async def` task on this loop."""
        try:
            return await self.execute.attempted_async(running.lease, delivery)
        finally:
            self.slot.task_is_over(running.index)

    def settle(self, running: Running) -> None:
        """Write an outcome that only RQ's own code can, in whichever thread this is."""
        if running.notes is not None:
            running.notes.close()
        if running.revoked:
            return
        if running.stopped:
            self.execute.stop(running.lease, running.began)
        elif running.outcome is not None and running.ends_by_rq:
            self.execute.end_by_rq(running.lease, running.outcome, running.began)
