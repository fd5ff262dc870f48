"""Sends what is due; any number may run, and each due job is sent once.

Both halves are decided in Redis, in one Lua call each: a delayed job is moved by
whoever comes first, and the job of a schedule's tick is made only if no other
scheduler made it. So there is no leader, no lock, and nothing to fail over.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Event
from typing import Any, Protocol, runtime_checkable

from headway.app import App
from headway.message import Message
from headway.options import Options, Unique
from headway.schedule import Schedule

log = logging.getLogger("headway.scheduler")

#: Due jobs are looked for this often.
INTERVAL = timedelta(seconds=0.5)
#: How many due jobs one call moves: it holds Redis up for a few milliseconds.
BATCH = 500
#: A tick is remembered for that long, so that a late scheduler does not repeat it.
TICK_KEPT = timedelta(days=2)


@runtime_checkable
class Promoter(Protocol):
    """A backend whose delayed jobs need someone to move them when they are due."""

    def promote(self, queue: str, limit: int) -> int:
        """Move due jobs into their queue; return how many."""
        ...


class Scheduler:
    """One process's share in sending what is due."""

    def __init__(self, app: App, schedules: Iterable[Schedule]) -> None:
        self._app = app
        self._schedules = list(schedules)
        self._looked_at = app.clock.now()

    def run(self, stop: Event) -> None:
        """Send what is due until told to stop; an outage of Redis is waited out."""
        log.info(
            "scheduler started: %d schedules, queues %s",
            len(self._schedules),
            ", ".join(queue.name for queue in self._app.queues),
        )
        while not stop.wait(INTERVAL.total_seconds()):
            try:
                self.send_due()
            except Exception as error:  # noqa: BLE001 - it must outlive any outage
                log.warning("the scheduler goes on, this round failed: %s", error)

    def send_due(self) -> int:
        """Move delayed jobs that are due, send due ticks; return how many in all."""
        sent = sum(self._promote(queue.name) for queue in self._app.queues)
        # A round that fails is done again: its time is kept until it succeeds.
        now = self._app.clock.now()
        for schedule in self._schedules:
            sent += self._send_tick(schedule, since=self._looked_at, now=now)
        self._looked_at = now
        return sent

    def _promote(self, queue: str) -> int:
        engine = self._app.queue(queue).engine
        backend = self._app.backend(engine)
        if not isinstance(backend, Promoter):
            return 0
        moved = 0
        while (step := backend.promote(queue, BATCH)) > 0:
            moved += step
        return moved

    def _send_tick(self, schedule: Schedule, since: datetime, now: datetime) -> int:
        tick = schedule.timing.latest(now)
        if tick <= since:
            return 0
        job_id = schedule.job_id(tick)
        once = Unique(key=job_id, ttl=TICK_KEPT, until="ttl")
        options: Options = {
            **schedule.message.options,
            "job_id": job_id,
            "unique": once,
        }
        message: Message[Any] = replace(schedule.message, options=options)
        job = self._app.enqueue_many([message])[0]
        if not job.duplicate:
            log.info("schedule %s sent %s", schedule.name, job_id)
        return not job.duplicate


def declared(app: App) -> Sequence[Schedule]:
    """Return the schedules that the tasks packages declare in `schedules.py`."""
    found: list[Schedule] = []
    for package in app.registry.packages:
        found += _declared_in(package)
    return found


def _declared_in(package: str) -> Sequence[Schedule]:
    name = f"{package}.schedules"
    try:
        is_package = hasattr(importlib.import_module(package), "__path__")
        if not is_package or importlib.util.find_spec(name) is None:
            return []
        declared: Sequence[Schedule] = importlib.import_module(name).schedules
    except Exception:  # delayed jobs must be sent all the same
        log.exception("%s does not import: nothing of it will be sent", name)
        return []
    return declared
