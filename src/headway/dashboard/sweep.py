"""What a button does to a whole list, in steps that leave Redis room to breathe.

RQ's own functions run until they are done: emptying a list of 100,000 took minutes
in one request, and held up every other client of Redis. These stop when their time
is over and say how many are left; the page then asks again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.client import Pipeline

from headway.clock import SystemClock
from headway.errors import JobStateError
from headway.observe import failed_alone, job_ids, size, waiting
from headway.observe.registries import key
from headway.wire import keys
from headway.wire.reading import text

#: How long one request may take, and how much one step asks of Redis.
SECONDS, STEP = 4.0, 500


@dataclass(frozen=True, slots=True)
class Swept:
    """How many jobs were dealt with, and how many are left for the next request."""

    done: int
    left: int


def empty(redis: Redis, queue: str, registry: str, limit: int | None = None) -> Swept:
    """Delete the jobs of a list, no more of them than there are now.

    Raises:
        JobStateError: they are running.
    """
    if registry == "started":
        raise JobStateError("running jobs are not deleted: wait, or stop their worker")
    total = _total_of(redis, queue, registry, limit)
    done = 0
    for step in _steps(total):
        taken = _take(redis, queue, registry, step)
        if not taken:
            return Swept(done, 0)
        pipeline = redis.pipeline()
        forget(pipeline, taken)
        pipeline.execute(raise_on_error=False)
        done += len(taken)
    return Swept(done, total - done)


def compact(redis: Redis, queue: str) -> Swept:
    """Take ids off a queue whose jobs no longer exist; the others keep their order."""
    done = offset = 0
    total = size(redis, queue, "queued")
    for _ in _steps(total):
        ids = job_ids(redis, queue, "queued", offset=offset, length=STEP)
        dead = _without_data(redis, ids)
        pipeline = redis.pipeline(transaction=False)
        for job_id in dead:
            pipeline.lrem(key(queue, "queued"), 1, job_id)
        pipeline.execute()
        done += len(dead)
        offset += len(ids) - len(dead)
        if len(ids) < STEP:
            return Swept(done, 0)
    # Without a find, another pass from the start would get no further either.
    return Swept(done, total - done - offset if done else 0)


def failed(redis: Redis, queue: str) -> list[str]:
    """Return the ids of a queue's failed jobs that nobody has stopped."""
    ids = job_ids(redis, queue, "failed", length=size(redis, queue, "failed"))
    steps = range(0, len(ids), STEP)
    return [
        job_id
        for start in steps
        for job_id in failed_alone(redis, ids[start : start + STEP])
    ]


def forget(pipeline: Pipeline, ids: Sequence[str]) -> None:
    """Add the removal of everything that RQ keeps of these jobs."""
    for job_id in ids:
        pipeline.unlink(
            keys.job(job_id),
            keys.dependents(job_id),
            keys.dependencies(job_id),
            keys.results(job_id),
        )


def _take(redis: Redis, queue: str, registry: str, count: int) -> list[str]:
    """Take ids off a list. Who takes an id owns the job: nobody else will run it."""
    if registry != "queued":
        popped: Any = redis.zpopmin(key(queue, registry), count)
        return [text(job_id) for job_id, _score in popped or ()]
    popped = redis.lpop(key(queue, registry), count) or []
    taken = [text(job_id) for job_id in popped]
    if len(taken) < count:  # nor does another engine run what was sent and is gone
        taken += _take(redis, queue, "sent", count - len(taken))
    return taken


def _without_data(redis: Redis, ids: Sequence[str]) -> list[str]:
    pipeline = redis.pipeline(transaction=False)
    for job_id in ids:
        pipeline.exists(keys.job(job_id))
    found = pipeline.execute()
    return [job_id for job_id, there in zip(ids, found, strict=True) if not there]


def _total_of(redis: Redis, queue: str, registry: str, limit: int | None) -> int:
    """Count what there is to do, so that what comes meanwhile is left alone."""
    is_waiting = registry == "queued"
    there = waiting(redis, queue) if is_waiting else size(redis, queue, registry)
    return there if limit is None else min(there, limit)


def _steps(total: int) -> Iterator[int]:
    """Yield the size of each step, until all is done or the time is over."""
    clock = SystemClock()
    end = clock.monotonic() + SECONDS
    while total > 0 and clock.monotonic() < end:
        yield min(STEP, total)
        total -= STEP
