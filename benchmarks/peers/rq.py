"""RQ: a process for every job as it comes, or a pool of workers that do without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from redis import Redis
from rq import Queue

from benchmarks.bodies import PLAIN, REDIS
from benchmarks.setup import Setup

queue = Queue("default", connection=Redis.from_url(REDIS))

QUEUE = ("LLEN", "rq:queue:default")
STORED = "rq:results:*"

_COMMON = ("--quiet", "--path", ".", "default")
SETUPS = (
    Setup(
        name="rq fork ten",
        command=("rq", "worker", *_COMMON),
        settings="10 x rq worker; stores results",
        uses=("drain", "latency", "memory"),
        copies=10,
        processes=10,
        forks=True,
        share=0.05,
    ),
    Setup(
        name="rq simple ten",
        command=("rq", "worker", "-w", "rq.SimpleWorker", *_COMMON),
        settings="10 x rq worker -w rq.SimpleWorker; stores results",
        uses=("drain", "live", "latency", "mixed"),
        copies=10,
        processes=10,
        share=0.1,
    ),
)


def sender(name: str) -> Callable[[int], object]:
    return partial(queue.enqueue, PLAIN[name])


def bulk(name: str, numbers: Sequence[int]) -> None:
    body = PLAIN[name]
    for begin in range(0, len(numbers), 500):
        chunk = numbers[begin : begin + 500]
        queue.enqueue_many([Queue.prepare_data(body, (number,)) for number in chunk])
