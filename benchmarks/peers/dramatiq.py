"""Dramatiq: as it comes, and with few threads that prefetch many messages."""

from __future__ import annotations

from collections.abc import Callable

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from benchmarks.bodies import CORES, PLAIN, REDIS, RESULTS
from benchmarks.setup import Setup

broker = RedisBroker(url=REDIS)
if RESULTS:
    broker.add_middleware(Results(backend=RedisBackend(url=REDIS), store_results=True))
dramatiq.set_broker(broker)
TASKS = {
    name: dramatiq.actor(actor_name=name, max_retries=0)(body)
    for name, body in PLAIN.items()
}

QUEUE = ("LLEN", "dramatiq:default")
STORED = "?" * 32  # a result's key is an MD5

_PREFETCH = {"dramatiq_queue_prefetch": "1000"}


def _setup(name: str, processes: int, threads: int, *uses: str, tuned: bool) -> Setup:
    options = ("-p", str(processes), "-t", str(threads))
    prefetch = "dramatiq_queue_prefetch=1000" if tuned else "default prefetch"
    return Setup(
        name=name,
        command=("dramatiq", *options, "--skip-logging", "benchmarks.peers.dramatiq"),
        settings=f"-p {processes} -t {threads}, {prefetch}; acknowledges",
        uses=uses,
        processes=processes,
        environment=_PREFETCH if tuned else {},
    )


SETUPS = (
    _setup("dramatiq", CORES, 2, "drain", "live", tuned=True),
    _setup("dramatiq one thread", CORES, 1, "cpu", tuned=False),
    _setup("dramatiq ten", 2, 5, "drain", "latency", "mixed", tuned=False),
    _setup("dramatiq 50 threads", CORES, 50, "threads", tuned=True),
    # As Headway's on Dramatiq: see `headway_on_dramatiq`.
    _setup("dramatiq itself", 1, 2, "overhead", tuned=False),
)


def sender(name: str) -> Callable[[int], object]:
    return TASKS[name].send
