"""Sends what is due; any number may run, and each due job is sent once.

What is sent is decided in the store, in one step each: a delayed job is moved by
whoever comes first, and the job of a schedule's tick is made by whoever finds its
cursor where he believed it to be. So there is nothing to fail over, and a scheduler
that was frozen finds its work done. One of them leads: it looks often, so that jobs
are on time, and the others look now and then, so that nothing waits for long.
"""

from __future__ import annotations

import logging
import os
import random
import secrets
import signal
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from threading import Event
from types import FrameType
from typing import Protocol, TypeVar, cast, runtime_checkable

from headway.app import App
from headway.backend import Backend
from headway.errors import (
    CapabilityError,
    EnqueueError,
    HeadwayError,
    JobNotFoundError,
    JobStateError,
    StoreError,
)
from headway.events import JobEnqueued
from headway.schedule import Schedule
from headway.schedules import by_name
from headway.ticks import Step, step
from headway.timetable import AHEAD, Answer, Due, DueTick, Entry, Missed, Timetable

log = logging.getLogger("headway.scheduler")

#: How often the one who leads looks, and the others, at least.
OFTEN, NOW_AND_THEN = timedelta(seconds=0.025), timedelta(seconds=1)
#: What is due sooner than this is sent together.
SHORTEST = timedelta(seconds=0.005)
#: For how long one leads without being heard of.
LEASE = timedelta(seconds=2)
#: A failure may take this much of the time that there is to serve the others.
FAILURE = timedelta(milliseconds=5)
#: How often it is looked how jobs have ended.
OUTCOMES = timedelta(seconds=1)
#: How often messages are looked for that an engine has lost.
LOST = timedelta(seconds=5)
#: For how long schedules are served before delayed jobs have their turn.
LONGEST = timedelta(seconds=0.5)
#: How many schedules are served in one round, and ticks of each.
SCHEDULES, TICKS = 1000, 100
#: How many are kept as they were read.
READ = 20_000
#: How many outcomes are written down at once: more than are sent in most rounds.
ENDED = 3000

T = TypeVar("T")
_SCHEDULE, _RELAY = "schedule ", "jobs for engines"


class Round(Protocol):
    """What was moved of delayed jobs."""

    @property
    def moved(self) -> int:
        """Return how many."""
        ...

    @property
    def next_due(self) -> float | None:
        """Return the seconds until another is due; None where none is scheduled."""
        ...


class Promotion(Protocol):
    """Moves delayed jobs that are due."""

    def round(self) -> Round:
        """Move some."""
        ...


@runtime_checkable
class Promoter(Protocol):
    """A backend whose delayed jobs need someone to move them when they are due."""

    def promotion(self, queues: Sequence[str]) -> Promotion:
        """Return what moves those of these queues."""
        ...


@runtime_checkable
class Relay(Protocol):
    """A backend whose jobs are carried by an engine's messages, once they are due."""

    def relay(self, queues: Sequence[str]) -> int:
        """Hand over what waits for it; return how many jobs."""
        ...

    def send_lost(self, queues: Sequence[str]) -> Sequence[str]:
        """Have jobs sent again whose messages the engine has lost; return their ids."""
        ...


class Scheduler:
    """One process's share in sending what is due."""

    def __init__(
        self,
        app: App,
        schedules: Mapping[str, Sequence[Schedule]] | None = None,
        *,
        queues: Sequence[str] | None = None,
    ) -> None:
        """Serve an application; `schedules` are what its code declares, by module.

        None leaves those in the store as they are. Delayed jobs are moved in `queues`
        alone, where they are given.

        Raises:
            ConfigurationError: two of the schedules have the same name.
        """
        by_name(schedules or {})
        self._app = app
        self._declared = schedules
        wanted = [q for q in app.queues if queues is None or q.name in queues]
        self._names = [queue.name for queue in wanted]
        engines: dict[int, tuple[Backend, list[str]]] = {}
        for queue in wanted:
            backend = app.backend(queue.engine)
            engines.setdefault(id(backend), (backend, []))[1].append(queue.name)
        self._promotions = [
            backend.promotion(names)
            for backend, names in engines.values()
            if isinstance(backend, Promoter)
        ]
        self._relays = [
            (backend, names)
            for backend, names in engines.values()
            if isinstance(backend, Relay)
        ]
        self._timetables = app.schedules.timetables()
        self._who = secrets.token_hex(8)
        #: Whether it does for schedules what one is enough for; and whether it looks
        #: often, which each does who leads there, or for just its queues.
        self._is_leader = self._looks_often = False
        self._asked_to_lead = self._noted = -NOW_AND_THEN.total_seconds()
        self._looked_for_lost = -LOST.total_seconds()
        #: The latest time that a store has told, by its timetable's place.
        self._latest: dict[int, datetime] = {}
        #: By name: what was read of it last, and of which version.
        self._read: dict[str, tuple[str, Schedule]] = {}
        #: Whether it is to send all at once, and an outage of a store ends that.
        self._in_burst = False
        #: What fails: it is said once, and tried again now and then.
        self._failing: dict[str, float] = {}

    def run(self, stop: Event) -> None:
        """Send what is due until told to stop; an outage of the store is waited out."""
        log.info(
            "scheduler started: %d schedules, queues %s; process %d",
            sum(map(len, (self._declared or {}).values())),
            ", ".join(self._names),
            os.getpid(),
        )
        pause = timedelta(0)
        while not stop.wait(pause.total_seconds()):
            pause = self.round()
        for timetable in self._timetables:
            for queues in ([], self._names):
                leave = partial(timetable.stand_down, self._who, queues)
                self._tried("leaving", leave)

    def burst(self) -> None:
        """Send all that is due by now.

        Raises:
            StoreError: a store does not do as it is asked.
            EnqueueError: it did not confirm the job of a tick.
        """
        self._in_burst = True
        while not self.round():
            pass

    def round(self) -> timedelta:
        """Send what is due; return for how long there is nothing to do."""
        self._declare()
        self._lead()
        longest = OFTEN if self._looks_often else NOW_AND_THEN
        waits = [longest]
        for promotion in self._promotions:
            found = self._tried("delayed jobs", promotion.round)
            if found is None:
                waits.append(NOW_AND_THEN)
            elif found.next_due is not None:
                waits.append(timedelta(seconds=found.next_due))
        for timetable in self._timetables:
            wait = self._tried("schedules", partial(self._serve, timetable))
            waits.append(longest if wait is None else wait)
        if self._relayed():
            waits.append(timedelta(0))
        self._look_for_lost()
        self._note_outcomes()
        # One that does not lead comes later, also where something is due: it is sent.
        wait = min(waits) if self._looks_often or self._in_burst else longest
        return max(wait, SHORTEST) if wait else wait  # nothing: more is due by now

    def _declare(self) -> None:
        if self._declared is None or self._rests("declared schedules"):
            return
        declare = partial(self._app.schedules.declare, self._declared)
        diff = self._tried("declared schedules", declare)
        if diff is None:
            return  # the store is away: again, in a moment
        # What was refused is not tried again: this might take back a later deploy.
        self._declared = None
        for name in diff.added:
            log.info("schedule %s added", name)
        for name, what in diff.changed.items():
            log.info("schedule %s changed: %s", name, what)
        for name in diff.removed:
            log.info("schedule %s removed: the code declares it no more", name)
        for name, why in diff.refused.items():
            log.warning("schedule %s is not as the code declares it: %s", name, why)

    def _lead(self) -> None:
        """Be the one who looks often, if nobody else is; the first store says so.

        Who leads may move the delayed jobs of other queues than these: they have a
        leader for themselves.
        """
        now = self._app.clock.monotonic()
        if now - self._asked_to_lead < LEASE.total_seconds() / 4:
            return
        self._asked_to_lead = now
        lead = partial(self._timetables[0].lead, self._who, LEASE)
        was, self._is_leader = self._is_leader, bool(self._tried("leading", lead))
        if self._is_leader and not was:
            log.info("this scheduler leads")
        lead = partial(self._timetables[0].lead, self._who, LEASE, self._names)
        looks_often = bool(self._tried("leading its queues", lead))
        self._looks_often = self._is_leader or looks_often

    def _serve(self, timetable: Timetable) -> timedelta:
        """Send the ticks that are due; return how long until another is."""
        # Those that fail stay due the longest: they must not fill the whole answer.
        resting = {what.removeprefix(_SCHEDULE) for what in self._failing}
        resting = {name for name in resting if self._rests(_SCHEDULE + name)}
        due = timetable.due(SCHEDULES, resting)
        self._look_at_clock(timetable, due.now)
        until = self._app.clock.monotonic() + LONGEST.total_seconds()
        # In no order: where there is much to send, each is to have its turn.
        for entry in random.sample(due.entries, len(due.entries)):
            if self._app.clock.monotonic() > until:
                return timedelta(0)
            # One that was paused as we asked has no misfires: they are its pause.
            if not entry.paused:
                serve = partial(self._serve_one, timetable, entry, due)
                self._tried(_SCHEDULE + entry.name, serve)
        if self._in_burst and len(due.entries) == SCHEDULES:
            return timedelta(0)
        return due.next_in if due.next_in is not None else NOW_AND_THEN

    def _look_at_clock(self, timetable: Timetable, now: datetime) -> None:
        """Say so when the store's clock is put back: what it was at is not due."""
        latest = self._latest.get(id(timetable), now)
        self._latest[id(timetable)] = now
        if latest - now > AHEAD:
            log.warning(
                "the clock of the store was put back by %s, to %s: schedules whose "
                "ticks were sent meanwhile send none until it is as late again; "
                "`headway doctor` names them, `headway schedules pause` and `resume` "
                "have them go on from now",
                latest - now,
                now,
            )

    def _serve_one(self, timetable: Timetable, entry: Entry, due: Due) -> bool:
        schedule, counted = self._schedule(entry), None
        for _ in range(TICKS):
            todo = step(
                schedule,
                entry.cursor,
                due.now,
                waiting=entry.waiting,
                all_until=counted,
            )
            counted = todo.all_until
            if todo.missed is not None:
                done = self._miss(timetable, entry, todo)
            else:
                done = todo.tick is not None and self._send(
                    timetable, schedule, entry, todo, due.now
                )
            if not done or todo.next_due is None or todo.next_due > due.now:
                break
            found = timetable.entry(entry.name)
            if found is None or found.paused or found.version != entry.version:
                break
            entry = found
        return True

    def _miss(self, timetable: Timetable, entry: Entry, todo: Step) -> bool:
        missed = cast("Missed", todo.missed)
        if not timetable.miss(entry, missed, todo.next_due):
            return False
        log.warning(
            "schedule %s missed %s of its ticks, the last of %s: %s",
            entry.name,
            missed.count or "many",
            missed.last,
            missed.reason,
        )
        return True

    def _send(
        self,
        timetable: Timetable,
        schedule: Schedule,
        entry: Entry,
        todo: Step,
        now: datetime,
    ) -> bool:
        """Send a tick; tell whether the schedule's cursor is at it now."""
        moment = cast("datetime", todo.tick)
        if schedule.overlap == "cancel" and entry.last_is_alive:
            # As late as can be: who was frozen would cancel it for nothing.
            if not _is_as_it_was(entry, timetable.entry(entry.name)):
                return False
            self._cancel(schedule, entry)
        envelope = self._app.seal(schedule.message_of(moment))
        tick = DueTick(
            at=moment,
            following=todo.next_due,
            envelope=envelope,
            overlap=schedule.overlap,
            grace=schedule.grace,
            now=now,
        )
        answer = timetable.send(entry, tick)
        if answer is Answer.SENT:
            log.info("schedule %s sent %s", entry.name, envelope.id)
            self._app.events.emit(
                JobEnqueued(
                    job_id=envelope.id,
                    task=envelope.terms.task,
                    queue=envelope.terms.queue,
                    duplicate=False,
                )
            )
        elif answer is Answer.SKIPPED:
            log.warning(
                "schedule %s left out %s: job %s has not ended",
                entry.name,
                moment,
                entry.last_job,
            )
        return answer in (Answer.SENT, Answer.SKIPPED)

    def _cancel(self, schedule: Schedule, entry: Entry) -> None:
        queue = self._app.seal(schedule.message).terms.queue
        try:
            self._app.job(entry.last_job or "", queue=queue).cancel()
        except (JobNotFoundError, JobStateError, CapabilityError) as error:
            log.warning("schedule %s goes on beside: %s", entry.name, error)
        else:
            log.info("schedule %s canceled %s", entry.name, entry.last_job)

    def _schedule(self, entry: Entry) -> Schedule:
        known = self._read.get(entry.name)
        if known and known[0] == entry.version:
            return known[1]
        resolve = self._app.registry.resolve
        schedule = Schedule.from_wire(entry.name, entry.wire, resolve)
        if len(self._read) >= READ:  # most of them may be gone
            self._read.clear()
        self._read[entry.name] = (entry.version, schedule)
        return schedule

    def _note_outcomes(self) -> None:
        now = self._app.clock.monotonic()
        if not self._is_leader or now - self._noted < OUTCOMES.total_seconds():
            return
        self._noted = now
        for timetable in self._timetables:
            note = partial(timetable.note_outcomes, ENDED)
            if self._tried("outcomes", note) == ENDED:  # more wait: in the next round
                self._noted = now - OUTCOMES.total_seconds()

    def _relayed(self) -> int:
        """Hand over what is due to engines that carry jobs; return how many jobs."""
        if self._rests(_RELAY):
            return 0
        relays = [partial(backend.relay, names) for backend, names in self._relays]
        return sum(self._tried(_RELAY, relay) or 0 for relay in relays)

    def _look_for_lost(self) -> None:
        now = self._app.clock.monotonic()
        if not self._looks_often or now - self._looked_for_lost < LOST.total_seconds():
            return
        self._looked_for_lost = now
        for backend, names in self._relays:
            find = partial(backend.send_lost, names)
            for job_id in self._tried("lost messages", find) or ():
                log.info("job %s is sent again: no worker was given it", job_id)

    def _rests(self, what: str) -> bool:
        """Tell whether it failed a moment ago; the more fail, the longer that is."""
        failed = self._failing.get(what)
        if failed is None:
            return False
        rest = max(NOW_AND_THEN, len(self._failing) * FAILURE)
        return self._app.clock.monotonic() - failed < rest.total_seconds()

    def _tried(self, what: str, do: Callable[[], T]) -> T | None:
        try:
            done = do()
        except Exception as error:  # it must outlive any outage, but not a burst
            if self._in_burst and _is_outage(what, error):
                if isinstance(error, HeadwayError):
                    raise
                raise StoreError(f"{what}: this fails: {error}") from error
            if what not in self._failing:
                log.warning("%s: this fails and is tried again: %s", what, error)
            if len(self._failing) >= READ:  # schedules that were removed since
                self._failing.clear()
            self._failing[what] = self._app.clock.monotonic()
            return None
        if self._failing.pop(what, None) is not None:
            log.info("%s: this is done again", what)
        return done


def _is_outage(what: str, error: Exception) -> bool:
    """Tell whether it is more than one schedule that cannot be sent."""
    return isinstance(error, EnqueueError) or not what.startswith(_SCHEDULE)


def _is_as_it_was(was: Entry, found: Entry | None) -> bool:
    """Tell whether the next tick of a schedule may still be sent as it was thought."""
    if found is None or found.paused:
        return False
    return (found.cursor, found.version) == (was.cursor, was.version)


def stop_at(*numbers: signal.Signals) -> Event:
    """Return what `run` is to be given: it is set when one of these signals comes."""
    stop = Event()

    def tell(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in numbers:
        signal.signal(number, tell)
    return stop
