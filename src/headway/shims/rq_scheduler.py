"""rq-scheduler's `Scheduler`, by Headway: only the line that imports it changes.

What comes again and again is a schedule of Headway's, what comes once is a delayed job.
Moments are rq-scheduler's: naive ones are UTC, as nowhere else in Headway. Lines of
cron are read in this machine's zone, as version 0.14 of rq-scheduler does, whatever is
said by `use_local_timezone`.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, NoReturn

from headway.app import App, load_app
from headway.backends.rq import RQBackend
from headway.cron import Cron
from headway.declared_schedules import declared_schedules
from headway.errors import (
    ConfigurationError,
    JobNotFoundError,
    JobStateError,
    ScheduleNotFoundError,
)
from headway.message import Message
from headway.migrate.crontab_line import our_line
from headway.migrate.end_after import end_after
from headway.migrate.machine_zone import machine_zone
from headway.migrate.rq_options import options_of
from headway.schedule import Schedule
from headway.scheduler import Scheduler as Sender
from headway.scheduler import stop_at
from headway.settings import Settings
from headway.shims.listing import listing_of
from headway.shims.scheduled_job import ScheduledJob
from headway.shims.waiting import Waiting
from headway.task import DefinedTask
from headway.timetable import Entry
from headway.timing import Every
from headway.wire.outage import address

log = logging.getLogger("headway.shims.rq_scheduler")

Function = Callable[..., Any] | str
When = datetime | timedelta | int | float

_MICROSECOND = timedelta(microseconds=1)
PAGE = "see docs/how-to/from-rq-scheduler.md"
#: What is refused where it is said, and what there is for it.
_REFUSED = {
    "depends_on": "let the job before enqueue this one",
    "meta": "pass what the task is to know as an argument",
    "on_success": "subscribe: app.subscribe(function, JobSucceeded)",
    "on_failure": "subscribe: app.subscribe(function, JobFailed)",
}
#: Words of `enqueue_at` and `enqueue_in` that are not the task's, and of `schedule`.
_WORDS = {
    "job_ttl": "ttl",
    "job_result_ttl": "result_ttl",
    "job_description": "description",
    **{name: name for name in ("timeout", "job_id", "queue_name", "at_front")},
    **{name: name for name in _REFUSED},
}
#: What belongs to rq-scheduler's own process.
_LACKING = {
    "enqueue_job": "app.schedules.run_now(id)",
    "enqueue_jobs": "scheduler.run(burst=True)",
    "get_queue_for_job": "app.queue(job.origin)",
    **dict.fromkeys(
        ("acquire_lock", "remove_lock", "heartbeat", "register_birth"),
        "nothing: any number of `headway scheduler` may run",
    ),
}


class Scheduler:
    """rq-scheduler's API; what is made by it is sent by `headway scheduler`."""

    def __init__(
        self,
        queue_name: str = "default",
        queue: Any = None,  # noqa: ANN401 - rq's, or ours
        interval: float = 60,
        connection: Any = None,  # noqa: ANN401 - a client of Redis
        job_class: object = None,
        queue_class: object = None,
        name: str | None = None,
        *,
        app: App | None = None,
        zone: str | None = None,
    ) -> None:
        """Find the application, that of HEADWAY_APP where none is given.

        `connection`, `interval` and `name` change nothing: the application says where
        its jobs are, and its schedulers look when something is due.

        Raises:
            ConfigurationError: there is no application, or classes are given for RQ's.
        """
        for word, value in (("job_class", job_class), ("queue_class", queue_class)):
            if value is not None:
                raise ConfigurationError(
                    f"Scheduler({word}={value!r}): jobs here are not RQ's classes; "
                    f"leave it out; {PAGE}"
                )
        self.app = app or load_app(Settings.from_environment().app)
        self.queue_name: str = queue_name if queue is None else queue.name
        self._interval, self.name = interval, name or secrets.token_hex(16)
        self._said_zone = zone
        if connection is not None:
            self._compare(connection)

    def _compare(self, connection: Any) -> None:  # noqa: ANN401 - a client of Redis
        backend = self.app.backend()
        if isinstance(backend, RQBackend):
            theirs, ours = address(connection), address(backend.client)
            if theirs != ours:
                log.warning(
                    "Scheduler(connection=%s): jobs go to %s, where the application's "
                    "are",
                    theirs,
                    ours,
                )

    # Making

    def enqueue_at(
        self,
        scheduled_time: datetime,
        func: Function,
        *args: Any,  # noqa: ANN401 - the task's own
        **kwargs: Any,  # noqa: ANN401 - the task's own, and words of rq-scheduler's
    ) -> ScheduledJob:
        """Send a call once, at a time.

        Raises:
            ConfigurationError: something is asked for that there is not, or its id is
                in use.
            EnqueueError: the store did not confirm the job.
        """
        said = _said_in(kwargs)
        return self._once(scheduled_time, self._task(func, **said), args, kwargs)

    def enqueue_in(
        self,
        time_delta: timedelta,
        func: Function,
        *args: Any,  # noqa: ANN401 - the task's own
        **kwargs: Any,  # noqa: ANN401 - the task's own, and words of rq-scheduler's
    ) -> ScheduledJob:
        """Send a call once, that much later.

        Raises:
            ConfigurationError: something is asked for that there is not, or its id is
                in use.
            EnqueueError: the store did not confirm the job.
        """
        moment = self.app.clock.now() + time_delta
        return self.enqueue_at(moment, func, *args, **kwargs)

    def schedule(
        self,
        scheduled_time: datetime,
        func: Function,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        interval: float | None = None,
        repeat: int | None = None,
        result_ttl: int | None = None,
        ttl: int | None = None,
        timeout: float | str | None = None,
        id: str | None = None,
        description: str | None = None,
        queue_name: str | None = None,
        meta: Mapping[str, Any] | None = None,
        depends_on: object = None,
        on_success: object = None,
        on_failure: object = None,
        at_front: bool | None = None,
    ) -> ScheduledJob:
        """Send a call at a time, and then every `interval` seconds, `repeat` times.

        Raises:
            ValueError: `repeat` without `interval`.
            ConfigurationError: something is asked for that there is not.
            StoreError: the store does not answer.
        """
        if repeat and interval is None:
            raise ValueError("Can't repeat a job without interval argument")
        task = self._task(
            func,
            queue_name=queue_name,
            timeout=timeout,
            ttl=ttl,
            # -1 keeps what is to run again there, which needs no keeping here.
            result_ttl=None if interval and result_ttl == -1 else result_ttl,
            description=description,
            at_front=at_front,
            meta=meta,
            depends_on=depends_on,
            on_success=on_success,
            on_failure=on_failure,
            job_id=None if interval else id,
        )
        if not interval:
            return self._once(scheduled_time, task, args or (), kwargs or {})
        message = task.message(*(args or ()), **(kwargs or {}))
        # One that is past is due now, and what was missed until then is not counted.
        first = max(_aware(scheduled_time), self._now(message)).replace(microsecond=0)
        timing = Every(seconds=int(interval), anchor=first)
        since = first - _MICROSECOND
        whole = Schedule(id or _new_id(task), timing, message)
        return self._keep(whole, repeat, since, since)

    def cron(
        self,
        cron_string: str,
        func: Function,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        repeat: int | None = None,
        queue_name: str | None = None,
        result_ttl: int | None = -1,
        ttl: int | None = None,
        id: str | None = None,
        timeout: float | str | None = None,
        description: str | None = None,
        meta: Mapping[str, Any] | None = None,
        use_local_timezone: bool = False,  # noqa: ARG002 - see the module
        depends_on: object = None,
        on_success: object = None,
        on_failure: object = None,
        at_front: bool = False,
    ) -> ScheduledJob:
        """Send a call at the times of a line of cron, `repeat` times.

        Raises:
            ConfigurationError: something is asked for that there is not.
            StoreError: the store does not answer.
        """
        task = self._task(
            func,
            queue_name=queue_name,
            timeout=timeout,
            ttl=ttl,
            result_ttl=None if result_ttl == -1 else result_ttl,
            description=description,
            at_front=at_front,
            meta=meta,
            depends_on=depends_on,
            on_success=on_success,
            on_failure=on_failure,
        )
        timing = Cron(our_line(cron_string), zone=self._zone)
        message = task.message(*(args or ()), **(kwargs or {}))
        whole = Schedule(id or _new_id(task), timing, message)
        return self._keep(whole, repeat, self._now(message), None)

    def _once(
        self,
        moment: datetime,
        task: DefinedTask[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> ScheduledJob:
        due = _aware(moment)
        message = task.using(at=due).message(*args, **kwargs)
        self.app.seal(message)  # what cannot be sent takes no one's place
        job_id = task.options.get("job_id") or ""
        if job_id:
            self._make_way(job_id)
        [job] = self.app.send([message])
        info = job.info()
        # A client that reconnected may have sent it twice: then it is the same.
        if job.duplicate and job.id == job_id and not self._waiting.delayed(job_id):
            raise ConfigurationError(
                f"job {job_id!r} is {info.status}, and keeps its id until it has "
                f"ended: take another id, or none; {PAGE}"
            )
        self._waiting.listing.note(job.id)
        return self._waiting.once(info, info.due or due)

    def _make_way(self, job_id: str) -> None:
        """Forget what had an id, which rq-scheduler would write over."""
        self.cancel(job_id)
        job = self.app.job(job_id)
        # What is there all the same is found when the new one is sent.
        with contextlib.suppress(JobNotFoundError, JobStateError):
            if job.status.is_final:
                job.delete()

    def _keep(
        self,
        schedule: Schedule,
        repeat: int | None,
        begin: datetime,
        since: datetime | None,
    ) -> ScheduledJob:
        if repeat is not None and int(repeat) >= 0:
            # It counts runs, and has one at least; so many ticks, and it ends.
            end = end_after(schedule.timing, begin, max(int(repeat), 1))
            schedule = replace(schedule, end=end)
        self.app.schedules.replace(schedule, since=since)
        self._withdraw_job(schedule.name)
        self._waiting.listing.note(schedule.name)
        due = schedule.next_after(begin)
        return self._waiting.periodic(schedule, due or begin)

    def _task(
        self,
        func: Function,
        *,
        queue_name: str | None = None,
        description: str | None = None,
        at_front: bool | None = None,
        job_id: str | None = None,
        **said: Any,  # noqa: ANN401 - each of its own type
    ) -> DefinedTask[..., Any]:
        for word, instead in _REFUSED.items():
            if said.pop(word, None):
                raise ConfigurationError(
                    f"Scheduler: {word} is not to be had: {instead}; {PAGE}"
                )
        options, notes = options_of(said)
        for note in notes:
            log.warning("Scheduler: %s", note)
        options["queue"] = queue_name or self.queue_name
        if description:
            options["description"] = description
        if at_front:
            options["at_front"] = True
        if job_id:
            options["job_id"] = job_id
        app = self.app
        task = app.resolve(func) if isinstance(func, str) else app.task_of(func)
        return task.using(**options)

    # Asking and changing

    def cancel(self, job: object) -> None:
        """Send a job, or the one of an id, no more; one that is not there is fine.

        Raises:
            ConfigurationError: the code declares a schedule of that name.
            StoreError: the store does not answer.
        """
        job_id = _id_of(job)
        if self._waiting.entry(job_id) is not None:
            with contextlib.suppress(ScheduleNotFoundError):  # canceled by another
                self.app.schedules.remove(job_id)
        self._withdraw_job(job_id)
        self._waiting.listing.forget([job_id])

    def _withdraw_job(self, job_id: str) -> None:
        """Have a job not be sent that waits under an id, ours or rq-scheduler's."""
        if self._waiting.delayed(job_id) is not None:
            self.app.job(job_id).cancel()
        self._waiting.listing.withdraw(job_id)

    def __contains__(self, item: object) -> bool:
        return self._waiting.find(_id_of(item)) is not None

    def change_execution_time(self, job: object, date_time: datetime) -> None:
        """Send a delayed job at another time, or what has an interval from then on.

        Raises:
            ValueError: it does not wait.
            ConfigurationError: it goes by a line of cron.
            CapabilityError: the engine cannot.
            StoreError: the store does not answer.
        """
        job_id, moment = _id_of(job), _aware(date_time)
        if (entry := self._waiting.entry(job_id)) is not None:
            self._move(entry, moment)
            return
        info = self._waiting.delayed(job_id)
        put_off = self._waiting.listing.put_off
        if info is None or not put_off(job_id, info.queue, moment):
            raise ValueError("Job not in scheduled jobs queue")

    def _move(self, entry: Entry, moment: datetime) -> None:
        schedule = self._waiting.schedule(entry)
        timing, end = schedule.timing, schedule.end
        if not isinstance(timing, Every):
            raise ConfigurationError(
                f"schedule {schedule.name!r} is due at {timing.in_words}: cron(...) it "
                f"again with another line, or app.schedules.run_now({schedule.name!r})"
            )
        due = schedule.next_after(entry.cursor)
        if due is None:
            raise ValueError("Job not in scheduled jobs queue")
        # As it is made: what is past is due now, and no tick is missed until then.
        moment = max(moment, self._now(schedule.message))
        if end is not None:
            end += moment - due
        moved = replace(schedule, timing=replace(timing, anchor=moment), end=end)
        self.app.schedules.replace(moved, since=moment - _MICROSECOND)

    def count(self, until: When | None = None) -> int:
        """Return how many there are that are due until then."""
        return len(list(self.get_jobs(until)))

    def get_jobs(
        self,
        until: When | None = None,
        with_times: bool = False,
        offset: int | None = None,
        length: int | None = None,
    ) -> Iterator[Any]:
        """Yield what was made by this API and is due until then, the first due first.

        With `with_times` each comes as a pair with a naive time, in UTC. A schedule
        that somebody has paused is not due.

        Raises:
            ValueError: `offset` without `length`, or the other way round.
            StoreError: the store does not answer.
        """
        if (offset is None) is not (length is None):
            raise ValueError("offset and length must both be specified")
        latest = self._latest(until)
        jobs = [job for job in self._waiting if latest is None or job.due <= latest]
        jobs.sort(key=lambda job: (job.due, job.id))
        if offset is not None and length is not None:
            jobs = jobs[offset : None if length < 0 else offset + length]
        for job in jobs:
            due = job.due.astimezone(UTC).replace(tzinfo=None)
            yield (job, due) if with_times else job

    def get_jobs_to_queue(
        self,
        with_times: bool = False,
    ) -> Iterator[Any]:
        """Yield what is due by now."""
        return self.get_jobs(self.app.clock.now(), with_times)

    def _latest(self, until: When | None) -> datetime | None:
        match until:
            case None:
                return None
            case datetime():
                return _aware(until)
            case timedelta():
                return self.app.clock.now() + until
            case _:
                return datetime.fromtimestamp(until, UTC)

    # Sending

    def run(self, burst: bool = False) -> None:
        """Send what is due until SIGTERM or SIGINT, as `headway scheduler` does.

        With `burst`, send all that is due by now.

        Raises:
            StoreError: in a burst, the store does not do as it is asked.
            EnqueueError: likewise, as the job of a tick was sent.
        """
        self.app.registry.import_all()
        sender = Sender(self.app, declared_schedules(self.app))
        if burst:
            sender.burst()
            return
        sender.run(stop_at(signal.SIGTERM, signal.SIGINT))

    # What there is of it

    def __getattr__(self, name: str) -> NoReturn:
        """Say what there is instead.

        Raises:
            AttributeError: always.
        """
        instead = f"use {_LACKING[name]}; {PAGE}" if name in _LACKING else PAGE
        raise AttributeError(
            f"headway.shims.rq_scheduler.Scheduler has no {name!r}: {instead}"
        )

    @cached_property
    def _waiting(self) -> Waiting:
        return Waiting(app=self.app, listing=listing_of(self.app), cancel=self.cancel)

    @cached_property
    def _zone(self) -> str:
        return self._said_zone or machine_zone()

    def _now(self, message: Message[Any]) -> datetime:
        return self.app.backend(self.app.engine_of(message)).timetable.now()


def _aware(moment: datetime) -> datetime:
    """Return a moment of rq-scheduler's, whose naive ones are UTC."""
    return moment if moment.utcoffset() is not None else moment.replace(tzinfo=UTC)


def _id_of(job: object) -> str:
    return str(getattr(job, "id", job))


def _new_id(task: DefinedTask[..., Any]) -> str:
    """Return an id that tells people what it is of."""
    return f"{task.name.rpartition('.')[2]}-{secrets.token_hex(4)}"


def _said_in(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Take the words of rq-scheduler's out of a task's arguments."""
    return {ours: kwargs.pop(theirs, None) for theirs, ours in _WORDS.items()}
