"""What a button does to one job.

By the application's own `Job` handle where it has one. Otherwise by RQ's functions,
always with RQ's JSON serializer: its default is pickle, and a dashboard that opens
a stranger's pickle runs a stranger's code.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job as StoredJob
from rq.registry import BaseRegistry, CanceledJobRegistry, FailedJobRegistry
from rq.serializers import JSONSerializer

from headway.clock import SystemClock
from headway.dashboard.sweep import SECONDS, Swept, forget, total_of
from headway.errors import HeadwayError, JobNotFoundError, JobStateError
from headway.job import Job
from headway.observe import REGISTRIES, job_ids, queue_names
from headway.observe.reading import text
from headway.observe.registries import key
from headway.wire import keys

#: Where RQ keeps the jobs that may run again.
ENDED: dict[str, type[BaseRegistry]] = {
    "failed": FailedJobRegistry,
    "stopped": FailedJobRegistry,
    "canceled": CanceledJobRegistry,
}
WAITING = frozenset({"queued", "scheduled", "deferred"})


@dataclass(frozen=True, slots=True)
class Actions:
    """What a visitor may do to jobs."""

    redis: Redis
    handle: Callable[[str], Job[Any]] | None = None

    def requeue(self, job_id: str) -> None:
        """Run a failed, stopped or canceled job again.

        Raises:
            JobNotFoundError: it is gone; its entry is taken off the list.
            JobStateError: it has not failed, or somebody was faster.
        """
        with self._readable(job_id):
            if self.handle is not None:
                self.handle(job_id).requeue()
            else:
                requeue(self.redis, job_id)

    def cancel(self, job_id: str) -> None:
        """Keep a job from running.

        Raises:
            JobNotFoundError: it is gone; its entry is taken off the list.
            JobStateError: it has ended, or it runs and cannot be stopped.
        """
        with self._readable(job_id):
            if self.handle is not None:
                job = self.handle(job_id)
                if not job.cancel():
                    raise JobStateError(f"job {job_id} is {job.status}: it has ended")
            else:
                cancel(self.redis, job_id)

    def delete(self, job_id: str) -> None:
        """Forget a job and its result, even where its record cannot be read.

        Raises:
            JobNotFoundError: it is gone; its entry is taken off the list.
            JobStateError: it runs.
        """
        try:
            with self._readable(job_id):
                if self.handle is not None:
                    self.handle(job_id).delete()
                else:
                    delete(self.redis, job_id)
        except UnreadableJobError:
            _forget_everywhere(self.redis, job_id)

    def requeue_failed(self, queue: str, limit: int | None = None) -> Swept:
        """Run the failed jobs of a queue again, no more of them than there are now."""
        total = total_of(self.redis, queue, "failed", limit)
        clock = SystemClock()
        end = clock.monotonic() + SECONDS
        # Those that fail again meanwhile go to the end of the list, beyond these.
        for done, job_id in enumerate(
            job_ids(self.redis, queue, "failed", length=total)
        ):
            if clock.monotonic() >= end:
                return Swept(done, total - done)
            with suppress(JobNotFoundError, JobStateError):
                self.requeue(job_id)
        return Swept(total, 0)

    @contextmanager
    def _readable(self, job_id: str) -> Generator[None]:
        try:
            yield
        except (JobNotFoundError, NoSuchJobError) as error:
            _forget_everywhere(self.redis, job_id)
            raise JobNotFoundError(
                f"no job {job_id!r}: it was deleted, or its time to live is over"
            ) from error
        except (HeadwayError, RedisError):
            raise
        except Exception as error:
            # RQ's reader does not expect nonsense, and fails in any way.
            raise UnreadableJobError(
                f"the record of job {job_id!r} cannot be read ({error}): delete it"
            ) from error


class UnreadableJobError(JobStateError):
    """Raised when a job's record in Redis is nonsense."""


def requeue(redis: Redis, job_id: str) -> None:
    """Run a failed, stopped or canceled job again, by RQ's own function.

    Raises:
        JobStateError: it has not failed, or somebody was faster.
    """
    job, status = _fetch(redis, job_id)
    kind = ENDED.get(status)
    if kind is None:
        raise JobStateError(f"job {job_id} is {status}: only failed jobs are requeued")
    try:
        kind(job.origin, connection=redis, serializer=JSONSerializer()).requeue(job)
    except InvalidJobOperation as error:
        raise JobStateError(
            f"job {job_id} was requeued or deleted meanwhile"
        ) from error


def cancel(redis: Redis, job_id: str) -> None:
    """Keep a job from running, by RQ's own function.

    Raises:
        JobStateError: it has ended, or it runs.
    """
    job, status = _fetch(redis, job_id)
    if status not in WAITING:
        raise JobStateError(f"job {job_id} is {status}: only waiting jobs are canceled")
    job.cancel()


def delete(redis: Redis, job_id: str) -> None:
    """Forget a job and its result, by RQ's own function.

    Raises:
        JobStateError: it runs.
    """
    job, status = _fetch(redis, job_id)
    if status == "started":
        raise JobStateError(f"job {job_id} is running: wait, or stop its worker first")
    job.delete()


def _fetch(redis: Redis, job_id: str) -> tuple[StoredJob, str]:
    job = StoredJob.fetch(job_id, connection=redis, serializer=JSONSerializer())
    return job, job.get_status(refresh=False).value


def _forget_everywhere(redis: Redis, job_id: str) -> None:
    """Remove a job that RQ cannot read from wherever it may be listed."""
    origin = text(redis.hget(keys.job(job_id), "origin"))
    queues = [origin] if origin else queue_names(redis)
    pipeline = redis.pipeline()
    for queue in queues:
        for registry in REGISTRIES:
            if registry == "queued":
                pipeline.lrem(key(queue, registry), 0, job_id)
            elif registry != "started":
                pipeline.zrem(key(queue, registry), job_id)
    forget(pipeline, [job_id])
    pipeline.execute(raise_on_error=False)
