"""A child that runs many jobs at once: plain tasks in threads, `async def` on a loop.

The main thread alone talks to the store about them: it reserves for the lanes that are
free, and acknowledges what has ended meanwhile in the same round trip. Each job has a
lease, a place in the slot and a timeout of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import importlib
import inspect
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from queue import Empty, SimpleQueue
from typing import Any

from redis.exceptions import RedisError
from rq.timeouts import JobTimeoutException

from headway.clock import Clock
from headway.delivery import Delivery
from headway.errors import HeadwayError, TaskTimeoutError
from headway.lease import Lease
from headway.outcome import Failed, Succeeded
from headway.worker.execute import Ending, Execute, timeout_of
from headway.worker.notes import Notes
from headway.worker.slot import CAPACITY, Slot, State
from headway.worker.supply import Supply

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


class Stopped(BaseException):
    """Raised into a task that a person has stopped."""


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
    #: What it was prevented by from being ended as it should.
    error: BaseException | None = None
    #: How long it may run; none or less for ever.
    seconds: float = 0.0
    #: When it was last told to end; monotonic seconds.
    told_at: float = 0.0
    thread: int = 0
    task: asyncio.Task[None] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_async(self) -> bool:
        """Tell whether it belongs on the loop."""
        return self.delivery is not None and inspect.iscoroutinefunction(
            self.delivery.task.function
        )


class ManyAtOnce:
    """The lanes of one child, and what runs in them."""

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
        self._threads = threads
        self._concurrency = concurrency
        self._free = deque(range(CAPACITY))
        self._ended: SimpleQueue[Running | None] = SimpleQueue()
        self._for_threads: SimpleQueue[Running] = SimpleQueue()
        self._jobs: set[Running] = set()
        self._in_threads = self._on_loop = 0
        self._mean = SHORT
        self._waiter = _Waiter(listen, self._ended)
        self._loop: asyncio.AbstractEventLoop | None = None
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
        for number in range(self._threads):
            name = f"headway-lane-{number}"
            threading.Thread(target=self._lane, name=name, daemon=True).start()
        if self._concurrency > 1:
            self._loop = _new_loop()
            threading.Thread(
                target=self._loop.run_forever, name="headway-loop", daemon=True
            ).start()

    def turn(self, wanted: int) -> None:
        """Take jobs for free lanes, so many at most, and see to those that have ended.

        Raises:
            Exception: the outcome of a job could not be written.
        """
        room = min(self._room(), wanted, len(self._free))
        if room <= 0 or (self._waiter.is_listening and not self._supply.has_notes):
            self._supply.flush()
        else:
            leases = self._supply.take(room)
            self.empty = not leases
            for lease in leases:
                self._begin(lease)
            if self.empty:
                self._waiter.listen()
        self._enter_state()
        self._collect()
        self._look_after()

    def release(self) -> None:
        """Give back what has not begun."""
        waiting: list[Running] = []
        while True:
            try:
                waiting.append(self._for_threads.get_nowait())
            except Empty:
                break
        self._supply.release([running.lease for running in waiting])
        for running in waiting:
            self._in_threads -= 1
            self._leave(running)
        self._supply.flush()

    # Reserving

    def _room(self) -> int:
        if self._in_threads > 2 * self._threads:
            return 0
        free_threads = self._threads - self._in_threads
        ahead = self._threads if self._mean < SHORT else 0
        if self._concurrency <= 1:
            return max(0, free_threads + ahead)
        free = self._concurrency - self._on_loop
        # A plain job that finds no free thread would wait here; so one is risked.
        if free_threads <= 0:
            return min(free, 1) if self._in_threads <= self._threads else 0
        return free

    def _begin(self, lease: Lease) -> None:
        running = Running(lease, self._free.popleft())
        self._jobs.add(running)
        self._slot.put(running.index, lease.ordinal)
        running.by_rq = self._execute.goes_by_rq(lease)
        if not running.by_rq:
            running.notes = self._execute.notes(lease)
            try:
                running.delivery = self._execute.deliver(lease, running.notes)
                running.delivery.interrupts += (Stopped,)
                running.seconds = timeout_of(lease)
            except HeadwayError as error:
                running.outcome = Failed(error=error)
        if running.is_async and self._loop is not None and running.outcome is None:
            self._on_loop += 1
            self._loop.call_soon_threadsafe(self._begin_on_loop, running)
        else:
            self._in_threads += 1
            self._for_threads.put(running)

    # Running

    def _lane(self) -> None:
        while True:
            running = self._for_threads.get()
            try:
                self._run_undisturbed(running)
                self._settle(running)
            except Exception as error:  # noqa: BLE001 - raised again by the main thread
                running.error = error
            finally:
                self._ended.put(running)

    def _run_undisturbed(self, running: Running) -> None:
        """Run a job; nothing is raised into this thread any more when it returns."""
        try:
            try:
                self._run_here(running)
            finally:
                _close(running)
        except (JobTimeoutException, Stopped):  # as the job was over already
            _close(running)

    def _run_here(self, running: Running) -> None:
        if not self._marked(running):
            return
        running.thread = threading.get_ident()
        try:
            if running.by_rq:
                running.succeeded = self._execute.perform_by_rq(running.lease)
            elif running.outcome is None and running.delivery is not None:
                running.outcome = self._execute.attempted(
                    running.lease, running.delivery
                )
        except Stopped:
            running.stopped = True
        except BaseException as error:  # noqa: BLE001 - a lane outlives any job
            running.outcome = Failed(error=error)

    def _begin_on_loop(self, running: Running) -> None:
        assert self._loop is not None
        running.task = self._loop.create_task(self._run_on_loop(running))

    async def _run_on_loop(self, running: Running) -> None:
        try:
            if self._marked(running):
                await self._attempted(running)
                # RQ's own code for what is unusual blocks: it must not hold the loop.
                if _ends_by_rq(running.outcome) or running.stopped:
                    await asyncio.to_thread(self._settle, running)
                elif running.notes is not None:
                    running.notes.close()
        except Exception as error:  # noqa: BLE001 - raised again by the main thread
            running.error = error
        finally:
            self._ended.put(running)

    async def _attempted(self, running: Running) -> None:
        delivery, lease = running.delivery, running.lease
        assert delivery is not None
        seconds = running.seconds
        try:
            async with asyncio.timeout(seconds if seconds > 0 else None):
                running.outcome = await self._execute.attempted_async(lease, delivery)
        except TimeoutError:
            elapsed = self._clock.monotonic() - running.began_monotonic
            error = TaskTimeoutError(
                f"{delivery.task.name}: Task exceeded maximum timeout value "
                f"({seconds:g} seconds)"
            )
            running.outcome = self._execute.broken_off(
                delivery, error, timedelta(seconds=elapsed)
            )
        except asyncio.CancelledError:
            running.stopped = True
        except (KeyboardInterrupt, GeneratorExit) as error:  # would end the loop
            running.outcome = Failed(error=error)

    def _marked(self, running: Running) -> bool:
        """Mark a job as begun; tell whether it is still ours to run."""
        running.began = self._clock.now().timestamp()
        running.began_monotonic = self._clock.monotonic()
        deadline = self._execute.deadline(running.lease)
        running.revoked = not self._slot.begin(
            running.index, running.began_monotonic, deadline
        )
        return not running.revoked

    def _settle(self, running: Running) -> None:
        """Write an outcome that only RQ's own code can, in whichever thread this is."""
        if running.notes is not None:
            running.notes.close()
        if running.revoked:
            return
        if running.stopped:
            self._execute.stop(running.lease, running.began)
        elif running.outcome is not None and _ends_by_rq(running.outcome):
            self._execute.end_by_rq(running.lease, running.outcome, running.began)

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
        if running.task is not None:
            self._on_loop -= 1
        else:
            self._in_threads -= 1
        if running.error is not None:
            raise running.error
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
            self._execute.succeed(running.lease, outcome, running.began)
            running.succeeded = True
        seconds = self._clock.monotonic() - running.began_monotonic
        self._mean += 0.1 * (seconds - self._mean)
        self._slot.finish(running.index, failed=not running.succeeded)

    def _leave(self, running: Running) -> None:
        self._jobs.discard(running)
        self._free.append(running.index)

    # Looking after what runs

    def _look_after(self) -> None:
        now = self._clock.monotonic()
        cancelled = self._slot.cancelled() if self._jobs else ()
        for running in list(self._jobs):
            if now - running.told_at < AGAIN:
                continue
            if running.index in cancelled:
                running.told_at = now
                self._break_off(running, Stopped)
            elif running.thread and not running.by_rq:
                seconds = running.seconds
                if 0 < seconds < now - running.began_monotonic:
                    running.told_at = now
                    self._break_off(running, _timeout(seconds))

    def _break_off(self, running: Running, error: type[BaseException]) -> None:
        if running.task is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(running.task.cancel)
            return
        with running.lock:  # not a moment later: the thread would run another job
            if running.thread:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(running.thread), ctypes.py_object(error)
                )

    def _enter_state(self) -> None:
        if self._jobs:
            state = State.BUSY
        else:
            state = State.SUSPENDED if self._supply.suspended else State.IDLE
        if self._slot.state is not state:
            self._slot.enter(state, self._clock.monotonic())


class _Waiter:
    """Listens for a wake-up in a thread, while the main one sees to what runs."""

    def __init__(
        self,
        listen: Callable[[float], None],
        ended: SimpleQueue[Running | None],
    ) -> None:
        self._listen = listen
        self._ended = ended
        self._asked = threading.Event()
        threading.Thread(target=self._run, name="headway-waiter", daemon=True).start()

    @property
    def is_listening(self) -> bool:
        """Tell whether nothing has been heard since it was asked to."""
        return self._asked.is_set()

    def listen(self) -> None:
        """Put None into the queue as soon as there may be jobs."""
        self._asked.set()

    def _run(self) -> None:
        while True:
            self._asked.wait()
            with contextlib.suppress(RedisError):  # the main thread meets it, and waits
                self._listen(1.0)
            self._asked.clear()
            self._ended.put(None)


def _close(running: Running) -> None:
    """Let nothing more be raised into the thread of a job, not even what was before."""
    with running.lock:
        thread, running.thread = running.thread, 0
        if thread:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), None)


def _ends_by_rq(outcome: Ending | None) -> bool:
    return outcome is not None and not isinstance(outcome, Succeeded)


def _timeout(seconds: float) -> type[BaseException]:
    # An exception is raised into a thread by its class: so the class has the words.
    text = f"Task exceeded maximum timeout value ({seconds:g} seconds)"
    name = JobTimeoutException.__name__

    def words(_self: BaseException) -> str:
        return text

    return type(name, (JobTimeoutException,), {"__str__": words})


def _new_loop() -> asyncio.AbstractEventLoop:
    try:  # much faster, and not there on every system
        uvloop: Any = importlib.import_module("uvloop")
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
