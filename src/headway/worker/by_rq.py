"""What only RQ's own code knows how to do, done by it, under our lease.

Callbacks, dependents, repeats, RQ's retries, rate limits, webhooks and failures take
some twenty round trips in RQ. They are rare, and each is right there; so a job that has
any of them goes this way, and so does every job where Sentry or OpenTelemetry have
replaced RQ's methods by their own.
"""

from __future__ import annotations

import base64
import logging
import zlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any

import rq
from rq.executions import Execution
from rq.job import Job as RQJob
from rq.job import JobStatus
from rq.serializers import JSONSerializer
from rq.timeouts import TimerDeathPenalty
from rq.utils import now
from rq.worker import BaseWorker

from headway.attempt import error_line
from headway.backends.rq_delivery import ERRORS_KEPT, rq_retry
from headway.clock import Clock
from headway.errors import LeaseLostError, UnreadableJobError
from headway.lease import Holder, Lease
from headway.wire import job_hash, keys
from headway.wire.fence import FencedPipeline, FencedRedis
from headway.wire.moment import moment
from headway.wire.scripts import Script
from headway.worker.dependents import PatientQueue
from headway.worker.trusted_job import TrustedJob

if TYPE_CHECKING:
    from redis import Redis
    from redis.client import Pipeline
    from rq.queue import Queue

log = logging.getLogger("headway.worker")

#: What Sentry and OpenTelemetry replace; RQ itself defines these in BaseWorker.
_HOOKS = ("perform_job", "handle_exception")


def is_patched() -> bool:
    """Tell whether somebody has replaced what RQ runs a job with."""
    replaced = any(hook in vars(rq.Worker) for hook in _HOOKS)
    hooks = (BaseWorker.perform_job, BaseWorker.handle_exception, RQJob.perform)
    return replaced or any(hasattr(hook, "__wrapped__") for hook in hooks)


class RQCode:
    """RQ's worker, for one job at a time."""

    def __init__(
        self,
        job_class: type[TrustedJob],
        client: Redis,
        holder: Holder,
        clock: Clock,
        *,
        queues: Sequence[str],
        options: dict[str, Any],
        in_thread: bool = False,
    ) -> None:
        self._job_class = job_class
        self._client = client
        self._holder = holder
        self._clock = clock
        self._queues = queues
        self._options = options
        self._in_thread = in_thread

    def perform(self, lease: Lease) -> bool:
        """Run a job and write its outcome as RQ does; tell whether it succeeded."""
        return self._settled(lease, _End.perform)

    def fail(self, lease: Lease, error: BaseException, began: float) -> None:
        """Write that a job raised."""
        if isinstance(error, UnreadableJobError):
            self.bury(lease, error)
            return

        def settle(end: _End) -> None:
            end.remember(error)
            end.fail(error)

        self._settled(lease, settle, began)

    def retry(
        self, lease: Lease, error: BaseException, delay: timedelta, began: float
    ) -> None:
        """Write that a job raised, and is to run again."""

        def settle(end: _End) -> None:
            end.remember(error)
            end.retry(delay)

        self._settled(lease, settle, began)

    def succeed(self, lease: Lease, result: object, began: float) -> None:
        """Write that a job returned, where others wait for it."""

        def settle(end: _End) -> None:
            end.succeed(result)

        self._settled(lease, settle, began)

    def stop(self, lease: Lease, began: float) -> None:
        """Write that a job was stopped by a person."""
        self._settled(lease, _End.stop, began)

    def enqueue_ready(self) -> None:
        """Enqueue the dependents that a worker had let go when it died."""
        worker: Any = self._horse(self._client)  # rq is typed in part
        for queue in worker.queues:
            queue.ready_job_registry.cleanup()

    def maintain(self) -> None:
        """Tend RQ's registries, as each of its workers does now and then."""
        worker: Any = self._horse(self._client)  # rq is typed in part
        worker.clean_registries()
        worker.clean_group_registries()

    def _settled(
        self,
        lease: Lease,
        settle: Callable[[_End], object],
        began: float | None = None,
    ) -> bool:
        client = FencedRedis(self._client.connection_pool, self._holder, lease)
        try:
            job = self._job(lease, client)
        except UnreadableJobError as error:
            self.bury(lease, error)
            return False
        if job is None:
            return False
        try:
            return bool(settle(self._end(job, lease, client, began)))
        except LeaseLostError as error:
            log.warning("%s", error)
        except UnreadableJobError as error:
            self.bury(lease, error)
        return False

    def _end(
        self, job: TrustedJob, lease: Lease, client: FencedRedis, began: float | None
    ) -> _End:
        return _End(
            worker=self._horse(client),
            job=job,
            lease=lease,
            holder=self._holder,
            client=client,
            began=began,
        )

    def _horse(self, client: Redis) -> _Horse:
        worker = _Horse(
            list(self._queues),
            name=self._holder.worker,
            connection=client,
            prepare_for_work=False,
            serializer=JSONSerializer,
            job_class=self._job_class,
            **self._options,
        )
        if self._in_thread:
            worker.death_penalty_class = TimerDeathPenalty
        return worker

    def _job(self, lease: Lease, client: FencedRedis) -> TrustedJob | None:
        found: Any = lease.fields or client.hgetall(keys.job(lease.job_id))
        fields: dict[bytes, bytes] = found  # nothing is decoded on these connections
        if not fields:
            client.hdel(client.lease_key, lease.job_id)
            return None  # deleted while it ran: there is nobody to tell
        return self._job_class.of(lease.job_id, client, fields)

    def bury(self, lease: Lease, error: Exception) -> None:
        """Put a job that cannot be read among the failed ones, with the reason."""
        seconds = self._clock.now().timestamp()
        log.error("%s", error)
        Script("bury")(
            self._client,
            [
                keys.lease(self._holder.child),
                keys.job(lease.job_id),
                keys.failed(lease.queue),
                keys.results(lease.job_id),
            ],
            [
                lease.job_id,
                f"{lease.ordinal}:{lease.queue}",
                moment(seconds),
                int(seconds),
                self._holder.worker,
                _packed(f"{type(error).__name__}: {error}"),
            ],
        )


class _End:
    """The end of one job, by RQ's own methods."""

    def __init__(
        self,
        *,
        worker: _Horse,
        job: TrustedJob,
        lease: Lease,
        holder: Holder,
        client: FencedRedis,
        began: float | None,
    ) -> None:
        self._worker = worker
        self._job = job
        self._queue: Queue = worker.queue_class(
            lease.queue, connection=client, serializer=job.serializer
        )
        self._execution = Execution(
            holder.execution_id(lease.ordinal), job.id, client, holder.worker
        )
        self._execution._job = job  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - as rq itself makes one
        begin = now() if began is None else datetime.fromtimestamp(began, UTC)
        self._execution.created_at = begin
        job.worker_name, job.started_at = holder.worker, begin
        job._status = JobStatus.STARTED  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - as prepare_for_execution

    def remember(self, error: BaseException) -> None:
        """Keep the reason of this attempt with the job; the commit writes it."""
        extras = job_hash.extras_of(self._job.meta)
        errors = [*extras.get("errors", []), error_line(error)]
        extras["errors"] = errors[-ERRORS_KEPT:]
        self._job.meta["headway"] = extras
        self._job.meta_changed = True

    def perform(self) -> bool:
        """Run it."""
        return self._worker.perform_job(self._job, self._queue, self._execution)

    def fail(self, error: BaseException) -> None:
        """Call what RQ calls after an exception."""
        exc_info = (type(error), error, error.__traceback__)
        self._worker._finalize_failure(  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - RQ's own end of a job
            self._job, self._queue, self._execution, exc_info
        )

    def retry(self, delay: timedelta) -> None:
        """Call what RQ calls for a job that returned a Retry."""
        self._finalize_success(rq_retry(self._job, delay))

    def succeed(self, result: object) -> None:
        """Call what RQ calls for a job that returned."""
        try:
            self._finalize_success(result)
        except LeaseLostError:
            raise
        except Exception as error:  # noqa: BLE001 - as rq: a raising callback fails it
            self.fail(error)

    def stop(self) -> None:
        """Call what RQ calls for a job that a person has stopped."""
        self._job.ended_at = now()
        self._worker._stopped_job_id = self._job.id  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - RQ's own mark
        self._worker._handle_stopped_job(  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - RQ's own end of a job
            self._job, self._queue, self._execution
        )

    def _finalize_success(self, result: object) -> None:
        self._worker._finalize_success(  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - RQ's own end of a job
            self._job, self._queue, self._execution, result
        )


# rq.Worker and not BaseWorker: Sentry and OpenTelemetry replace methods of that class.
class _Horse(rq.Worker):
    """RQ's worker as far as the end of a job needs one."""

    queue_class = PatientQueue

    def _set_connection(self, connection: Redis) -> Redis:
        return connection  # RQ would have each answer waited for for seven minutes

    def prepare_job_execution(
        self,
        job: RQJob,
        remove_from_intermediate_queue: bool = False,  # noqa: FBT002 - RQ's own signature
    ) -> None:
        """Do nothing: the job was marked as started when it was reserved."""

    def handle_execution_ended(
        self,
        job: RQJob,
        queue: Queue,  # noqa: ARG002 - RQ's own signature
        heartbeat_ttl: int,  # noqa: ARG002 - RQ's own signature
    ) -> None:
        """Take the time; RQ would write a heartbeat without asking for the lease."""
        job.ended_at = now()

    def cleanup_execution(
        self, job: RQJob, pipeline: Pipeline, execution: Execution | None = None
    ) -> None:
        """Drop the execution, and the lease with it: in the same transaction."""
        super().cleanup_execution(job, pipeline, execution)
        if isinstance(job, TrustedJob) and job.meta_changed:
            pipeline.hset(job.key, "meta", job.serializer.dumps(job.meta))
        if isinstance(pipeline, FencedPipeline):
            pipeline.commit()

    def _finalize_failure(
        self,
        job: RQJob,
        queue: Queue,
        execution: Execution,
        exc_info: tuple[
            type[BaseException] | None, BaseException | None, TracebackType | None
        ],
    ) -> None:
        # A lost lease is no failure of the job: no callback may hear of one.
        if isinstance(exc_info[1], LeaseLostError):
            raise exc_info[1]
        super()._finalize_failure(job, queue, execution, exc_info)


def _packed(text: str) -> bytes:
    return base64.b64encode(zlib.compress(text.encode()))
