"""What is asked of RQ's jobs, and done to them, by their id."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from rq.command import send_stop_job_command
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.serializers import JSONSerializer

from headway.backends import rq_limits
from headway.clock import Clock
from headway.errors import JobNotFoundError, JobStateError
from headway.job import JobInfo
from headway.wire import job_hash, keys
from headway.wire.expiry import nodes_without_expiry, without_expiry
from headway.wire.outage import Asker, explained
from headway.wire.promotion import BATCH, Promotion
from headway.wire.reading import Fields, text
from headway.wire.scripts import Scripts
from headway.wire.stored_job import StoredJob, newest
from headway.wire.unique import give_back
from headway.workflows import not_to_be_retried

if TYPE_CHECKING:
    from redis import Redis

#: How long one blocking wait for a result lasts before the status is asked again.
LONGEST_WAIT = 1.0
#: RQ takes a job out of its queue first and says `started` when its process is up. A
#: cancel that comes in between looks again that often, in seconds, and for so long.
BETWEEN_LOOKS, LONGEST_TAKING = 0.05, 3.0
WAITING = ("queued", "scheduled", "deferred")
#: What a requeued job does not remember of its attempts.
FORGOTTEN = (
    "number_of_retries",
    "headway_crashes",
    "headway_story",
    "headway_superseded",
    "headway_delivery",
    "headway_broken_off",
)


class RQJobs(Asker):
    """Jobs in one Redis: a `JobStore` for handles, and what concerns whole queues."""

    def __init__(self, connect: Callable[[], Redis], clock: Clock) -> None:
        super().__init__(connect)
        self._clock = clock
        self._scripts = Scripts()

    # Asking

    @explained
    def info(self, job_id: str) -> JobInfo:
        """Return a snapshot.

        Raises:
            JobNotFoundError: there is no such job.
            StoreError: Redis does not answer.
        """
        pipeline = self.client.pipeline(transaction=False)
        pipeline.hgetall(keys.job(job_id))
        pipeline.xrevrange(keys.results(job_id), count=1)
        found, latest = pipeline.execute()
        if not found:
            raise _no_job(job_id)
        fields, due = Fields.of(found), None
        if fields.text("status") == "scheduled":
            due = self.client.zscore(keys.scheduled(fields.text("origin")), job_id)
        return StoredJob(id=job_id, fields=fields, outcome=newest(latest)).info(due)

    @explained
    def wait(self, job_id: str, timeout: float | None) -> JobInfo:
        """Return a snapshot once the job ended, or when the seconds are over.

        Raises:
            JobNotFoundError: there is no such job.
            StoreError: Redis does not answer.
        """
        until = None if timeout is None else self._clock.monotonic() + timeout
        while True:
            # First where the stream ends, then the status: no end is missed.
            seen = self._last_result(job_id)
            info = self.info(job_id)
            left = LONGEST_WAIT if until is None else until - self._clock.monotonic()
            if info.status.is_final or left <= 0:
                return info
            milliseconds = max(1, int(min(left, LONGEST_WAIT) * 1000))
            self.client.xread({keys.results(job_id): seen}, block=milliseconds)

    def _last_result(self, job_id: str) -> str:
        latest = self.client.xrevrange(keys.results(job_id), count=1)
        return text(latest[0][0]) if latest else "0-0"

    @explained
    def failed(self, queue: str, limit: int) -> list[JobInfo]:
        """Return the failed jobs of a queue, latest first.

        Raises:
            StoreError: Redis does not answer.
        """
        ids = self.client.zrevrange(keys.failed(queue), 0, limit - 1)
        found: list[JobInfo] = []
        for job_id in ids:
            # A job may be deleted while the list is read.
            with contextlib.suppress(JobNotFoundError):
                found.append(self.info(text(job_id)))
        return found

    # Acting on one job

    @explained
    def cancel(self, job_id: str) -> bool:
        """Keep a job from running, or stop it; tell whether there was a need.

        Raises:
            JobNotFoundError: there is no such job.
            JobStateError: a worker took it, and does not say that it runs.
            StoreError: Redis does not answer.
        """
        answer = self._canceled(job_id)
        if answer == "done":
            self._let_go(job_id)
            return True
        if answer == "started" and self._stopped(job_id):
            return True
        if answer in rq_limits.KEPT_BY_RQ:
            return rq_limits.cancel(self.client, job_id)
        if answer in WAITING:
            raise JobStateError(
                f"job {job_id} is {answer}, yet in no line: a worker has just taken "
                "it, or died as it did; cancel it again, or delete it"
            )
        return False

    def _stopped(self, job_id: str) -> bool:
        """Have its worker stop a job; tell whether it ran, or would have gone on."""
        asked = self._asked_to_stop(job_id)
        return self._goes_on_no_more(job_id) or asked

    def _asked_to_stop(self, job_id: str) -> bool:
        # It may end in the same moment, which RQ reports as an invalid request.
        with contextlib.suppress(InvalidJobOperation, NoSuchJobError):
            send_stop_job_command(self.client, job_id, JSONSerializer)
            return True
        return False

    def _goes_on_no_more(self, job_id: str) -> bool:
        """Cancel the next run of a job that has ended before it could be stopped."""
        left = self._repeats_left(job_id)
        until = self._clock.monotonic() + LONGEST_TAKING
        while left and self._clock.monotonic() < until:
            answer = self._canceled(job_id)
            if answer == "done":
                self._let_go(job_id)
            if answer != "started":
                return answer == "done"
            if (now_left := self._repeats_left(job_id)) != left:  # it is the next run
                left = now_left
                self._asked_to_stop(job_id)
            self._clock.sleep(BETWEEN_LOOKS)
        return False

    def _repeats_left(self, job_id: str) -> str:
        return text(self.client.hget(keys.job(job_id), "repeats_left"))

    def _canceled(self, job_id: str) -> str:
        """Run the verb; where a worker is about to begin the job, wait until it has."""
        queue = self._queue_of(job_id)
        names = (keys.queue, keys.scheduled, keys.deferred, keys.canceled, keys.sent)
        all_keys = [keys.job(job_id), *(name(queue) for name in names)]
        until = self._clock.monotonic() + LONGEST_TAKING
        while True:
            answer = text(self._scripts.cancel(self.client, all_keys, [job_id]))
            if answer not in WAITING or self._clock.monotonic() >= until:
                return answer
            self._clock.sleep(BETWEEN_LOOKS)

    @explained
    def requeue(self, job_id: str) -> None:
        """Run a failed, stopped or canceled job again, with all its attempts.

        Raises:
            JobNotFoundError: there is no such job.
            JobStateError: it has not ended, or it finished.
            StoreError: Redis does not answer.
        """
        queue = self._queue_of(job_id)
        now = job_hash.time_text(self._clock.now())
        names = (keys.queue, keys.failed, keys.canceled)
        places = [name(queue) for name in names]
        names_of_it = ("meta", "headway_workflow")
        meta, flow = self.client.hmget(keys.job(job_id), names_of_it)
        metas = nodes_without_expiry(self.client, text(flow)) if flow else []
        answer = self._scripts.requeue(
            self.client,
            [keys.job(job_id), *places, keys.QUEUES, keys.wake(queue)],
            [job_id, now, without_expiry(meta), *metas],
        )
        if isinstance(answer, list):
            raise not_to_be_retried(*map(text, answer))
        if (status := text(answer)) == "limited":
            status = rq_limits.requeue(self.client, job_id)
            if status == "done":
                self.client.hdel(keys.job(job_id), *FORGOTTEN)
        if status != "done":
            raise JobStateError(
                f"job {job_id} is {status or 'gone'}: only a failed, stopped or "
                "canceled job can be requeued"
            )

    @explained
    def delete(self, job_id: str) -> None:
        """Forget a job and its result, even where what is stored cannot be read.

        Raises:
            JobNotFoundError: there is no such job; the lists do not name it any more.
            JobStateError: it is running.
            StoreError: Redis does not answer.
        """
        names = ("origin", "group_id", "meta", "rate_limit_key")
        pipeline = self.client.pipeline(transaction=False)
        pipeline.hmget(keys.job(job_id), names)
        [values] = pipeline.execute(raise_on_error=False)
        known = values if isinstance(values, list) else [None] * len(names)
        fields = Fields(dict(zip(names, known, strict=True)))
        answer = text(self._deleted(job_id, fields))
        if answer == "started":
            raise JobStateError(f"job {job_id} is running: cancel it first")
        if limit := fields.text("rate_limit_key"):
            rq_limits.free_slot(self.client, limit, job_id)
        if not answer:
            raise _no_job(job_id)

    def _deleted(self, job_id: str, fields: Fields) -> object:
        origin, group = fields.text("origin"), fields.text("group_id")
        queues = [origin] if origin else self._queues()
        extras = job_hash.extras_of(job_hash.json_object(fields.raw("meta")))
        places = [name(queue) for queue in queues for name in keys.REGISTRIES.values()]
        all_keys = [
            keys.job(job_id),
            keys.executions(job_id),
            keys.LEASES,
            keys.results(job_id),
            keys.dependents(job_id),
            keys.dependencies(job_id),
            keys.group(group) if group else "",
            text(extras.get("unique")),
            *places,
        ]
        arguments = [job_id, keys.LEASE_PREFIX, keys.EXECUTION_PREFIX]
        found: object = self._scripts.delete(
            self.client, all_keys, [*arguments, len(keys.REGISTRIES)]
        )
        return found

    def _queues(self) -> list[str]:
        names = self.client.smembers(keys.QUEUES)
        return [text(name).removeprefix(keys.QUEUE_PREFIX) for name in names]

    def _queue_of(self, job_id: str) -> str:
        key = keys.job(job_id)
        origin = self.client.hget(key, "origin")
        if origin is None and not self.client.exists(key):
            raise _no_job(job_id)
        return text(origin)

    def _let_go(self, job_id: str) -> None:
        """Give back what a job held while it waited."""
        names = ("meta", "rate_limit_key")
        meta, limit = self.client.hmget(keys.job(job_id), names)
        give_back(self.client, job_id, job_hash.json_object(meta))
        if limit:
            rq_limits.free_slot(self.client, text(limit), job_id)

    # Acting on a queue

    @explained
    def promote(self, queue: str, limit: int = BATCH) -> int:
        """Move due jobs into their queue, in order of due time; return how many.

        Raises:
            StoreError: Redis does not answer.
        """
        return Promotion(self.client, [queue], batch=limit).round().moved

    @explained
    def pause(self, queue: str) -> None:
        """Let no worker of ours begin a job of the queue; what runs goes on.

        Raises:
            StoreError: Redis does not answer.
        """
        self.client.sadd(keys.PAUSED, queue)

    @explained
    def resume(self, queue: str) -> None:
        """Let workers have the queue's jobs again.

        Raises:
            StoreError: Redis does not answer.
        """
        self.client.srem(keys.PAUSED, queue)
        # Those that asked while it was paused sleep until they are told.
        places = [keys.PAUSED, keys.queue(queue), keys.wake(queue)]
        self._scripts.nudge(self.client, places, [queue])

    @explained
    def is_paused(self, queue: str) -> bool:
        """Tell whether the queue is paused.

        Raises:
            StoreError: Redis does not answer.
        """
        return bool(self.client.sismember(keys.PAUSED, queue))


def _no_job(job_id: str) -> JobNotFoundError:
    return JobNotFoundError(
        f"no job {job_id}: it never was, it was deleted, or its time to live "
        "is over (`result_ttl`, 500 s unless said otherwise)"
    )
