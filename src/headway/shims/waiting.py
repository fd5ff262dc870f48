from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from headway.app import App
from headway.cron import Cron
from headway.errors import HeadwayError, JobNotFoundError
from headway.job import JobInfo, JobStatus
from headway.schedule import Schedule
from headway.shims.listing import Listing
from headway.shims.scheduled_job import ScheduledJob
from headway.timetable import Entry
from headway.timing import Every, timing_from_wire


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What an application is to send, by the ids that rq-scheduler's users know."""

    app: App
    listing: Listing
    cancel: Callable[[object], None]

    def __iter__(self) -> Iterator[ScheduledJob]:
        """Yield what was made by the shim, and forget what is gone."""
        gone: list[str] = []
        for job_id in self.listing.ids():
            if (found := self.find(job_id)) is not None:
                yield found
            elif (entry := self.entry(job_id)) is None or not entry.paused:
                gone.append(job_id)  # or it has had its last tick
        self.listing.forget(gone)

    def find(self, job_id: str) -> ScheduledJob | None:
        """Return one that is due some time; a paused schedule is not."""
        if (entry := self.entry(job_id)) is not None:
            return None if entry.paused else self._of(entry)
        info = self.delayed(job_id)
        return self.once(info, info.due) if info and info.due else None

    def _of(self, entry: Entry) -> ScheduledJob | None:
        try:
            schedule = self.schedule(entry)
        except HeadwayError:  # its task was renamed: it must not hide the others
            return self._unread(entry)
        due = schedule.next_after(entry.cursor)
        return None if due is None else self.periodic(schedule, due)

    def entry(self, name: str) -> Entry | None:
        """Return a schedule as its store has it."""
        timetables = self.app.schedules.timetables()
        found = (timetable.entry(name) for timetable in timetables)
        return next((entry for entry in found if entry is not None), None)

    def schedule(self, entry: Entry) -> Schedule:
        """Return the schedule that a store has.

        Raises:
            UnknownTaskError: its task is gone.
        """
        return Schedule.from_wire(entry.name, entry.wire, self.app.resolve)

    def delayed(self, job_id: str) -> JobInfo | None:
        """Return a job that waits to be due for the first time."""
        try:
            info = self.app.job(job_id).info()
        except JobNotFoundError:
            return None
        waits = info.status is JobStatus.SCHEDULED and info.due and not info.attempt
        return info if waits else None

    def once(self, info: JobInfo, due: datetime) -> ScheduledJob:
        """Return a delayed job as rq-scheduler's users know it."""
        return ScheduledJob(
            id=info.id,
            func_name=info.task,
            args=tuple(info.args),
            kwargs=info.kwargs,
            origin=info.queue,
            due=due,
            description=info.description,
            cancel_by=self.cancel,
        )

    def periodic(self, schedule: Schedule, due: datetime) -> ScheduledJob:
        """Return a schedule as rq-scheduler's users know it."""
        message = schedule.message
        meta: dict[str, object] = {}
        match schedule.timing:
            case Cron() as timing:
                meta["cron_string"] = timing.line
            case Every() as timing:
                meta["interval"] = int(timing.interval.total_seconds())
            case _:
                pass
        return ScheduledJob(
            id=schedule.name,
            func_name=message.task,
            args=tuple(message.arguments.args),
            kwargs=dict(message.arguments.kwargs),
            origin=message.options.get("queue", ""),
            due=due,
            description=message.options.get("description", ""),
            meta=meta,
            cancel_by=self.cancel,
        )

    def _unread(self, entry: Entry) -> ScheduledJob:
        """Return what can be told of a schedule whose task or timing is not there."""
        wire = entry.wire
        args, options = wire.get("args"), _mapping(wire.get("options"))
        return ScheduledJob(
            id=entry.name,
            func_name=str(wire.get("task", "")),
            args=tuple(cast("list[object]", args)) if isinstance(args, list) else (),
            kwargs=_mapping(wire.get("kwargs")),
            origin=str(options.get("queue", "")),
            due=_due(entry),
            description=str(options.get("description", "")),
            cancel_by=self.cancel,
        )


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _due(entry: Entry) -> datetime:
    """Return when a schedule would be due, as far as that can be read."""
    try:
        timing = timing_from_wire(entry.wire["timing"])
        return timing.next_after(entry.cursor) or entry.cursor
    # What nonsense in its place may raise.
    except (HeadwayError, LookupError, TypeError, ValueError, ArithmeticError):
        return entry.cursor
