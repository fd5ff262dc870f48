"""Jobs that an engine's own worker hands over, run in this process.

    reserve by id -> deliver -> attempt -> conclude, at once

The steps are those of a child of ours. What is not here is the batch: an engine hands
over one job at a time, in a thread of its own choice.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import logging
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar
from weakref import WeakSet

from redis.exceptions import RedisError

from headway.app import App
from headway.errors import HeadwayError, Interrupted, ResultError
from headway.lease import Gone, Holder, Lease, Turn
from headway.outcome import Failed
from headway.wire import client as wire_client
from headway.wire.broker import RedisChildBroker
from headway.wire.steadfast import (
    LARGE,
    TRIES_OF_LARGE,
    Pauses,
    not_taken,
    until_taken,
)
from headway.worker import payload
from headway.worker.aftermath import Aftermath, settle
from headway.worker.by_rq import RQCode
from headway.worker.delivering import timeout_of
from headway.worker.ending import Stopped
from headway.worker.execute import Ending, Execute, Timed
from headway.worker.loss import story, undecided
from headway.worker.member import new_holder
from headway.worker.notes import Notes
from headway.worker.office import Office
from headway.worker.plan import CRASH_LIMIT
from headway.worker.supply import LONGEST_TTL, Noted
from headway.worker.trusted_job import job_class_of

if TYPE_CHECKING:
    from redis import Redis

log = logging.getLogger("headway.worker")

P = ParamSpec("P")
T = TypeVar("T")


class Breakable(Timed, Protocol):
    """Raises into the jobs of threads."""

    def break_off(self, thread: int, error: type[BaseException]) -> None:
        """Raise it into the job of a thread."""
        ...


# Not frozen: it is the state of a job that runs.
@dataclass(slots=True, eq=False)
class Carrying:
    """A job that this process runs."""

    lease: Lease
    #: Seconds since 1970.
    began: float
    thread: int
    #: What it is to be told, if anything.
    told: type[BaseException] | None = None
    #: Cancels it, where it runs on a loop.
    cancel: Callable[[], object] | None = None


class Carried:
    """What runs the jobs that an engine hands over to this process."""

    def __init__(
        self, app: App, office: Office, client: Redis, alarm: Breakable
    ) -> None:
        self.app, self.office = app, office
        self.holder: Holder = new_holder(office.plan.name)
        #: By ordinal, and not by id: a job may come back to the process that has lost
        #: its lease, and still runs it.
        self.running: dict[int, Carrying] = {}
        #: Those, and the ordinals of what is about to be taken.
        self._in_hand: set[int] = set()
        self.alarm = alarm
        self._client = client
        self._local = threading.local()
        self._brokers: WeakSet[RedisChildBroker] = WeakSet()
        self._ordinals = itertools.count(1)
        self._job_class = job_class_of(app)
        self._job_class.interruptible = self._interruptible
        self.by_rq = RQCode(
            self._job_class,
            client,
            self.holder,
            app.clock,
            queues=[queue.name for queue in office.plan.queues],
            options={},
            in_thread=True,
        )
        self._execute = Execute(
            app,
            client=client,
            holder=self.holder,
            supply=_AtOnce(lambda: self._broker, self._finish_parent),
            by_rq=self.by_rq,
            clock=app.clock,
            has_device=False,
        )
        #: Called where a job may have put others, or itself, back to be sent.
        self.sends: Callable[[], object] = lambda: None

    def run(self, job_id: str) -> Ending | None:
        """Run a job in this thread and see to its outcome; None is of no such run."""
        with self._numbered() as ordinal:
            running = self._begun(job_id, ordinal)
            return None if running is None else self._ran_whole(running)

    async def run_async(self, job_id: str) -> Ending | None:
        """Do what `run` does with an `async def` task, on this loop."""
        with self._numbered() as ordinal:
            running = await _to_its_end(self._begun, job_id, ordinal)
            if running is None:
                return None
            if not self._is_for_a_loop(running.lease):
                return await _to_its_end(self._ran_beside, running)
            try:
                ending = await self._ran_async(running)
            except asyncio.CancelledError:
                if running.told is not Stopped:
                    await _to_its_end(self._give_back, running)
                    raise
                ending = None
            return await _to_its_end(self._concluded, running, ending)

    def is_async(self, task: str) -> bool:
        """Tell whether a task of that name belongs on a loop."""
        try:
            return inspect.iscoroutinefunction(self.app.resolve(task).function)
        except HeadwayError:
            return False

    def runs_of(self, job_id: str) -> list[int]:
        """Return the numbers of a job's runs that this process has."""
        found = list(self.running.items())
        return [run for run, running in found if running.lease.job_id == job_id]

    def break_off(self, run: int, error: type[BaseException]) -> bool:
        """Have a run end, if it is here; tell whether it is."""
        running = self.running.get(run)
        if running is not None:
            self._break_off(running, error)
        return running is not None

    @property
    def is_busy(self) -> bool:
        """Tell whether a job is taken, runs, or is being written here."""
        return bool(self._in_hand)

    def leave(self) -> bool:
        """Have all end that run here, to be given back; tell whether there are any."""
        for running in list(self.running.values()):
            self._break_off(running, Interrupted)
        return self.is_busy

    def _break_off(self, running: Carrying, error: type[BaseException]) -> None:
        running.told = error
        if running.cancel is not None:
            running.cancel()
        else:
            self.alarm.break_off(running.thread, error)

    def close(self) -> None:
        """Give up the connections of the threads; none of them runs a job by now."""
        for broker in list(self._brokers):
            broker.close()

    # The steps

    @contextmanager
    def _numbered(self) -> Generator[int]:
        """Have a number for a job that is to be taken, until it is over."""
        ordinal = next(self._ordinals)
        self._in_hand.add(ordinal)
        try:
            yield ordinal
        finally:
            self.running.pop(ordinal, None)
            self._in_hand.discard(ordinal)

    @property
    def _broker(self) -> RedisChildBroker:
        broker: RedisChildBroker | None = getattr(self._local, "broker", None)
        if broker is None:
            broker = self._local.broker = RedisChildBroker(
                wire_client.with_patience(self._client, wire_client.LOOP),
                self.holder,
                lease=self.office.lease,
            )
            self._brokers.add(broker)
        return broker

    def _begun(self, job_id: str, ordinal: int) -> Carrying | None:
        lease = until_taken(lambda: self._broker.reserve_one(job_id, ordinal))
        if lease is None:
            log.debug("job %s is not there to be run: the message is dropped", job_id)
            return None
        self._execute.look_at_the_clock()
        began = self._execute.seconds(self.office.now)
        running = Carrying(lease, began, threading.get_ident())
        self.running[ordinal] = running
        return running

    def _ran_whole(self, running: Carrying) -> Ending | None:
        try:
            return self._ran(running)
        except Interrupted:
            self._give_back(running)
            return None
        except BaseException:
            # A child of ours would end by it. This process lives on, and its leases
            # with it, so that nobody else would ever find the job.
            self._give_back(running, "dead")
            raise

    def _ran(self, running: Carrying) -> Ending | None:
        lease = running.lease
        try:
            if self._execute.goes_by_rq(lease):
                self._execute.perform_by_rq(lease)
                self.sends()
                return None
            ending = self._outcome(lease)
        except Stopped as error:
            if running.told is not Stopped:  # it was for the job before, in this thread
                raise Interrupted from error
            ending = None
        finally:
            # Again: what is raised into a job may come as this is said the first time.
            self.alarm.end()
        return self._concluded(running, ending)

    def _outcome(self, lease: Lease) -> Ending:
        notes = self._execute.notes(lease)
        try:
            return self._execute.outcome(lease, notes, self.alarm)
        finally:
            notes.close()

    @contextmanager
    def _interruptible(self) -> Generator[None]:
        """Say that a job runs, whose time RQ's own code looks after."""
        self.alarm.begin(0)
        try:
            yield
        finally:
            self.alarm.end()

    def _concluded(self, running: Carrying, ending: Ending | None) -> Ending | None:
        if ending is None or running.told is Stopped:
            self._execute.stop(running.lease, running.began)
            self.sends()
            return None
        if not self._execute.conclude(running.lease, ending, running.began):
            self.sends()
        return ending

    def _is_for_a_loop(self, lease: Lease) -> bool:
        """Tell whether a job is what its message says: that can be anything."""
        if self._execute.goes_by_rq(lease):
            return False
        try:
            raw = payload.unpacked(lease.job_id, lease.data)
            return self.is_async(payload.read(lease.job_id, raw).name)
        except HeadwayError:
            return False  # it will be said when it is to be run

    def _ran_beside(self, running: Carrying) -> Ending | None:
        """Run a job that was taken for one of the loop in this thread beside it."""
        running.thread = threading.get_ident()
        return self._ran_whole(running)

    async def _ran_async(self, running: Carrying) -> Ending:
        notes = self._execute.notes(running.lease)
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        running.thread = 0
        if task is not None:
            running.cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        try:
            if task is not None and task.cancelling():  # as the job was taken
                raise asyncio.CancelledError
            return await self._attempted_async(running, notes)
        finally:
            running.cancel = None  # what comes now is no run to be broken off
            await _to_its_end(notes.close)

    async def _attempted_async(self, running: Carrying, notes: Notes) -> Ending:
        execute, lease = self._execute, running.lease
        try:
            delivery = execute.delivered(lease, notes)
            seconds = timeout_of(lease)
        except HeadwayError as error:
            return Failed(error=error.with_traceback(None))
        began = self.office.now
        try:
            async with asyncio.timeout(seconds if seconds > 0 else None):
                return await execute.attempted_async(lease, delivery)
        except TimeoutError:
            elapsed = timedelta(seconds=self.office.now - began)
            return execute.overran(delivery, seconds, elapsed)

    # Other ends

    def _give_back(self, running: Carrying, gone: Gone = "ended") -> None:
        """Have a job that was broken off run again, unless it may not."""
        others = list(self._in_hand - {running.lease.ordinal})
        left = gone == "ended"
        cause = "its worker had to leave" if left else "it raised what ends a worker"
        host = self.office.identity.host
        recovered = until_taken(
            lambda: self.office.broker.recover(
                self.holder,
                begun=[running.lease.ordinal],
                story=story(cause, self.holder.worker, host, self.office.clock.now()),
                crash_limit=CRASH_LIMIT,
                kept=others,
                gone=gone,
            )
        )
        log.info("job %s was broken off: %s", running.lease.job_id, cause)
        for aftermath in undecided(recovered, self.office.clock):
            self.settle(aftermath)
        self.sends()

    def settle(self, aftermath: Aftermath) -> None:
        """Write the end of a job whose process is gone."""
        settle(aftermath, self.app, self._client, self._job_class, self.office.plan)
        self.sends()

    def _finish_parent(self, noted: Noted) -> None:
        self._execute.finish_parent(noted)
        self.sends()


async def _to_its_end(step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Make a step in a thread, and wait for it, whoever cancels that meanwhile."""
    made = asyncio.ensure_future(asyncio.to_thread(step, *args, **kwargs))
    while not made.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(made)
    return made.result()


class _AtOnce:
    """Writes each success when it comes."""

    def __init__(
        self,
        broker: Callable[[], RedisChildBroker],
        finish_parent: Callable[[Noted], None],
    ) -> None:
        self._broker, self._finish_parent = broker, finish_parent

    def acknowledge(
        self, lease: Lease, value: bytes, began: float, ended: float, *, shown: bool
    ) -> None:
        """Write that a job succeeded.

        Raises:
            ResultError: what it returned is too large for this Redis.
        """
        ttl = int(lease.result_ttl) if lease.result_ttl else 500
        packed = self._broker().success(
            lease,
            ttl=min(ttl, LONGEST_TTL),
            value=value,
            began=began,
            ended=ended,
            shown=shown,
        )
        turn = self._written(packed)
        if turn.lost:
            log.warning(
                "job %s: its lease was lost, so this run is superseded and its "
                "result is discarded: another worker has the job now",
                lease.job_id,
            )
        for _ in turn.parents:
            self._finish_parent(Noted(lease, value, began, ended))

    def flush(self) -> None:
        """Do nothing: all is written."""

    def _written(self, packed: bytes) -> Turn:
        if len(packed) <= LARGE:
            return until_taken(lambda: self._broker().reserve(0, (), packed))
        pauses = Pauses()
        for left in reversed(range(TRIES_OF_LARGE)):
            try:
                return self._broker().reserve(0, (), packed)
            except RedisError as error:
                if not left:
                    raise ResultError(not_taken(len(packed), error)) from error
                pauses.rest(error)
        raise AssertionError("it was written, or not")
