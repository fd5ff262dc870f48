"""Scheduled jobs that are due, moved into their queues by any number of promoters."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError, WatchError
from rq import Queue
from rq.job import Job as RQJob
from rq.serializers import JSONSerializer

from headway.wire import keys, scheduler_lock
from headway.wire.reading import text
from headway.wire.scripts import Scripts

if TYPE_CHECKING:
    from redis import Redis

log = logging.getLogger("headway.scheduler")

#: How many jobs one round moves at most: that holds Redis up for some 2 ms.
BATCH = 250
_MICROSECONDS = 1_000_000

_scripts = Scripts()


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one round did, and when the next is of use, by the store's clock."""

    #: How many jobs were moved.
    moved: int
    #: Seconds until another is due: 0 if one is by now, None where none is scheduled.
    next_due: float | None


class Promotion:
    """Due jobs of some queues, moved round by round."""

    def __init__(
        self, client: Redis, queues: Sequence[str], *, batch: int = BATCH
    ) -> None:
        self._client = client
        self._queues = list(queues)
        self._batch = batch
        #: What keeps a queue from being served, as it was said last.
        self._said: dict[str, str] = {}
        self._keys = [keys.QUEUES, keys.QUARANTINE]
        for queue in queues:
            self._keys += [
                keys.scheduled(queue),
                keys.queue(queue),
                keys.wake(queue),
                keys.scheduler_lock(queue),
            ]

    def round(self) -> Round:
        """Move due jobs of all queues in one round trip, each queue's in their order.

        None are moved of a queue that a scheduler of RQ's own has, until its lock ends.

        Raises:
            RedisError: Redis does not answer, or refuses it; no job is lost of that.
        """
        moved, micros, left, held, unfit = self._asked()
        for number, job_id in left:
            _promote_by_rq(self._client, text(job_id), self._queues[number])
        obstacles = {self._queues[number]: _UNFIT for number in unfit}
        for number, holder, rest in held:
            queue, name = self._queues[number], text(holder)
            if not scheduler_lock.free_of_dead(self._client, queue, name, rest):
                obstacles[queue] = _HELD.format(name)
        self._say(obstacles)
        due = None if micros < 0 else micros / _MICROSECONDS
        return Round(moved=moved + len(left), next_due=due)

    def all(self) -> None:
        """Move whatever is due.

        Raises:
            RedisError: Redis does not answer, or refuses it; no job is lost of that.
        """
        while self.round().moved:
            pass

    def _asked(self) -> tuple[int, int, list[Any], list[Any], list[int]]:
        arguments = (
            keys.JOB_PREFIX,
            self._batch,
            scheduler_lock.OURS,
            scheduler_lock.OURS_MS,
        )
        moved, micros, left, held, unfit = _scripts.promote(
            self._client, self._keys, arguments
        )
        return moved, micros, left, held, unfit

    def _say(self, obstacles: dict[str, str]) -> None:
        for queue, why in obstacles.items():
            if self._said.get(queue) != why:
                log.warning("delayed jobs of queue %s are not sent: %s", queue, why)
        for queue in self._said.keys() - obstacles.keys():
            log.info("delayed jobs of queue %s are sent again", queue)
        self._said = obstacles


_HELD = "RQ's own scheduler {} has it; ours takes it when that has ended"
_UNFIT = "one of its keys is of another type: rename or delete that key"


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
        rq_queue._enqueue_rate_limited_job(  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - as RQ's own scheduler does
            job, pipeline, at_front=job.should_enqueue_at_front()
        )
        pipeline.execute()
