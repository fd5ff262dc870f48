"""The thread of an engine's worker that serves all: it sends, and it recovers.

Jobs that others have put back (retries, dependents, delayed ones that are due, orphans)
are handed to the engine; what dead processes held is given back; messages that the
engine has lost are sent again. Every worker of every engine does this for its queues.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from functools import partial
from typing import Protocol

from headway.lease import Leased
from headway.wire import keys
from headway.wire.leftovers import Leftovers
from headway.wire.reading import text
from headway.worker.aftermath import Aftermath
from headway.worker.carried import Carried
from headway.worker.recover import Recovery

log = logging.getLogger("headway.worker")

#: Between two rounds, in seconds.
TICK = 0.05
#: How often messages that were lost are looked for, in seconds.
LOST = 5.0


class Sends(Protocol):
    """A backend whose jobs are carried by an engine's messages."""

    def relay(self, queues: Sequence[str]) -> int:
        """Hand over what waits for it; return how many jobs."""
        ...

    def send_lost(self, queues: Sequence[str]) -> list[str]:
        """Have jobs sent again whose messages were lost; return their ids."""
        ...


class Steward:
    """What one worker of an engine does for all of them."""

    def __init__(self, carried: Carried, backend: Sends) -> None:
        self._carried, self._office, self._backend = carried, carried.office, backend
        self._queues = [queue.name for queue in carried.office.plan.queues]
        leftovers = Leftovers(self._office.client, self._queues)
        # Another engine's messages are found by `send_lost`.
        self._recovery = Recovery(self._office, self, leftovers, recalls=False)
        self._stop, self._now = threading.Event(), threading.Event()
        carried.sends = self._now.set
        self._thread = threading.Thread(
            target=self._run, name="headway-steward", daemon=True
        )

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Leave; what was given back meanwhile is sent."""
        self._stop.set()
        self._now.set()
        self._thread.join()
        self._office.contact.made(self._relay)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._now.wait(TICK)
            self._now.clear()
            self._office.contact.made(self._relay)
            self._recovery.look()
            if self._office.is_due("lost messages", LOST):
                self._office.contact.made(self._send_lost)

    def _relay(self) -> None:
        while self._backend.relay(self._queues):
            pass

    def _send_lost(self) -> None:
        for job_id in self._backend.send_lost(self._queues):
            log.info("job %s is sent again: no worker was given it", job_id)

    # As `Recovery` asks, of what is elsewhere done by processes of their own

    def settle(self, aftermath: Sequence[Aftermath]) -> None:
        """Have the outcome of jobs written that only the application can tell."""
        for each in aftermath:
            self._office.contact.made(partial(self._carried.settle, each))

    def enqueue_let_go(self, worker: str) -> None:  # noqa: ARG002 - as `Finishers`
        """Have the jobs enqueued that wait for nobody any more."""
        self._carried.by_rq.enqueue_ready()
        self._carried.by_rq.enqueue_met()

    def has_overstayed(self, job_id: str, seconds: float) -> None:
        """Write that a process here is ended, since its job ran for too long."""
        office = self._office
        for holder, _ in office.broker.neighbours(office.identity.machine_id):
            held = text(office.client.hget(keys.lease(holder.child), job_id))
            ordinal, _, queue = held.partition(":")
            if ordinal:
                leased = Leased(holder, job_id, int(ordinal), queue)
                reason = f"it ran on for {seconds:g} s in code that does not return"
                began = office.seconds - seconds
                self._carried.settle(
                    Aftermath(leased=leased, why="timeout", began=began, reason=reason)
                )
