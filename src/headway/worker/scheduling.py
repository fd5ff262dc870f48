"""The scheduler of a worker that is to have one: a process beside its children.

It imports the application, which its parent does not, and has connections of its own.
It dies with its parent; when it ends by itself, another is started.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Callable
from functools import partial

from headway.app import load_app
from headway.backends.rq import RQBackend
from headway.declared_schedules import declared_schedules
from headway.observe.log import log_events
from headway.scheduler import Scheduler, stop_at
from headway.wire import client as wire_client
from headway.worker import process
from headway.worker.address import Address
from headway.worker.child import DONE
from headway.worker.office import Office
from headway.worker.plan import Plan

log = logging.getLogger("headway.worker")

#: After how many seconds one that has ended is followed by another.
PAUSE = 1.0


class Scheduling:
    """The scheduler of one worker, through all its lives."""

    def __init__(
        self, office: Office, address: Address, forget: Callable[[], None]
    ) -> None:
        self._office = office
        self._address = address
        self._forget = forget
        self._pid = 0
        self._not_before = 0.0
        self._is_leaving = False

    def look_after(self) -> None:
        """Start one where there is none."""
        now = self._office.now
        if self._pid or self._is_leaving or now < self._not_before:
            return
        serve = partial(_serve, self._office.plan, self._address)
        try:
            self._pid = process.fork(serve, self._forget)
        except OSError as error:  # no memory, no process left: it may pass
            log.warning("a scheduler cannot be started: %s", error)
            self._not_before = now + PAUSE

    def has_ended(self, pid: int, status: int) -> bool:
        """Take note of a process that has ended; tell whether it was the scheduler."""
        if pid != self._pid:
            return False
        self._pid, self._not_before = 0, self._office.now + PAUSE
        if not self._is_leaving:
            code = os.waitstatus_to_exitcode(status)
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            log.warning("the scheduler of this worker ended (%s): another follows", how)
        return True

    def leave(self) -> None:
        """Have it leave, so that another leads at once."""
        self._is_leaving = True
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End it; what it was at, others find undone."""
        self._is_leaving = True
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        if self._pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, number)


def _serve(plan: Plan, address: Address, parent: int) -> int:
    """Be the scheduler, in a process that has just begun; return the exit code."""
    process.become(parent)
    stop = stop_at(signal.SIGTERM)
    app = load_app(plan.app)
    if plan.log_events:
        log_events(app)
    served = [queue.name for queue in plan.queues]
    _connect(app.backend("rq"), address)
    Scheduler(app, declared_schedules(app), queues=served).run(stop)
    return DONE


def _connect(backend: object, address: Address) -> None:
    """Have the backend ask the server that the worker was given."""
    if isinstance(backend, RQBackend):
        backend.client = wire_client.with_patience(
            address.connect(), wire_client.APPLICATION
        )
