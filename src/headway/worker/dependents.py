"""The jobs that an ended job lets go, enqueued for certain.

RQ enqueues them after its own transaction, and watches the registry of all that are
let go: when another worker takes any job out of it meanwhile, RQ leaves its own for the
next maintenance, in ten minutes. Workers as busy as ours meet there all the time, so
here it is asked again as long as others are at it, or Redis does not take it.
"""

from __future__ import annotations

from typing import Any

from rq.job import Job
from rq.queue import Queue
from rq.registry import ReadyJobRegistry

from headway.wire.steadfast import SteadfastRedis

#: One of those who meet always succeeds, so this is for so many at once.
_TRIES = 100


class Dependent(Job):
    """RQ's job, unless it is a node: those are let go by their workflow alone."""

    def dependencies_are_met(self, *args: Any, **options: Any) -> bool:  # noqa: ANN401 - RQ's own signature
        """Tell whether RQ's code is to let the job go."""
        if self.connection.hexists(self.key, "headway_workflow"):
            return False
        return super().dependencies_are_met(*args, **options)


class PatientQueue(Queue):
    """RQ's queue, with a registry of jobs let go that does not give up."""

    job_class = Dependent

    @property
    def ready_job_registry(self) -> PatientRegistry:
        """Return the jobs that are let go and not enqueued yet."""
        return PatientRegistry(
            queue=self, job_class=self.job_class, serializer=self.serializer
        )


class PatientRegistry(ReadyJobRegistry):
    """RQ's registry of jobs that are let go."""

    def enqueue_jobs(self, job_ids: list[str]) -> list[Job]:
        """Enqueue jobs, again where others were in the way."""
        enqueued: list[Job] = []
        left, before = job_ids, None
        for _ in range(_TRIES):
            disturbed = self._disturbed
            enqueued += super().enqueue_jobs(left)
            there: Any = self.connection.zrange(self.key, 0, -1)  # redis-py has a union
            left = [job_id for job_id in left if job_id.encode() in there]
            in_vain = there == before and disturbed == self._disturbed
            if not left or in_vain:  # nobody was in the way: it cannot be done
                break
            before = there
        return enqueued

    @property
    def _disturbed(self) -> int:
        client = self.connection
        return client.disturbed if isinstance(client, SteadfastRedis) else 0
