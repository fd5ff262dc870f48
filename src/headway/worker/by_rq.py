"""What only RQ's own code knows how to do, done by it, under our lease.

Callbacks, dependents, repeats, RQ's retries, rate limits, webhooks and failures take
some twenty round trips in RQ. They are rare, and each is right there; so a job that has
any of them goes this way, and so does every job where Sentry or OpenTelemetry have
replaced RQ's methods by their own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import rq
from redis.exceptions import RedisError
from rq.job import Job as RQJob
from rq.job import JobStatus
from rq.serializers import JSONSerializer
from rq.timeouts import TimerDeathPenalty
from rq.worker import BaseWorker

from headway.backends.rq_delivery import Run, run_of_ours
from headway.clock import Clock
from headway.errors import HeadwayError, LeaseLostError, UnreadableJobError
from headway.lease import Holder, Lease, Leased
from headway.wire import job_hash, keys
from headway.wire.burial import bury
from headway.wire.fence import FencedRedis
from headway.wire.steadfast import SteadfastRedis
from headway.wire.unique import give_back
from headway.worker.ending import End, RQWorker
from headway.worker.notes import Notes
from headway.worker.trusted_job import TrustedJob

if TYPE_CHECKING:
    from redis import Redis
    from rq.queue import Queue

log = logging.getLogger("headway.worker")

#: How many deferred jobs of a queue are looked at.
MOST_DEFERRED = 500
#: What Sentry and OpenTelemetry replace; RQ itself defines these in BaseWorker.
_HOOKS = ("perform_job", "handle_exception")


def is_patched() -> bool:
    """Tell whether somebody has replaced what RQ runs a job with."""
    replaced = any(hook in vars(rq.Worker) for hook in _HOOKS)
    hooks = (BaseWorker.perform_job, BaseWorker.handle_exception, RQJob.perform)
    return replaced or any(hasattr(hook, "__wrapped__") for hook in hooks)


def _is_no_lost_lease(record: logging.LogRecord) -> bool:
    """Keep RQ from telling a lost lease as an error of its own, with a traceback."""
    return not (record.exc_info and isinstance(record.exc_info[1], LeaseLostError))


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
        #: For what belongs to the end of a job.
        self._steadfast = SteadfastRedis(client.connection_pool)
        self._holder = holder
        self._clock = clock
        self._queues = queues
        self._options = options
        self._in_thread = in_thread
        logging.getLogger("rq.worker").addFilter(_is_no_lost_lease)

    def perform(self, lease: Lease) -> bool:
        """Run a job and write its outcome as RQ does; tell whether it succeeded."""
        notes = Notes(self._steadfast, self._holder, lease, self._clock)
        run = Run(fence=lease.delivery, incarnation=notes.incarnation)
        token = run_of_ours.set(run)
        try:
            return self._settled(lease, End.perform)
        finally:
            run_of_ours.reset(token)

    def fail(self, lease: Lease, error: BaseException, began: float) -> None:
        """Write that a job raised."""
        if isinstance(error, UnreadableJobError):
            self.bury(lease, error)
            return

        def settle(end: End) -> None:
            end.remember(error)
            end.fail(error)

        self._settled(lease, settle, began)
        self.let_go(lease)

    def retry(
        self, lease: Lease, error: BaseException, delay: timedelta, began: float
    ) -> None:
        """Write that a job raised, and is to run again."""

        def settle(end: End) -> None:
            end.remember(error)
            end.retry(delay)

        self._settled(lease, settle, began)

    def succeed(self, lease: Lease, result: object, began: float) -> None:
        """Write that a job returned, where others wait for it."""

        def settle(end: End) -> None:
            end.succeed(result)

        self._settled(lease, settle, began)

    def stop(self, lease: Lease, began: float) -> None:
        """Write that a job was stopped by a person."""
        self._settled(lease, End.stop, began)
        self.let_go(lease)

    def let_go(self, lease: Lease) -> None:
        """Give back the unique key of a job that has ended, where it has one."""
        if lease.meta and b'"unique"' in lease.meta and not self._goes_on(lease):
            give_back(self._steadfast, lease.job_id, job_hash.json_object(lease.meta))

    def _goes_on(self, lease: Lease) -> bool:
        """Tell whether the job is to run again, or runs elsewhere: this run is void."""
        status = self._steadfast.hget(keys.job(lease.job_id), "status")
        return status in (b"queued", b"scheduled", b"started")

    def enqueue_ready(self) -> None:
        """Enqueue the dependents that a worker had let go when it died."""
        worker: Any = self._rq_worker(self._client)  # rq is typed in part
        for queue in worker.queues:
            self._tend(queue.ready_job_registry.cleanup, f"ready jobs of {queue.name}")

    def enqueue_met(self) -> None:
        """Enqueue deferred jobs whose parents' worker died before it let them go."""
        worker: Any = self._rq_worker(self._client)  # rq is typed in part
        for queue in worker.queues:
            self._tend(partial(_enqueue_met, queue), f"deferred jobs of {queue.name}")

    def maintain(self) -> None:
        """Tend RQ's registries, as each of its workers does now and then."""
        worker: Any = self._rq_worker(self._client)  # rq is typed in part
        self._tend(worker.clean_registries, "registries")
        self._tend(worker.clean_group_registries, "groups")

    def _tend(self, clean_up: Callable[[], object], what: str) -> None:
        try:
            clean_up()
        except RedisError as error:
            log.warning("RQ's %s are not tended this time: %s", what, error)
        except Exception:  # one hash that RQ cannot read; children must begin
            log.exception("RQ's %s cannot be tended", what)

    def _settled(
        self,
        lease: Lease,
        settle: Callable[[End], object],
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
        succeeded = False
        try:
            succeeded = bool(settle(self._end(job, lease, client, began)))
        except LeaseLostError:
            pass  # RQ's own code may have kept it: the client tells
        except Exception as error:  # noqa: BLE001 - its end, whatever RQ's code met
            client.refused = client.refused or error
        if client.is_over and job.told_of_repeats:
            log.info("job %s: %s", job.id, job.told_of_repeats)
        if client.lost is not None:
            log.warning("%s", client.lost)
            self._count_superseded(lease)
        elif not client.is_over:  # RQ's code keeps some errors to itself
            self.bury(lease, client.refused or HeadwayError("its end was not written"))
        if client.answer_lost:
            self.enqueue_ready()  # RQ's code has not learnt whom it has let go
        return succeeded and client.lost is None

    def _count_superseded(self, lease: Lease) -> None:
        """Write on the job that a run of it was for nothing."""
        key = keys.job(lease.job_id)
        if self._steadfast.hexists(key, "status"):
            self._steadfast.hincrby(key, "headway_superseded", 1)

    def _end(
        self, job: TrustedJob, lease: Lease, client: FencedRedis, began: float | None
    ) -> End:
        return End(
            worker=self._rq_worker(client),
            job=job,
            lease=lease,
            holder=self._holder,
            client=client,
            began=began,
        )

    def _rq_worker(self, client: Redis) -> RQWorker:
        worker = RQWorker(
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
        log.error("%s", error)
        bury(
            self._steadfast,
            Leased(self._holder, lease.job_id, lease.ordinal, lease.queue),
            reason=f"{type(error).__name__}: {error}",
            now=self._clock.now().timestamp(),
        )
        if self._steadfast.exists(keys.dependents(lease.job_id)):
            self._tend(partial(self._let_dependents_go, lease), "dependents")

    def _let_dependents_go(self, lease: Lease) -> None:
        """Enqueue those that run although the job that they wait for has failed."""
        job = RQJob(lease.job_id, connection=self._steadfast, serializer=JSONSerializer)
        job.origin, job._status = lease.queue, JobStatus.FAILED  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - as rq itself makes one
        self._rq_worker(self._steadfast).queue_class(
            lease.queue, connection=self._steadfast, serializer=JSONSerializer
        ).enqueue_dependents(job)


def _enqueue_met(queue: Queue) -> None:
    for job_id in queue.deferred_job_registry.get_job_ids(0, MOST_DEFERRED - 1):
        job = queue.fetch_job(job_id)
        if job is not None and job.dependencies_are_met():
            for parent in job.fetch_dependencies()[:1]:
                queue.enqueue_dependents(parent)
