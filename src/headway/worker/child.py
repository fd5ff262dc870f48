"""A child: loads the application, then runs jobs until it is told to leave.

Its own process, so that whatever a job does to it costs that job alone. What must
survive it lies in its slot; what it holds is named by its lease.
"""

from __future__ import annotations

import logging
import os
import resource
import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING

from headway.app import App, load_app
from headway.observe.log import log_events
from headway.wire import client as wire_client
from headway.wire.broker import RedisChildBroker
from headway.worker.aftermath import settle
from headway.worker.alarm import Alarm
from headway.worker.by_rq import RQCode
from headway.worker.execute import Execute
from headway.worker.many_at_once import ManyAtOnce
from headway.worker.one_at_a_time import OneAtATime
from headway.worker.order import Ordering
from headway.worker.slot import CAPACITY, Slot, State
from headway.worker.start import Start
from headway.worker.supply import Noted, StoreAwayError, Supply
from headway.worker.trusted_job import job_class_of

if TYPE_CHECKING:
    from redis import Redis

log = logging.getLogger("headway.worker")

#: Exit codes: nothing more to do; another is to take its place; it could not begin.
DONE, RECYCLE, UNFIT = 0, 75, 78
MIB = 1024 * 1024


class Child:
    """One process that runs jobs."""

    def __init__(self, start: Start, client: Redis, slot: Slot, parent: int) -> None:
        self._parent = parent
        self._start = start
        self._plan = start.plan
        self._client = client
        self._slot = slot
        self._left = start.jobs

    def run(self) -> int:
        """Run jobs until there is a reason to leave; return the exit code."""
        app = load_app(self._plan.app)
        self._clock = app.clock
        os.environ["RQ_WORKER_ID"] = self._start.holder.worker
        self._prepare(app)
        try:
            code = self._live(app)
            self._slot.enter(State.LEAVING, self._clock.monotonic())
            return code
        finally:
            app.resources.close()

    def _live(self, app: App) -> int:
        self._by_rq.enqueue_ready()  # its predecessor may have been killed
        if self._start.enqueue_met:
            self._by_rq.enqueue_met()
        if self._start.maintain:
            self._by_rq.maintain()
        self._settle_aftermath(app)
        if self._left == 0:
            return DONE
        try:
            self._warm_up(app)
            return self._serve()
        except _LeaveError:
            return DONE
        except StoreAwayError:
            return DONE  # the slot tells the supervisor what is to be written

    # Getting ready

    def _prepare(self, app: App) -> None:
        plan, names = self._plan, [queue.name for queue in self._plan.queues]
        self._alarm = Alarm()
        self._alarm.install()
        broker = self._broker()
        self._job_class = job_class_of(app)
        if not plan.runs_many:
            self._job_class.interruptible = self._alarm.interruptible
        self._by_rq = RQCode(
            self._job_class,
            self._client,
            self._start.holder,
            app.clock,
            queues=names,
            options=plan.rq_options,
            in_thread=plan.runs_many,
        )
        self._supply = Supply(
            broker,
            self._slot,
            Ordering(plan.queues, plan.order),
            app.clock,
            lease=plan.lease.total_seconds(),
            default_ttl=plan.rq_options.get("default_result_ttl", 500),
            finish_parent=self._finish_parent,
        )
        self._execute = Execute(
            app,
            client=self._client,
            holder=self._start.holder,
            supply=self._supply,
            by_rq=self._by_rq,
            clock=app.clock,
            has_device=self._start.has_device,
        )
        if plan.log_events:
            log_events(app)
            # RQ would tell the begin and the end of each job a second time.
            logging.getLogger("rq.worker").setLevel(logging.ERROR)
        self._import_tasks(app)

    def _finish_parent(self, noted: Noted) -> None:
        self._execute.finish_parent(noted)

    def _broker(self) -> RedisChildBroker:
        broker = RedisChildBroker(
            wire_client.with_patience(self._client, wire_client.LOOP),
            self._start.holder,
            lease=self._plan.lease.total_seconds(),
        )
        broker.serve(self._plan.queues)
        return broker

    def _import_tasks(self, app: App) -> None:
        for module, error in app.registry.import_all().items():
            if self._start.is_first:
                log.error(
                    "%s does not import, its jobs will fail: %s: %s; when that is "
                    "mended, run them by `headway failed requeue`",
                    module,
                    type(error).__name__,
                    error,
                )

    def _settle_aftermath(self, app: App) -> None:
        for aftermath in self._start.aftermath:
            settle(aftermath, app, self._client, self._job_class, self._plan)

    def _warm_up(self, app: App) -> None:
        served = {queue.name for queue in self._plan.queues}
        app.warm_up(served)

    # Serving

    def _serve(self) -> int:
        self._jobs = self._one_at_a_time_or_many()
        signal.signal(signal.SIGTERM, self._asked_to_leave)
        self._jobs.start()
        while (reason := self._reason_to_leave()) is None:
            before = self._slot.done
            self._jobs.turn(self._allowed(CAPACITY) - self._jobs.count)
            self._count(self._slot.done - before)
            if self._plan.limits.burst and self._jobs.empty and self._jobs.is_idle:
                reason = DONE
                break
        self._jobs.release()
        while not self._jobs.is_idle:
            self._jobs.turn(0)
        self._supply.flush()
        return reason

    def _one_at_a_time_or_many(self) -> OneAtATime | ManyAtOnce:
        plan = self._plan
        if not plan.runs_many:
            return OneAtATime(
                self._execute,
                self._supply,
                self._slot,
                self._clock,
                self._alarm,
                burst=plan.limits.burst,
            )
        return ManyAtOnce(
            self._execute,
            self._supply,
            self._slot,
            self._clock,
            threads=plan.threads,
            concurrency=plan.concurrency,
            listen=self._broker().wait,
        )

    def _count(self, done: int) -> None:
        if self._left is not None:
            self._left -= done

    def _allowed(self, wanted: int) -> int:
        """Return how many of the wanted jobs this life of the child may still run."""
        if self._left is not None:
            wanted = min(wanted, self._left)
        if (most := self._plan.limits.jobs_per_child) is not None:
            wanted = min(wanted, most - self._slot.done)
        return wanted

    def _reason_to_leave(self) -> int | None:
        limits = self._plan.limits
        # Where the kernel does not end a child with its parent, it sees to it itself.
        if self._slot.stop_asked or self._left == 0 or os.getppid() != self._parent:
            return DONE
        if limits.jobs_per_child and self._slot.done >= limits.jobs_per_child:
            return RECYCLE
        if self._has_grown_too_big():
            return RECYCLE
        return RECYCLE if self._execute.poison is not None else None

    def _has_grown_too_big(self) -> bool:
        most = self._plan.limits.memory_per_child
        # Not before it has run anything: another would be as big, and as idle.
        if not most or not self._slot.done or resident() <= most * MIB:
            return False
        has = resident() // MIB
        log.info("a child is replaced: it has had %d MiB, allowed are %d", has, most)
        return True

    def _asked_to_leave(self, _number: int, _frame: FrameType | None) -> None:
        self._slot.ask_to_stop()
        if self._slot.interrupt_asked:
            self._alarm.interrupt()
        if self._jobs.is_waiting:
            raise _LeaveError


class _LeaveError(Exception):
    """The child is idle and is to leave."""


def resident() -> int:
    """Return how much memory this process has had at its highest, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
