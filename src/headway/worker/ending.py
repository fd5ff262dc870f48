"""RQ's worker and its end of a job, made to depend on our lease."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING

import rq
from rq.executions import Execution
from rq.job import Job as RQJob
from rq.job import JobStatus
from rq.utils import now

from headway.attempt import error_line
from headway.backends.rq_delivery import ERRORS_KEPT, rq_retry
from headway.errors import Interrupted, LeaseLostError
from headway.lease import Holder, Lease
from headway.wire import job_hash
from headway.wire.fence import FencedPipeline, FencedRedis
from headway.wire.scripts import Script
from headway.worker.dependents import PatientQueue
from headway.worker.next_run import plan_next_run
from headway.worker.trusted_job import TrustedJob

if TYPE_CHECKING:
    from redis import Redis
    from redis.client import Pipeline
    from rq.queue import Queue
    from rq.registry import StartedJobRegistry


SETTLE = Script("settle")


class Stopped(BaseException):
    """Raised into a task that a person has stopped."""


# rq.Worker and not BaseWorker: Sentry and OpenTelemetry replace methods of that class.
class RQWorker(rq.Worker):
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
            pipeline.commit(partial(_plan, job, pipeline))

    def handle_job_success(
        self,
        job: RQJob,
        queue: Queue,
        started_job_registry: StartedJobRegistry,
        execution: Execution,
    ) -> None:
        """Write a success, and remember that it is one."""
        if isinstance(job, TrustedJob):
            job.has_succeeded = True
        super().handle_job_success(job, queue, started_job_registry, execution)

    def handle_job_failure(
        self,
        job: RQJob,
        queue: Queue,
        started_job_registry: StartedJobRegistry | None = None,
        exc_string: str = "",
        execution: Execution | None = None,
    ) -> None:
        """Write a failure; its words may hold what UTF-8 has not, as names of files."""
        written = exc_string.encode(errors="backslashreplace").decode()
        super().handle_job_failure(job, queue, started_job_registry, written, execution)

    def _finalize_failure(
        self,
        job: RQJob,
        queue: Queue,
        execution: Execution,
        exc_info: tuple[
            type[BaseException] | None, BaseException | None, TracebackType | None
        ],
    ) -> None:
        # Neither is a failure of the job: no callback may hear of one.
        if isinstance(exc_info[1], LeaseLostError | Stopped | Interrupted):
            raise exc_info[1]
        super()._finalize_failure(job, queue, execution, exc_info)


def _plan(job: RQJob, pipeline: Pipeline) -> None:
    if isinstance(job, TrustedJob):
        plan_next_run(job, pipeline)
        if job.workflow:  # sent whole: in a transaction it may not be unknown
            pipeline.eval(SETTLE.text.decode(), 0, job.workflow, job.id)


class End:
    """The end of one job, by RQ's own methods."""

    def __init__(
        self,
        *,
        worker: RQWorker,
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
        except Exception as error:  # noqa: BLE001 - as rq: what cannot be written fails it
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
