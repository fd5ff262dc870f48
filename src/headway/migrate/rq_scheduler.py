"""What rq-scheduler is to send, taken from it while it runs.

A job that is due at some second is rq-scheduler's until it is taken, and ours from then
on, with that very second as its next tick. That is one step in Redis, at a moment when
rq-scheduler is in the midst of nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from headway.app import App
from headway.backends.rq import RQBackend
from headway.errors import ConfigurationError
from headway.message import Envelope, Message
from headway.migrate.found import Found
from headway.migrate.keep import refuse_others
from headway.migrate.rq_scheduler_job import Carried, carried
from headway.schedule import Schedule, version_of
from headway.timetable import Entry
from headway.wire import job_hash
from headway.wire.rq_scheduler import RQSchedulerData, Waiting

#: A job is read again where it has changed meanwhile, so often.
TRIES = 20


class RQSchedulerJobs:
    """The jobs of rq-scheduler in an application's Redis."""

    def __init__(self, app: App, zone: str) -> None:
        """Read lines of cron in a zone: that of the machine that runs `rqscheduler`.

        Raises:
            ConfigurationError: the application's jobs are not in Redis.
        """
        backend = app.backend()
        if not isinstance(backend, RQBackend):
            raise ConfigurationError(
                f"rq-scheduler's jobs are in Redis; the engine is {backend.engine!r}"
            )
        self._app, self._zone = app, zone
        self._timetable = backend.timetable
        self._data = RQSchedulerData(backend.client, app.clock)

    def read(self) -> list[Found]:
        """Return what there is, and change nothing.

        Raises:
            StoreError: Redis does not answer.
        """
        return [_made(self._seen(job)) for job in self._data.waiting()]

    def take(self) -> list[Found]:
        """Take what can be carried over; the rest stays where it is.

        Raises:
            StoreError: Redis does not answer, or rq-scheduler does not stand aside.
        """
        with self._data.held():
            return [_made(self._taken(job)) for job in self._data.waiting()]

    def _seen(self, job: Waiting) -> Found:
        read = self._carried(job)
        try:
            match read.found.carried:
                case Schedule() as schedule:
                    refuse_others(schedule, self._timetable.entry(schedule.name))
                case Message() as message:
                    self._sealed(read, message)
                case None:
                    pass
        except ConfigurationError as error:
            return _lost(read, str(error))
        return read.found

    def _carried(self, job: Waiting) -> Carried:
        return carried(self._app, job, self._zone, self._timetable.now())

    def _taken(self, job: Waiting) -> Found:
        read = self._carried(job)
        for _ in range(TRIES):
            if read.is_over:
                self._data.forget(job)
            try:
                made = read.found.carried
                if made is None or self._take(read, made):
                    return read.found
            except ConfigurationError as error:
                return _lost(read, str(error))
            there = [each for each in self._data.waiting() if each.id == job.id]
            if not there:
                return _lost(read, "it was canceled meanwhile")
            read = self._carried(there[0])
        return _lost(read, "it changes so fast that it cannot be taken")

    def _take(self, read: Carried, made: Schedule | Message[Any]) -> bool:
        if isinstance(made, Schedule):
            return self._take_schedule(read, made)
        return self._data.take_job(read.job, self._sealed(read, made))

    def _take_schedule(self, read: Carried, schedule: Schedule) -> bool:
        was = self._timetable.entry(schedule.name)
        refuse_others(schedule, was)
        # A program that still calls rq-scheduler may have put it there once more.
        since = max(read.since, was.cursor) if was else read.since
        wire = schedule.to_wire()
        entry = Entry(
            name=schedule.name,
            wire=wire,
            version=version_of(wire),
            declared="",
            paused=False,
            cursor=since,
        )
        due = schedule.next_after(since)
        return self._data.take_schedule(read.job, entry, due, was)

    def _sealed(self, read: Carried, message: Message[Any]) -> Envelope:
        envelope = self._app.seal(message)
        terms = replace(envelope.terms, due=read.job.due)  # one that is past as well
        if (signer := self._app.signer) is not None:
            written = job_hash.call(terms.task, envelope.arguments)
            terms = replace(terms, signature=signer.sign(envelope.id, written))
        return envelope._replace(terms=terms)


def _made(found: Found) -> Found:
    return found if found.carried is None else replace(found, done="made")


def _lost(read: Carried, why: str) -> Found:
    return replace(read.found, carried=None, notes=(why,))
