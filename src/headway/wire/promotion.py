"""Scheduled jobs that are due, moved into their queues by any number of promoters."""

from __future__ import annotations

import contextlib
import logging
from datetime import datetime
from typing import TYPE_CHECKING

from redis.exceptions import RedisError, WatchError
from rq import Queue
from rq.job import Job as RQJob
from rq.serializers import JSONSerializer

from headway.wire import job_hash, keys
from headway.wire.scripts import Scripts

if TYPE_CHECKING:
    from redis import Redis

log = logging.getLogger("headway.scheduler")

_scripts = Scripts()


def promote(client: Redis, queue: str, now: datetime, limit: int = 1000) -> int:
    """Move due jobs into their queue, in order of due time; return how many.

    None are moved while a scheduler of RQ has the queue.
    """
    if client.exists(keys.scheduler_lock(queue)):
        return 0  # RQ's own scheduler does it, and would send those jobs a second time
    moved, *left = _scripts.promote(
        client,
        [
            keys.scheduled(queue),
            keys.queue(queue),
            keys.QUEUES,
            keys.wake(queue),
            keys.QUARANTINE,
        ],
        [keys.JOB_PREFIX, limit, job_hash.time_text(now), keys.queue(queue)],
    )
    for job_id in left:
        _promote_by_rq(client, job_id.decode(), queue)
    return int(moved) + len(left)


def _promote_by_rq(client: Redis, job_id: str, queue: str) -> None:
    """Enqueue a job of RQ's rate limits, in one transaction with its removal."""
    scheduled = keys.scheduled(queue)
    with client.pipeline() as pipeline, contextlib.suppress(WatchError):
        pipeline.watch(scheduled)  # type: ignore[no-untyped-call]
        if pipeline.zscore(scheduled, job_id) is None:
            return  # another promoter was here
        try:
            job = RQJob.fetch(job_id, client, JSONSerializer)
        except RedisError:
            raise
        except Exception:  # whatever RQ cannot read: it would stop all that come after
            log.exception("job %s cannot be enqueued, and is put aside", job_id)
            client.zrem(scheduled, job_id)
            client.rpush(keys.QUARANTINE, job_id)
            return
        pipeline.multi()
        pipeline.zrem(scheduled, job_id)
        rq_queue = Queue(queue, client, serializer=JSONSerializer)
        rq_queue._enqueue_rate_limited_job(job, pipeline)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - as RQ's own scheduler does
        pipeline.execute()
