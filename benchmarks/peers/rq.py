"""RQ: a process for every job as it comes, or a pool of workers that do without.

Its scheduler runs as `rq worker --with-scheduler` runs it, but in a process of its own:
no job is to be run beside it. And there is the package rq-scheduler.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from redis import Redis
from rq import Queue
from rq.scheduler import RQScheduler
from rq_scheduler import Scheduler

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
    Setup(
        name="rq scheduler",
        command=("python", "-m", "benchmarks.peers.rq"),
        settings="as in rq worker --with-scheduler",
        uses=("schedule",),
        share=0.1,
        scheduled="rq:scheduled:default",
        signs_in="rq:scheduler:*",
    ),
    Setup(
        name="rq-scheduler",
        command=("rqscheduler", "--quiet", "--interval", "1", "--path", "."),
        settings="rqscheduler --interval 1",
        uses=("schedule",),
        share=0.1,
        scheduled=Scheduler.scheduled_jobs_key,
        signs_in=f"{Scheduler.redis_scheduler_namespace_prefix}*",
    ),
)


def sender(name: str) -> Callable[[int], object]:
    return partial(queue.enqueue, PLAIN[name])


def bulk(name: str, numbers: Sequence[int]) -> None:
    body = PLAIN[name]
    for begin in range(0, len(numbers), 500):
        chunk = numbers[begin : begin + 500]
        queue.enqueue_many([Queue.prepare_data(body, (number,)) for number in chunk])


def later(setup: str, name: str, jobs: Sequence[tuple[int, datetime]]) -> None:
    body = PLAIN[name]
    if setup == "rq-scheduler":
        package = Scheduler(connection=queue.connection)
        for number, due in jobs:
            package.enqueue_at(due, body, number)
        return
    for begin in range(0, len(jobs), 500):
        with queue.connection.pipeline() as pipeline:
            for number, due in jobs[begin : begin + 500]:
                queue.enqueue_at(due, body, number, pipeline=pipeline)
            pipeline.execute()


if __name__ == "__main__":
    RQScheduler([queue], connection=queue.connection).work()
