"""Which schedules and delayed jobs were made by rq-scheduler's API: those it lists."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from headway.wire import keys
from headway.wire.outage import Asker, explained
from headway.wire.reading import text


class MadeAsRQScheduler(Asker):
    """Their ids; of some, nothing is there any more."""

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
    def put_off(self, job_id: str, queue: str, until: datetime) -> bool:
        """Have a delayed job be due at another time; False where it is none any more.

        Raises:
            StoreError: Redis does not answer.
        """
        key = keys.scheduled(queue)
        pipeline = self.client.pipeline()
        pipeline.zadd(key, {job_id: until.timestamp()}, xx=True)
        pipeline.zscore(key, job_id)
        return pipeline.execute()[1] is not None
