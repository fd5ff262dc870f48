"""Sends what is due; any number may run, and each due job is sent once.

Both halves are decided in Redis, in one Lua call each: a delayed job is moved by
whoever comes first, and the job of a schedule's tick is made only if no other
scheduler made it. So there is no leader, no lock, and nothing to fail over.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from functools import partial
from threading import Event
from typing import Any, Protocol, runtime_checkable

from headway.app import App
from headway.errors import ConfigurationError
from headway.message import Message
from headway.options import Options, Unique
from headway.queue import Queue
from headway.schedule import Schedule
from headway.timing import latest

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
        """Take schedules of unlike names: ids of jobs are made from them.

        Raises:
            ConfigurationError: two have the same name.
        """
        self._app = app
        self._schedules = list(schedules)
        names = Counter(schedule.name for schedule in self._schedules)
        for name in (name for name, times in names.items() if times > 1):
            raise ConfigurationError(
                f"two schedules are named {name!r}: rename one of them"
            )
        now = app.clock.now()
        #: Until when each schedule's ticks are sent.
        self._sent_until = {schedule.name: now for schedule in self._schedules}
        self._failing: set[str] = set()

    def run(self, stop: Event) -> None:
        """Send what is due until told to stop; an outage of Redis is waited out."""
        log.info(
            "scheduler started: %d schedules, queues %s",
            len(self._schedules),
            ", ".join(queue.name for queue in self._app.queues),
        )
        while not stop.wait(INTERVAL.total_seconds()):
            self.send_due()

    def send_due(self) -> int:
        """Move delayed jobs that are due, send due ticks; return how many in all.

        What fails is said once and tried again each round; the rest goes on.
        """
        sent = 0
        for queue in self._app.queues:
            sent += self._tried(f"queue {queue.name}", partial(self._promote, queue))
        for schedule in self._schedules:
            tick = partial(self._send_tick, schedule)
            sent += self._tried(f"schedule {schedule.name}", tick)
        return sent

    def _tried(self, what: str, send: Callable[[], int]) -> int:
        try:
            sent = send()
        except Exception as error:  # noqa: BLE001 - it must outlive any outage
            if what not in self._failing:
                log.warning("%s fails and is tried again: %s", what, error)
            self._failing.add(what)
            return 0
        if what in self._failing:
            log.info("%s is served again", what)
        self._failing.discard(what)
        return sent

    def _promote(self, queue: Queue) -> int:
        backend = self._app.backend(queue.engine)
        if not isinstance(backend, Promoter):
            return 0
        moved = 0
        while (step := backend.promote(queue.name, BATCH)) > 0:
            moved += step
        return moved

    def _send_tick(self, schedule: Schedule) -> int:
        now = self._app.clock.now()
        sent_until = self._sent_until[schedule.name]
        tick = latest(schedule.timing, until=now, since=sent_until)
        if tick is None:
            return 0
        job_id = schedule.job_id(tick)
        once = Unique(key=job_id, ttl=TICK_KEPT, until="ttl")
        options: Options = {
            **schedule.message.options,
            "job_id": job_id,
            "unique": once,
        }
        message: Message[Any] = schedule.message._replace(options=options)
        job = self._app.enqueue_many([message])[0]
        self._sent_until[schedule.name] = tick
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
        declared: Sequence[Schedule] = list(importlib.import_module(name).schedules)
    except Exception:  # delayed jobs must be sent all the same
        log.exception("%s gives no list `schedules`: nothing of it will be sent", name)
        return []
    return declared
