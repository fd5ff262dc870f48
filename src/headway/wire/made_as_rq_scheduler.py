"""Which schedules and delayed jobs were made by rq-scheduler's API: those it lists."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast

from redis.exceptions import WatchError

from headway.wire import job_hash, keys
from headway.wire.outage import Asker, explained
from headway.wire.reading import text
from headway.wire.scripts import Scripts

if TYPE_CHECKING:
    from redis import Redis


class MadeAsRQScheduler(Asker):
    """Their ids; of some, nothing is there any more."""

    def __init__(self, connect: Callable[[], Redis]) -> None:
        super().__init__(connect)
        self._scripts = Scripts()

    @explained
    def note(self, made: str) -> None:
        """Remember one, before it is made.

        Raises:
            StoreError: Redis does not answer.
        """
        self.client.sadd(keys.MADE_AS_RQ_SCHEDULER, made)

    @explained
    def forget(self, gone: Collection[str]) -> None:
        """Remember some no longer.

        Raises:
            StoreError: Redis does not answer.
        """
        if gone:
            self.client.srem(keys.MADE_AS_RQ_SCHEDULER, *gone)

    @explained
    def ids(self) -> set[str]:
        """Return them all.

        Raises:
            StoreError: Redis does not answer.
        """
        return {text(each) for each in self.client.smembers(keys.MADE_AS_RQ_SCHEDULER)}

    @explained
    def withdraw(self, job_id: str) -> None:
        """Have rq-scheduler itself not send a job that it has.

        Raises:
            StoreError: Redis does not answer.
        """
        places = [keys.RQ_SCHEDULER_JOBS, keys.job(job_id)]
        self._scripts.withdraw(self.client, places, [job_id])

    @explained
    def put_off(self, job_id: str, queue: str, until: datetime) -> bool:
        """Have a delayed job be due at another time; False where it is none any more.

        Raises:
            StoreError: Redis does not answer.
        """
        while True:
            with contextlib.suppress(WatchError):
                return self._put_off(job_id, queue, until)

    def _put_off(self, job_id: str, queue: str, until: datetime) -> bool:
        place, job = keys.scheduled(queue), keys.job(job_id)
        with self.client.pipeline() as pipeline:
            # Whoever moves or cancels it says so in its hash.
            pipeline.watch(job)  # type: ignore[no-untyped-call]
            was = pipeline.zscore(place, job_id)
            if was is None:
                return False
            later = timedelta(seconds=until.timestamp() - was)
            written = cast("bytes | None", pipeline.hget(job, "meta"))
            pipeline.multi()
            pipeline.zadd(place, {job_id: until.timestamp()}, xx=True)
            if meta := _expiring_later(written, later):
                pipeline.hset(job, "meta", meta)
            pipeline.execute()
            return True


def _expiring_later(written: bytes | None, later: timedelta) -> str:
    """Return a job's meta with its expiry moved; empty where it has none."""
    meta = job_hash.json_object(written)
    extras = job_hash.extras_of(meta)
    try:
        expires = datetime.fromisoformat(extras.get("expires_at", ""))
        extras["expires_at"] = (expires + later).isoformat()
    except (TypeError, ValueError, OverflowError):
        return ""
    return json.dumps(meta)
