"""What rq-scheduler keeps in Redis, and how it is taken from it while it runs.

It is one sorted set: who is due when. Its process sends a job and then moves it on, in
two steps, but only while it holds a lock. So whoever holds that lock knows that each
job is either sent and moved on, or not sent at all: from the moment that the set names,
the job is ours, and until then it was theirs.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

from headway.clock import Clock
from headway.errors import StoreError
from headway.message import Envelope
from headway.timetable import Entry
from headway.wire import job_hash, keys
from headway.wire.outage import Asker, explained
from headway.wire.reading import Fields, text
from headway.wire.scripts import Scripts
from headway.wire.timetable import micros

if TYPE_CHECKING:
    from redis import Redis

#: For how long the lock is ours without being used, in milliseconds.
LEASE = 30_000
#: How often a lock is asked for that another has; and for how long, after the end that
#: Redis knows of, since its holder may begin again.
ASKS, PATIENCE = timedelta(seconds=0.05), timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A job that rq-scheduler is to send."""

    id: str
    #: The second at which it is due, as it is written.
    score: float
    fields: Fields

    @property
    def due(self) -> datetime:
        """Return when it is due."""
        return datetime.fromtimestamp(self.score, UTC)

    @property
    def was_sent(self) -> bool:
        """Tell whether it was sent, and its scheduler died before it moved it on."""
        sent = self.fields.moment("enqueued_at")
        return sent is not None and sent >= self.due


class RQSchedulerData(Asker):
    """rq-scheduler's part of one Redis."""

    def __init__(self, client: Redis, clock: Clock) -> None:
        super().__init__(lambda: client)
        self._clock = clock
        self._scripts = Scripts()
        self._who = f"headway:{secrets.token_hex(8)}"

    @explained
    def waiting(self) -> list[Waiting]:
        """Return what rq-scheduler is to send, the first due first.

        Raises:
            StoreError: Redis does not answer.
        """
        found = self.client.zrange(keys.RQ_SCHEDULER_JOBS, 0, -1, withscores=True)
        scores = cast("list[tuple[bytes, float]]", found)
        pipeline = self.client.pipeline(transaction=False)
        for job_id, _score in scores:
            pipeline.hgetall(keys.job(text(job_id)))
        answers = pipeline.execute(raise_on_error=False)
        return [
            Waiting(id=text(job_id), score=score, fields=Fields.of(fields))
            for (job_id, score), fields in zip(scores, answers, strict=True)
        ]

    @contextlib.contextmanager
    def held(self) -> Generator[None]:
        """Keep rq-scheduler from sending; wait until it has done what it has begun.

        Raises:
            StoreError: Redis does not answer, or the lock does not become free.
        """
        self._hold()
        try:
            yield
        finally:
            self._let_go()

    @explained
    def _hold(self) -> None:
        key = keys.RQ_SCHEDULER_LOCK
        rest = timedelta(milliseconds=max(0, int(self.client.pttl(key))))
        until = self._clock.monotonic() + (rest + PATIENCE).total_seconds()
        while not self.client.set(key, self._who, nx=True, px=LEASE):
            if self._clock.monotonic() > until:
                raise StoreError(
                    f"rq-scheduler's lock {key} does not become free: nothing was "
                    "changed. If no `rqscheduler` runs, delete that key"
                )
            self._clock.sleep(ASKS.total_seconds())

    @explained
    def _let_go(self) -> None:
        self._scripts.unlock(self.client, [keys.RQ_SCHEDULER_LOCK], [self._who])

    # Each in one step with what takes its place

    @explained
    def take_schedule(
        self, job: Waiting, entry: Entry, next_due: datetime | None, was: Entry | None
    ) -> bool:
        """Keep a schedule in place of a job; False where either has changed.

        Raises:
            StoreError: Redis does not answer, or the lock was lost.
        """
        all_keys = [
            keys.RQ_SCHEDULER_JOBS,
            keys.RQ_SCHEDULER_LOCK,
            keys.job(job.id),
            keys.SCHEDULES,
            keys.schedule(entry.name),
            keys.SCHEDULES_DUE,
            keys.MADE_AS_RQ_SCHEDULER,
        ]
        arguments: list[str | int] = [
            self._who,
            LEASE,
            job.id,
            repr(job.score),
            json.dumps(entry.wire, sort_keys=True),
            entry.version,
            micros(was.cursor) if was else "",
            micros(entry.cursor),
            micros(next_due),
            was.version if was else "",
        ]
        answer = self._scripts.take_schedule(self.client, all_keys, arguments)
        return _is_taken(text(answer))

    @explained
    def take_job(self, job: Waiting, envelope: Envelope) -> bool:
        """Keep a delayed job of ours in place of one; False where it has changed.

        Raises:
            StoreError: Redis does not answer, or the lock was lost.
        """
        terms, now = envelope.terms, job_hash.time_text(self._clock.now())
        all_keys = [
            keys.RQ_SCHEDULER_JOBS,
            keys.RQ_SCHEDULER_LOCK,
            keys.job(job.id),
            keys.scheduled(terms.queue),
            keys.QUEUES,
            keys.MADE_AS_RQ_SCHEDULER,
        ]
        fields: dict[str, str | int | bytes] = {
            "created_at": now,
            "data": job_hash.payload(terms.task, envelope.arguments),
            "description": envelope.description,
            **job_hash.standing(terms),
            # One that is overdue is moved into its queue at once, as any other.
            "status": "scheduled",
        }
        if meta := job_hash.meta(terms, None):
            fields["meta"] = meta
        arguments: list[str | int | bytes] = [
            self._who,
            LEASE,
            job.id,
            repr(job.score),
            keys.queue(terms.queue),
            *(word for pair in fields.items() for word in pair),
        ]
        answer = self._scripts.take_job(self.client, all_keys, arguments)
        return _is_taken(text(answer))

    @explained
    def forget(self, job: Waiting) -> None:
        """Take a job away that was sent and not moved on, so that it is sent once.

        Raises:
            StoreError: Redis does not answer.
        """
        self.client.zrem(keys.RQ_SCHEDULER_JOBS, job.id)


def _is_taken(answer: str) -> bool:
    if answer == "lost":
        raise StoreError(
            f"rq-scheduler's lock {keys.RQ_SCHEDULER_LOCK} was lost: what was taken "
            "until then is ours, the rest is as it was. Ask again"
        )
    return answer == "taken"
