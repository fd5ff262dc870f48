"""What a button does, to one job, to the failed ones of a queue, or to a queue.

By `Job` handles: the application's own where it has them, else handles of RQ's jobs in
this Redis. None of them opens a payload: a stranger's pickle runs a stranger's code.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from headway.backends.rq_jobs import RQJobs
from headway.backends.rq_workflows import RQWorkflows
from headway.clock import SystemClock
from headway.dashboard.sweep import SECONDS, Swept, failed
from headway.errors import HeadwayError, JobNotFoundError, JobStateError
from headway.job import Job
from headway.message import Envelope
from headway.workflows import WorkflowStore

#: What the page of a job offers to cancel.
WAITING = frozenset({"queued", "scheduled", "deferred", "rate_limited"})


@dataclass(frozen=True, slots=True)
class Actions:
    """What a visitor may do to jobs and queues."""

    redis: Redis
    jobs: RQJobs
    handle: Callable[[str], Job[Any]]

    def requeue(self, job_id: str) -> None:
        """Run a failed, stopped or canceled job again.

        Raises:
            JobNotFoundError: it is gone; its entry is taken off the list.
            JobStateError: it has not failed, or somebody was faster.
        """
        with self._readable(job_id):
            self.handle(job_id).requeue()

    def cancel(self, job_id: str) -> None:
        """Keep a job from running.

        Raises:
            JobNotFoundError: it is gone; its entry is taken off the list.
            JobStateError: it has ended.
        """
        with self._readable(job_id):
            job = self.handle(job_id)
            if not job.cancel():
                raise JobStateError(f"job {job_id} is {job.status}: it has ended")

    def delete(self, job_id: str) -> None:
        """Forget a job and its result, even where its record cannot be read.

        Raises:
            JobNotFoundError: it is gone; its entry is taken off the list.
            JobStateError: it runs.
        """
        with self._readable(job_id):
            self.handle(job_id).delete()

    def requeue_failed(self, queue: str, limit: int | None = None) -> Swept:
        """Run the failed jobs of a queue again, no more of them than there are now.

        Those that somebody has stopped, alone or with their workflow, stay.
        """
        ids = failed(self.redis, queue)[:limit]
        clock = SystemClock()
        end = clock.monotonic() + SECONDS
        # Those that fail again meanwhile go to the end of the list, beyond these.
        for done, job_id in enumerate(ids):
            if clock.monotonic() >= end:
                return Swept(done, len(ids) - done)
            with suppress(JobNotFoundError, JobStateError):
                self.requeue(job_id)
        return Swept(len(ids), 0)

    def pause(self, queue: str) -> None:
        """Let no worker begin a job of the queue."""
        self.jobs.pause(queue)

    def resume(self, queue: str) -> None:
        """Let workers have the queue's jobs again."""
        self.jobs.resume(queue)

    @contextmanager
    def _readable(self, job_id: str) -> Generator[None]:
        try:
            yield
        except JobNotFoundError:
            # The list it was pressed on may name it still.
            with suppress(JobNotFoundError):
                self.jobs.delete(job_id)
            raise
        except (HeadwayError, RedisError):
            raise
        except Exception as error:
            # RQ's reader, which stops jobs, fails on nonsense in any way.
            raise JobStateError(
                f"the record of job {job_id!r} cannot be read ({error}): delete it"
            ) from error


def actions(redis: Redis, handle: Callable[[str], Job[Any]] | None) -> Actions:
    """Return what can be done, by the application's handles or by our own."""
    jobs = RQJobs(lambda: redis, SystemClock())

    def handle_of(job_id: str) -> Job[Any]:
        return Job(job_id, jobs, _as_stored)

    return Actions(redis, jobs, handle or handle_of)


def workflows(redis: Redis) -> WorkflowStore:
    """Return what is asked of workflows, whose nodes are RQ's jobs here."""
    clock = SystemClock()
    jobs = RQJobs(lambda: redis, clock)
    return RQWorkflows(lambda: redis, clock, noted=_as_is, cancel_job=jobs.cancel)


def _as_is(envelope: Envelope) -> Envelope:
    return envelope


def _as_stored(result: object) -> object:
    return result
