from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from headway.app import App
from headway.cron import Cron
from headway.errors import JobNotFoundError
from headway.job import JobInfo, JobStatus
from headway.schedule import Schedule
from headway.shims.listing import Listing
from headway.shims.scheduled_job import ScheduledJob
from headway.timetable import Entry
from headway.timing import Every


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
            elif self.entry(job_id) is None:
                gone.append(job_id)
        self.listing.forget(gone)

    def find(self, job_id: str) -> ScheduledJob | None:
        """Return one that is due some time; a paused schedule is not."""
        if (entry := self.entry(job_id)) is not None:
            schedule = self.schedule(entry)
            due = None if entry.paused else schedule.next_after(entry.cursor)
            return None if due is None else self.periodic(schedule, due)
        info = self.delayed(job_id)
        return self.once(info, info.due) if info and info.due else None

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
        """Return a job that waits to be due."""
        try:
            info = self.app.job(job_id).info()
        except JobNotFoundError:
            return None
        return info if info.status is JobStatus.SCHEDULED else None

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
