from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from redis import Redis
from redis.exceptions import ResponseError

from headway.observe.registries import REGISTRIES, key
from headway.wire import keys
from headway.wire.reading import Fields, text


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueInfo:
    """How many jobs of a queue are in which status, and how long the next waits."""

    name: str
    #: Jobs by registry, "queued" being those that wait for a worker.
    counts: dict[str, int]
    #: When the job was enqueued that has waited longest; None for an empty queue.
    oldest: datetime | None = None
    #: True while no worker of ours begins a job of it.
    paused: bool = False

    @property
    def waiting(self) -> int:
        """Return how many jobs wait for a worker, here or in another engine's hands."""
        return self.counts["queued"] + self.counts["sent"]


def queues(redis: Redis, order: Sequence[str] = ()) -> list[QueueInfo]:
    """Return those of `order` in that order, then the others that Redis knows."""
    names = [*order, *sorted(set(queue_names(redis)).difference(order))]
    counts, paused = _counts(redis, names), paused_names(redis)
    return [
        QueueInfo(name=name, counts=count, oldest=oldest, paused=name in paused)
        for name, count, oldest in zip(
            names, counts, _oldest(redis, names), strict=True
        )
    ]


_PREFIX = len(keys.queue(""))


def queue_names(redis: Redis) -> list[str]:
    """Return the queues that ever had a job."""
    return [text(name)[_PREFIX:] for name in redis.smembers(keys.QUEUES)]


def _counts(redis: Redis, names: Sequence[str]) -> list[dict[str, int]]:
    pipeline = redis.pipeline(transaction=False)
    for name in names:
        for registry in REGISTRIES:
            count = pipeline.llen if registry == "queued" else pipeline.zcard
            count(key(name, registry))
    # A key of a wrong type answers with an error: it counts as empty.
    answers = iter(pipeline.execute(raise_on_error=False))
    return [{registry: _whole(next(answers)) for registry in REGISTRIES} for _ in names]


def paused_names(redis: Redis) -> set[str]:
    """Return the queues of which no worker of ours begins a job."""
    try:
        return {text(name) for name in redis.smembers(keys.PAUSED)}
    except ResponseError:
        return set()  # a key of a wrong type


def _oldest(redis: Redis, names: Sequence[str]) -> list[datetime | None]:
    pipeline = redis.pipeline(transaction=False)
    for name in names:
        pipeline.lindex(key(name, "queued"), 0)
        pipeline.zrange(key(name, "sent"), 0, 0)
    for head in pipeline.execute(raise_on_error=False):
        first = next(iter(head), None) if isinstance(head, list) else head
        pipeline.hget(keys.job(text(first)), "enqueued_at")
    answers = pipeline.execute(raise_on_error=False)
    times = iter([Fields({"at": answer}).moment("at") for answer in answers])
    pairs = zip(times, times, strict=True)
    return [min(filter(None, pair), default=None) for pair in pairs]


def _whole(answer: object) -> int:
    return answer if isinstance(answer, int) else 0
