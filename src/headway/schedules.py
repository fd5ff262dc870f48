"""`app.schedules`: the schedules of an application, as its store has them."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol, cast
from zoneinfo import ZoneInfo

from headway.backend import Backend
from headway.errors import (
    ConfigurationError,
    HeadwayError,
    ScheduleNotFoundError,
    StoreError,
)
from headway.job import Job
from headway.local_time import check_aware
from headway.message import Message
from headway.options import Options
from headway.queue import Queue
from headway.schedule import Schedule, version_of
from headway.spelling import meant
from headway.task import DefinedTask
from headway.ticks import missed_between
from headway.timetable import AHEAD, Entry, Tick, Timetable

log = logging.getLogger("headway.scheduler")

#: A schedule is changed again where its cursor moved meanwhile, so often.
TRIES = 20


class Host(Protocol):
    """What schedules need of their application."""

    @property
    def queues(self) -> tuple[Queue, ...]:
        """Return its queues."""
        ...

    def backend(self, engine: str | None = None) -> Backend:
        """Return the adapter of an engine; the application's own without a name."""
        ...

    def engine_of(self, message: Message[Any]) -> str:
        """Return the engine that serves the queue of a message."""
        ...

    def resolve(self, name: str) -> DefinedTask[Any, Any]:
        """Return a task by its name."""
        ...

    def send(self, messages: Sequence[Message[Any]]) -> list[Job[Any]]:
        """Send messages."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleInfo:
    """What was known of a schedule at one moment."""

    name: str
    #: When it is due, as "0 3 * * * in Europe/Oslo".
    timing: str
    task: str
    args: tuple[object, ...]
    kwargs: Mapping[str, object]
    #: None where neither the call nor its task says it.
    queue: str | None
    #: The next tick, in the schedule's own zone; None: there is none, or it is paused.
    next_due: datetime | None
    #: What became of its last tick.
    last: Tick | None
    paused: bool
    #: The module that declares it, as tasks.schedules; empty for one made at run time.
    declared: str
    #: The zone of its times; UTC where the timing has none of its own.
    zone: str = "UTC"
    #: No ticks before this, or after that.
    start: datetime | None = None
    end: datetime | None = None
    misfire: str = ""
    misfire_limit: int = 0
    grace: timedelta = timedelta(0)
    overlap: str = ""
    #: Why it cannot be sent, where its task or timing cannot be read.
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """What a declaration has changed in the store, or would."""

    added: Sequence[str] = ()
    #: By name: what of it, in words.
    changed: Mapping[str, str]
    removed: Sequence[str] = ()
    #: By name: why it stays as it was, or is not there.
    refused: Mapping[str, str] = field(default_factory=dict[str, str])

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


class Schedules:
    """Those that the code declares, and those that were made at run time."""

    def __init__(self, host: Host) -> None:
        self._host = host

    # Asking

    def __iter__(self) -> Iterator[ScheduleInfo]:
        return iter(self.all())

    def names(self) -> list[str]:
        """Return the names of all schedules, in order.

        Raises:
            StoreError: the store does not answer.
        """
        return sorted({name for each in self.timetables() for name in each.names()})

    def all(self, names: Collection[str] | None = None) -> list[ScheduleInfo]:
        """Return all schedules, or those of some names that are there; by name.

        Raises:
            StoreError: the store does not answer.
        """
        found: list[ScheduleInfo] = []
        for timetable in self.timetables():
            entries = timetable.entries(names)
            last = timetable.latest([entry.name for entry in entries])
            found += map(self._info, entries, last)
        return sorted(found, key=lambda info: info.name)

    def get(self, name: str) -> ScheduleInfo:
        """Return one.

        Raises:
            ScheduleNotFoundError: there is none of that name.
            StoreError: the store does not answer.
        """
        timetable, entry = self._found(name)
        [last] = timetable.latest([name])
        return self._info(entry, last)

    def history(self, name: str, limit: int = 20) -> list[Tick]:
        """Return what became of its ticks, latest first.

        Raises:
            ScheduleNotFoundError: there is none of that name.
            StoreError: the store does not answer.
        """
        timetable, _entry = self._found(name)
        return timetable.history(name, limit)

    def upcoming(self, name: str, count: int = 5) -> list[datetime]:
        """Return its next ticks, in its own zone; of a paused one, if it went on now.

        Raises:
            ScheduleNotFoundError: there is none of that name.
            ConfigurationError: its task or timing cannot be read.
            StoreError: the store does not answer.
        """
        timetable, entry = self._found(name)
        schedule, zone = self._read(entry), _zone_of(entry.wire)
        moment = max(entry.cursor, timetable.now()) if entry.paused else entry.cursor
        found: list[datetime] = []
        while len(found) < count and (tick := schedule.next_after(moment)):
            found.append(tick.astimezone(zone))
            moment = tick
        return found

    # Changing

    def add(self, schedule: Schedule) -> None:
        """Have a message sent by itself from now on.

        Raises:
            ConfigurationError: there is one of that name, or it would never be sent.
            StoreError: the store does not answer.
        """
        if not self._put(schedule, may_exist=False):
            raise ConfigurationError(
                f"there is a schedule {schedule.name!r}: take another name, or "
                "app.schedules.replace(...) it"
            )

    def replace(self, schedule: Schedule, *, since: datetime | None = None) -> None:
        """Put a schedule in place of the one of its name, or add it.

        One with the same timing goes on as if nothing had happened. Whether it is
        paused stays as it is. Its ticks after `since` are due, where that is given.

        Raises:
            ConfigurationError: the code declares one of that name, or it would never
                be sent.
            StoreError: the store does not answer.
        """
        self._put(schedule, since=since)

    def remove(self, name: str, *, declared: bool = False) -> None:
        """Forget a schedule and its history; jobs that were sent stay.

        With `declared` also one of the code's, for where that code is gone: a scheduler
        that starts with it makes it again.

        Raises:
            ScheduleNotFoundError: there is none of that name.
            ConfigurationError: the code declares it.
            StoreError: the store does not answer.
        """
        try:
            timetable, entry = self._found(name)
        except ScheduleNotFoundError:
            # One that cannot be read is in no list, and in the way of another.
            removed = [each.remove(name) for each in self.timetables()]
            if not any(removed):
                raise
            return
        if entry.declared and not declared:
            raise ConfigurationError(
                f"schedule {name!r} is declared in {entry.declared}: remove it there, "
                f"or pause it; {_GONE.format(name)}"
            )
        timetable.remove(name)

    def pause(self, name: str) -> None:
        """Send none of its ticks until it is resumed; a deploy changes nothing of it.

        Raises:
            ScheduleNotFoundError: there is none of that name.
            StoreError: the store does not answer.
        """
        timetable, _entry = self._found(name)
        timetable.pause(name)

    def resume(self, name: str) -> None:
        """Send its ticks again, from now on: those in between are missed.

        One that was served while the clock of the store was far ahead goes on from now
        as well, and does not wait until that time comes.

        Raises:
            ScheduleNotFoundError: there is none of that name.
            StoreError: the store does not answer.
        """
        for _ in range(TRIES):
            timetable, entry = self._found(name)
            if not entry.paused:
                return
            schedule, now = self._read(entry), timetable.now()
            missed = missed_between(schedule, entry.cursor, now, "it was paused")
            if missed and not timetable.miss(entry, missed, None):
                continue
            cursor = missed.last if missed else entry.cursor
            was = replace(entry, cursor=cursor)
            # A clock that was put back a little must not have a tick sent again.
            begin = now if cursor > now + AHEAD else max(cursor, now)
            resumed = replace(was, paused=False, cursor=begin)
            if timetable.put(resumed, schedule.next_after(resumed.cursor), was):
                return
        raise ConfigurationError(_BUSY.format(name))

    def run_now(self, name: str) -> Job[Any]:
        """Send its message once more, at once; its ticks go on as ever.

        Raises:
            ScheduleNotFoundError: there is none of that name.
            ConfigurationError: its task or timing cannot be read.
            EnqueueError: the store did not confirm the job.
            StoreError: the store does not answer.
        """
        timetable, entry = self._found(name)
        schedule, now = self._read(entry), timetable.now()
        options = Options(**schedule.message.options)
        options["job_id"] = f"{schedule.job_id(now)}-{secrets.token_hex(3)}"
        [job] = self._host.send([schedule.message._replace(options=options)])
        tick = Tick(due=now, sent_at=now, job_id=job.id, outcome="queued", by_hand=True)
        try:
            timetable.note(name, tick)
        except StoreError as error:  # to say so would have it sent twice
            log.warning(
                "schedule %s sent %s, as history does not say: %s", name, job.id, error
            )
        return job

    def declare(self, declared: Mapping[str, Iterable[Schedule]]) -> Diff:
        """Have the store keep what the code declares: these, and no others of it.

        They are given by the module that declares them. A schedule of the same name
        that was made at run time becomes the code's. One that cannot be kept holds up
        no other: why is told.

        Raises:
            ConfigurationError: two have the same name.
            StoreError: the store does not answer.
        """
        diff, wanted = self.compare(declared), by_name(declared)
        refused: dict[str, str] = {}
        for name in (*diff.added, *diff.changed):
            module, schedule = wanted[name]
            try:
                self._put(schedule, module, before=declared)
            except ConfigurationError as error:
                refused[name] = str(error)
        for name in diff.removed:
            for timetable in self.timetables():
                timetable.remove(name)
        return Diff(
            added=[name for name in diff.added if name not in refused],
            changed={n: what for n, what in diff.changed.items() if n not in refused},
            removed=diff.removed,
            refused=refused,
        )

    def compare(self, declared: Mapping[str, Iterable[Schedule]]) -> Diff:
        """Return what `declare` would change.

        Raises:
            ConfigurationError: two have the same name.
            StoreError: the store does not answer.
        """
        wanted = by_name(declared)
        there = {e.name: e for each in self.timetables() for e in each.entries()}
        changed = {
            name: _difference(there[name], schedule.to_wire(), module)
            for name, (module, schedule) in wanted.items()
            if name in there
            and (there[name].version, there[name].declared)
            != (version_of(schedule.to_wire()), module)
        }
        return Diff(
            added=[name for name in wanted if name not in there],
            changed=changed,
            removed=[
                name
                for name, entry in there.items()
                if entry.declared in declared and name not in wanted
            ],
        )

    def _put(
        self,
        schedule: Schedule,
        declared: str = "",
        *,
        may_exist: bool = True,
        since: datetime | None = None,
        before: Collection[str] = (),
    ) -> bool:
        """Keep a schedule; `before` are modules from which it may have been moved."""
        given: object = schedule
        if not isinstance(given, Schedule):
            raise ConfigurationError(
                f"app.schedules was given {given!r}, expected one "
                "Schedule('nightly', Cron('0 3 * * *'), task.message())"
            )
        timetable = self._timetable(schedule)
        if since is not None:
            check_aware("app.schedules.replace(since=...)", since)
        wire = schedule.to_wire()
        for _ in range(TRIES):
            was = timetable.entry(schedule.name)
            if was is not None and not may_exist:
                return False
            if was is not None and was.declared not in ("", declared, *before):
                raise ConfigurationError(
                    f"schedule {schedule.name!r} is declared in {was.declared}: change "
                    f"it there, or take another name; {_GONE.format(schedule.name)}"
                )
            goes_on = was is not None and _same_ticks(was.wire, wire)
            cursor = since or (was.cursor if was and goes_on else timetable.now())
            next_due = schedule.next_after(cursor)
            if next_due is None and not declared:
                end = f", end={schedule.end}" if schedule.end else ""
                raise ConfigurationError(
                    f"Schedule({schedule.name!r}): no tick after now, {cursor}: "
                    f"{schedule.timing.in_words}{end}"
                )
            entry = Entry(
                name=schedule.name,
                wire=wire,
                version=version_of(wire),
                declared=declared,
                paused=was.paused if was else schedule.paused,
                cursor=cursor,
            )
            if timetable.put(entry, next_due, was):
                self._forget_elsewhere(schedule.name, timetable)
                return True
        raise ConfigurationError(_BUSY.format(schedule.name))

    def _forget_elsewhere(self, name: str, timetable: Timetable) -> None:
        """Take a schedule from the engines that have served its queue before."""
        for other in self.timetables():
            if other is not timetable:
                other.remove(name)

    # Stores

    def timetables(self) -> list[Timetable]:
        """Return what the stores of the application's queues do for schedules."""
        return list(self._stores().values())

    def _stores(self) -> dict[bool, Timetable]:
        """Return what memory does, and what the store does that all others share."""
        engines = dict.fromkeys(queue.engine for queue in self._host.queues)
        backends = [self._host.backend(engine) for engine in engines]
        return {each.engine == "memory": each.timetable for each in backends}

    def _timetable(self, schedule: Schedule) -> Timetable:
        return self._stores()[self._host.engine_of(schedule.message) == "memory"]

    def _found(self, name: str) -> tuple[Timetable, Entry]:
        for timetable in self.timetables():
            if (entry := timetable.entry(name)) is not None:
                return timetable, entry
        there = [e.name for each in self.timetables() for e in each.entries()]
        raise ScheduleNotFoundError(
            f"no schedule {name!r}: {meant(name, there).rstrip() or _NOT_THERE}"
        )

    def _read(self, entry: Entry) -> Schedule:
        return Schedule.from_wire(entry.name, entry.wire, self._host.resolve)

    def _info(self, entry: Entry, last: Tick | None) -> ScheduleInfo:
        try:
            schedule, zone = self._read(entry), _zone_of(entry.wire)
            found = None if entry.paused else schedule.next_after(entry.cursor)
        except HeadwayError as error:
            return _unread(entry, last, str(error))
        arguments, options = schedule.message.arguments, schedule.message.options
        return ScheduleInfo(
            name=entry.name,
            timing=schedule.timing.in_words,
            task=schedule.message.task,
            args=arguments.args,
            kwargs=arguments.kwargs,
            queue=options.get("queue"),
            next_due=found and found.astimezone(zone),
            last=last,
            paused=entry.paused,
            declared=entry.declared,
            zone=zone.key,
            start=schedule.start,
            end=schedule.end,
            misfire=schedule.misfire,
            misfire_limit=schedule.misfire_limit,
            grace=schedule.grace,
            overlap=schedule.overlap,
        )


def _difference(was: Entry, wire: Mapping[str, Any], module: str) -> str:
    """Say what of a schedule is another now."""
    pairs = [(key, was.wire.get(key), wire.get(key)) for key in {**was.wire, **wire}]
    pairs.append(("declared", was.declared or "at run time", module))
    return ", ".join(
        f"{key} {_json(old)} -> {_json(new)}" for key, old, new in pairs if old != new
    )


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def by_name(
    declared: Mapping[str, Iterable[Schedule]],
) -> dict[str, tuple[str, Schedule]]:
    """Return each schedule, and the module that declares it, by its name.

    Raises:
        ConfigurationError: two have the same name.
    """
    found: dict[str, tuple[str, Schedule]] = {}
    for module, schedules in declared.items():
        for schedule in schedules:
            if schedule.name in found:
                raise ConfigurationError(
                    f"two schedules are named {schedule.name!r}: rename one of them"
                )
            found[schedule.name] = (module, schedule)
    return found


def _unread(entry: Entry, last: Tick | None, problem: str) -> ScheduleInfo:
    """Return what can be told of one whose task or timing cannot be read."""
    wire = entry.wire
    args, kwargs = wire.get("args"), wire.get("kwargs")
    return ScheduleInfo(
        name=entry.name,
        timing="",
        task=str(wire.get("task", "")),
        args=tuple(cast("list[object]", args)) if isinstance(args, list) else (),
        kwargs=cast("dict[str, object]", kwargs) if isinstance(kwargs, dict) else {},
        queue=None,
        next_due=None,
        last=last,
        paused=entry.paused,
        declared=entry.declared,
        problem=problem,
    )


_NOT_THERE = (
    "it never was, it was removed, or no scheduler has run yet since the code declares "
    "it"
)
_GONE = "if that code is gone: `headway schedules remove --declared {}`"
_BUSY = "schedule {!r} moves so fast that it cannot be changed: pause it first"


def _zone_of(wire: Mapping[str, Any]) -> ZoneInfo:
    """Return the zone of a schedule that was read; UTC where its kind has none."""
    timing = wire["timing"]
    has_zone = timing["kind"] in ("cron", "at")
    return ZoneInfo(timing.get("zone", "UTC") if has_zone else "UTC")


def _same_ticks(wire: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(wire.get(key) == other.get(key) for key in ("timing", "start", "end"))
