"""Celery on Redis: prefork as most run it, threads as its fastest here."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from celery import Celery

from benchmarks.bodies import CORES, PLAIN, REDIS, RESULTS
from benchmarks.setup import Setup

app = Celery("bench", broker=REDIS, backend=REDIS if RESULTS else None)
app.conf.update(
    task_ignore_result=not RESULTS,
    worker_prefetch_multiplier=64,  # unless a set-up says otherwise
    worker_enable_remote_control=False,
    task_acks_late="BENCH_LATE" in os.environ,
    broker_connection_retry_on_startup=True,
)
TASKS = {name: app.task(name=name)(body) for name, body in PLAIN.items()}

QUEUE = ("LLEN", "celery")
STORED = "celery-task-meta-*"

_BARE = ("--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "ERROR")
_WORKER = ("celery", "-A", "benchmarks.peers.celery", "worker", *_BARE)
_SETTINGS = "prefetch 64, no gossip, mingle or heartbeat"
SETUPS = (
    Setup(
        name="celery prefork ten",
        command=(*_WORKER, "-P", "prefork", "-c", "10"),
        settings=f"-P prefork -c 10, {_SETTINGS}",
        uses=("drain", "live", "latency", "mixed"),
        processes=10,
        share=0.25,
    ),
    Setup(
        name="celery threads",
        command=(*_WORKER, "-P", "threads", "-c", "5", "-n", "%i@%h"),
        settings=f"{CORES} x -P threads -c 5, {_SETTINGS}",
        uses=("drain", "live", "latency"),
        copies=CORES,
        processes=CORES,
        share=0.25,
    ),
    Setup(
        name="celery 50 threads",
        command=(*_WORKER, "-P", "threads", "-c", "50"),
        settings=f"{CORES} x -P threads -c 50, {_SETTINGS}",
        uses=("threads",),
        copies=CORES,
        processes=CORES,
        share=0.25,
    ),
    # As Headway's on Celery: see `headway_on_celery`.
    Setup(
        name="celery itself",
        command=(*_WORKER, "-P", "prefork", "-c", "2", "--prefetch-multiplier", "8"),
        settings="-P prefork -c 2, prefetch 8; a result of each job in Redis",
        uses=("overhead",),
        processes=2,
    ),
    Setup(
        name="celery itself, late",
        command=(*_WORKER, "-P", "prefork", "-c", "2", "--prefetch-multiplier", "1"),
        settings="-P prefork -c 2, prefetch 1, acks late; a result of each in Redis",
        uses=("overhead, late",),
        processes=2,
        environment={"BENCH_LATE": "yes"},
    ),
)


def sender(name: str) -> Callable[[int], object]:
    return TASKS[name].delay


def bulk(name: str, numbers: Sequence[int]) -> None:
    """Celery has no bulk call; one producer for all is what its users do."""
    task = TASKS[name]
    with app.producer_pool.acquire(block=True) as producer:
        for number in numbers:
            task.apply_async((number,), producer=producer)
