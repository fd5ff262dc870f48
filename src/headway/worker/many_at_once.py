"""A child that runs many jobs at once: plain tasks in threads, `async def` on a loop.

The main thread alone talks to the store about them: it reserves for the lanes that are
free, and acknowledges what has ended meanwhile in the same round trip. Each job has a
lease, a place in the slot and a timeout of its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from queue import Empty, SimpleQueue

from headway.clock import Clock
from headway.errors import HeadwayError, Interrupted
from headway.lease import Lease
from headway.outcome import Failed, Succeeded
from headway.worker.delivering import timeout_of
from headway.worker.ending import Stopped
from headway.worker.event_loop import EventLoop
from headway.worker.execute import Execute
from headway.worker.running import Ended, Lane, Running
from headway.worker.slot import CAPACITY, Slot, State, Told
from headway.worker.supply import StoreAwayError, Supply
from headway.worker.threads import Threads, timeout_of_thread
from headway.worker.wakeup import Wakeup

#: How long the main thread waits at most before it looks around, in seconds.
LOOK = 0.05
#: What has ended in the same millisecond is acknowledged together, in seconds.
GATHER = 0.001
#: With so few jobs running, each end is acknowledged by itself.
FEW = 8
#: Jobs shorter than this are fetched ahead, one for each lane, in seconds.
SHORT = 0.02
#: Who has not heeded that it is to end is told again after that, in seconds.
AGAIN = 0.5


class ManyAtOnce:
    """The lanes of one child, and what runs in them."""

    #: Its main thread waits for what runs, and not for jobs alone.
    is_waiting = False

    def __init__(
        self,
        execute: Execute,
        supply: Supply,
        slot: Slot,
        clock: Clock,
        *,
        threads: int,
        concurrency: int,
        listen: Callable[[float], None],
    ) -> None:
        self._execute = execute
        self._supply = supply
        self._slot = slot
        self._clock = clock
        self._ended: Ended = SimpleQueue()
        lane = Lane(execute=execute, slot=slot, clock=clock, ended=self._ended)
        self._threads = Threads(lane, threads)
        self._loop = EventLoop(lane, concurrency) if concurrency > 1 else None
        self._wakeup = Wakeup(listen, self._ended)
        #: Places of the slot's table, the lowest last: its reader goes through all.
        self._free = list(reversed(range(CAPACITY)))
        self._jobs: set[Running] = set()
        self._mean = SHORT
        self.empty = False

    @property
    def is_idle(self) -> bool:
        """Tell whether nothing runs or waits here."""
        return not self._jobs

    @property
    def count(self) -> int:
        """Return how many jobs run or wait here."""
        return len(self._jobs)

    def start(self) -> None:
        """Start the threads and the loop."""
        self._threads.start()
        if self._loop is not None:
            self._loop.start()

    def turn(self, wanted: int) -> None:
        """Take jobs for free lanes, so many at most, and see to those that have ended.

        Raises:
            Exception: the outcome of a job could not be written.
        """
        self._execute.look_at_the_clock()
        room = min(self._room(), wanted, len(self._free))
        if room <= 0 or (self._wakeup.is_listening and self.empty):
            self._flush()
        elif (leases := self._taken(room)) is not None:
            self.empty = not leases
            for lease in leases:
                self._begin(lease)
            if self.empty:
                self._wakeup.listen()
        self._enter_state()
        self._collect()
        self._look_after()

    def release(self) -> None:
        """Give back what has not begun."""
        waiting = self._threads.take_back()
        self._supply.release([running.lease for running in waiting])
        for running in waiting:
            self._leave(running)
        self._flush()

    def _flush(self) -> None:
        with self._leaving_later():
            self._supply.flush()

    def _taken(self, wanted: int) -> list[Lease] | None:
        with self._leaving_later():
            return self._supply.take(wanted)
        return None

    @contextlib.contextmanager
    def _leaving_later(self) -> Generator[None]:
        """Leave without the store when all has ended, and not before."""
        try:
            yield
        except StoreAwayError:
            if self.is_idle:
                raise
            # What runs may end: the slot keeps what is noted.

    # Reserving

    def _room(self) -> int:
        busy, threads = self._threads.busy, self._threads.count
        if self._loop is None:
            ahead = threads if self._mean < SHORT else 0
            return max(0, threads + ahead - busy)
        # A plain job may find no free thread, and be given back soon: those behind it,
        # for the loop, are not to wait for that.
        return max(0, threads - busy + self._loop.count - self._loop.busy)

    def _begin(self, lease: Lease) -> None:
        running = Running(lease, self._free.pop())
        self._jobs.add(running)
        self._slot.put(running.index, lease.ordinal)
        running.by_rq = self._execute.goes_by_rq(lease)
        if not running.by_rq:
            running.notes = self._execute.notes(lease)
            try:
                running.delivery = self._execute.delivered(lease, running.notes)
                running.seconds = timeout_of(lease)
            except HeadwayError as error:
                running.outcome = Failed(error=error)
        if self._loop is not None and running.is_async and running.outcome is None:
            self._loop.put(running)
        else:
            self._threads.put(running)

    # Ending

    def _collect(self) -> None:
        """Wait until a job has ended, and see to all that have."""
        try:
            first = self._ended.get(timeout=LOOK)
        except Empty:
            return
        if len(self._jobs) > FEW:
            self._clock.sleep(GATHER)
        self._finish(first)
        while True:
            try:
                self._finish(self._ended.get_nowait())
            except Empty:
                return

    def _finish(self, running: Running | None) -> None:
        if running is None:
            return  # the waiter: there may be jobs
        self.empty = False  # it may be in its queue again, or have let others go
        if running.task is not None and self._loop is not None:
            self._loop.busy -= 1
        else:
            self._threads.busy -= 1
        if running.error is not None:
            raise running.error
        if running.broken_off:
            self._jobs.discard(running)  # its supervisor sees to it, by slot and lease
            return
        if running.revoked:
            self._slot.drop(running.index)
            self._supply.release([running.lease])
        else:
            self._conclude(running)
        self._supply.forget(running.lease)
        self._leave(running)

    def _conclude(self, running: Running) -> None:
        outcome = running.outcome
        if isinstance(outcome, Succeeded):
            running.succeeded = self._execute.succeed(
                running.lease, outcome, running.began
            )
        seconds = self._clock.monotonic() - running.began_monotonic
        self._mean += 0.1 * (seconds - self._mean)
        self._slot.finish(running.index, failed=not running.succeeded)

    def _leave(self, running: Running) -> None:
        self._jobs.discard(running)
        self._free.append(running.index)

    # Looking after what runs

    def _look_after(self) -> None:
        now = self._clock.monotonic()
        told = self._slot.told() if self._jobs else b""
        for running in list(self._jobs):
            word = told[running.index]
            if word == Told.REVOKED and self._threads.take_one_back(running):
                self._withdraw(running)
            if now - running.told_at < AGAIN:
                continue
            if word == Told.CANCELLED:
                running.told_at = now
                self._break_off(running, Stopped)
            elif self._slot.interrupt_asked and running.may_be_interrupted:
                running.was_interrupted = True  # once: it may be saving its place
                self._break_off(running, Interrupted)
            elif running.thread and not running.by_rq:
                seconds = running.seconds
                if 0 < seconds < now - running.began_monotonic:
                    running.told_at = now
                    self._break_off(running, timeout_of_thread(seconds))

    def _withdraw(self, running: Running) -> None:
        """Leave a job to others that waits here for a thread."""
        self._slot.drop(running.index)
        self._supply.release([running.lease])
        self._leave(running)

    def _break_off(self, running: Running, error: type[BaseException]) -> None:
        if running.task is not None and self._loop is not None:
            self._loop.break_off(running)
        else:
            self._threads.break_off(running, error)

    def _enter_state(self) -> None:
        if self._jobs:
            state = State.BUSY
        else:
            state = State.SUSPENDED if self._supply.suspended else State.IDLE
        if self._slot.state is not state:
            self._slot.enter(state, self._clock.monotonic())
