"""Huey: ten processes, as its author measures it; pops and does not acknowledge."""

from __future__ import annotations

from collections.abc import Callable

from huey import RedisHuey

from benchmarks.bodies import CORES, PLAIN, REDIS, RESULTS
from benchmarks.setup import Setup

huey = RedisHuey("bench", url=REDIS, results=RESULTS)
TASKS = {name: huey.task(name=name)(body) for name, body in PLAIN.items()}

QUEUE = ("LLEN", "huey.redis.bench")
STORED = ("HLEN", "huey.results.bench")

_CONSUMER = ("huey_consumer", "benchmarks.peers.huey.huey", "-n", "-q", "-C")


def _setup(name: str, kind: str, workers: int, copies: int, *uses: str) -> Setup:
    return Setup(
        name=name,
        command=(*_CONSUMER, "-k", kind, "-w", str(workers)),
        settings=f"{copies} x -k {kind} -w {workers} -n -C; does not acknowledge",
        uses=uses,
        copies=copies,
        processes=workers if kind == "process" else copies,
    )


SETUPS = (
    _setup("huey ten", "process", 10, 1, "drain", "live", "latency", "mixed"),
    _setup("huey", "process", CORES, 1, "drain", "live", "latency", "cpu"),
    _setup("huey 50 threads", "thread", 50, CORES, "threads"),
)


def sender(name: str) -> Callable[[int], object]:
    return TASKS[name]
