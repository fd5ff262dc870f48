"""The next run of a job that repeats, planned in the transaction that ends the last.

RQ goes on after a success alone: a run that fails ends the chain, silently. A job that
was sent by us goes on after any run, unless it says otherwise or a person has stopped
it. One of RQ's own producers keeps RQ's meaning.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from rq.job import JobStatus

from headway.wire import job_hash, keys
from headway.wire.repeating import Repeated, repeated
from headway.worker.trusted_job import TrustedJob

if TYPE_CHECKING:
    from redis.client import Pipeline

#: What a run leaves in the hash that the next may not find: its retries, its crashes.
_OF_ONE_RUN = ("number_of_retries", "headway_crashes", "headway_broken_off")


def plan_next_run(job: TrustedJob, pipeline: Pipeline) -> None:
    """Add what makes a job that repeats go on, behind what RQ writes of its end."""
    if job.repeats_before is None:
        return
    status = job.get_status(refresh=False)
    if status in (JobStatus.SCHEDULED, JobStatus.QUEUED):
        # RQ leaves it among the finished ones, where it is not yet.
        pipeline.zrem(keys.finished(job.origin), job.id)
    rule = repeated(job_hash.extras_of(job.meta))
    if rule is None or job.repeats_before <= 0:
        return
    if status == JobStatus.SCHEDULED and job.has_succeeded:
        _schedule(job, rule, pipeline)
    elif status == JobStatus.FAILED and rule.until_failure:
        job.told_of_repeats = (
            f"this run failed, which ends its repeats: {job.repeats_before} more were "
            "to come"
        )
    elif status == JobStatus.FAILED:
        due = _schedule(job, rule, pipeline)
        pipeline.zrem(keys.failed(job.origin), job.id)
        job.told_of_repeats = (
            f"this run failed, and it goes on: the next is due at {due:%c %Z}, and "
            f"{job.repeats_left} after that"
        )


def _schedule(job: TrustedJob, rule: Repeated, pipeline: Pipeline) -> datetime:
    """Schedule the next run, as if it were the first; return when it is due."""
    due = _now(job) + rule.every
    extras = job_hash.extras_of(job.meta)
    # It is a worker's clock that will tell whether it is too late for that run.
    rule.begin_anew(extras, job.app.clock.now() + timedelta(seconds=rule.every))
    job.meta["headway"] = extras
    job.repeats_left = (job.repeats_before or 0) - 1
    pipeline.hset(
        job.key,
        mapping={
            "status": JobStatus.SCHEDULED.value,
            "repeats_left": job.repeats_left,
            "meta": job.serializer.dumps(job.meta),
        },
    )
    pipeline.hdel(job.key, *_OF_ONE_RUN)
    pipeline.persist(job.key)  # a failed job was to be forgotten, this one is not
    # RQ cuts the time to whole seconds.
    pipeline.sadd(keys.QUEUES, keys.queue(job.origin))
    pipeline.zadd(keys.scheduled(job.origin), {job.id: due})
    return datetime.fromtimestamp(due, UTC)


def _now(job: TrustedJob) -> float:
    """Return the time of the server: it is by this that the job will be due."""
    found: Any = job.connection.time()  # redis-py has a union
    return float(found[0]) + float(found[1]) / 1e6
