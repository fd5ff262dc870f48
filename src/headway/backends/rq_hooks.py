"""What others hang on RQ's way to enqueue, called on ours.

Sentry and OpenTelemetry replace methods of `rq.Queue`, to note a span and to put the
trace's headers into the job's meta. Where they have, each job goes through these
methods; what RQ would write at their end, the caller writes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from rq import Queue
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from headway.message import Envelope
from headway.wire.job_hash import whole_seconds

if TYPE_CHECKING:
    from redis import Redis
    from redis.client import Pipeline

#: What Sentry and OpenTelemetry replace.
_HOOKS = ("enqueue_job", "_enqueue_job", "schedule_job")


def are_there() -> bool:
    """Tell whether somebody has replaced what RQ enqueues with."""
    return any(hasattr(getattr(Queue, hook), "__wrapped__") for hook in _HOOKS)


def send_through(
    client: Redis, envelope: Envelope, send: Callable[[Envelope], dict[int, str]]
) -> dict[int, str]:
    """Send a job inside of the hooks; return what `send` does."""
    terms = envelope.terms
    job = Job.create(
        terms.task,
        args=envelope.arguments.args,
        kwargs=dict(envelope.arguments.kwargs),
        connection=client,
        id=envelope.id,
        origin=terms.queue,
        timeout=whole_seconds(terms.timeout),
        description=envelope.description,
        serializer=JSONSerializer,
    )
    refused: dict[int, str] = {}

    def write() -> None:
        noted = replace(terms, meta=job.meta) if job.meta else terms
        refused.update(send(envelope._replace(terms=noted)))

    queue = _HookedQueue(terms.queue, connection=client, serializer=JSONSerializer)
    queue.write = write
    nothing = cast("Pipeline", _Nothing())
    if terms.due is None:
        queue.enqueue_job(job, pipeline=nothing, at_front=terms.at_front)
    else:
        due = datetime.fromtimestamp(terms.due.timestamp(), UTC)
        queue.schedule_job(job, due, pipeline=nothing)
    return refused


class _HookedQueue(Queue):
    """RQ's queue as its hooks see it."""

    write: Callable[[], None]

    def _enqueue_async_job(
        self,
        job: Job,
        pipeline: Pipeline | None = None,  # noqa: ARG002 - RQ's own signature
        at_front: bool = False,  # noqa: ARG002, FBT002 - likewise
        unique: bool = False,  # noqa: ARG002, FBT002 - likewise
    ) -> Job:
        self.write()
        return job

    def _persist_job(
        self,
        job: Job,  # noqa: ARG002 - RQ's own signature
        pipeline: Pipeline,  # noqa: ARG002 - likewise
        status: JobStatus = JobStatus.QUEUED,  # noqa: ARG002 - likewise
    ) -> None:
        self.write()


class _Nothing:
    """A pipeline for what RQ writes beside the job, and our script writes with it."""

    explicit_transaction = True

    def sadd(self, *_words: Any) -> None:  # noqa: ANN401 - as redis-py has it
        """Write nothing."""

    zadd = sadd
