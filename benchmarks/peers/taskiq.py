"""Taskiq: the list broker, which does not acknowledge, and the stream broker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from os import environ

from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend, RedisStreamBroker

from benchmarks.bodies import ASYNC, CORES, PLAIN, REDIS, RESULTS
from benchmarks.setup import Setup

STREAM = environ.get("BENCH_TASKIQ") == "stream"
#: redis-py 8 gives up a read after 5 s, which ends an idle worker of the list broker.
_PATIENT = {"socket_timeout": None}
broker = (
    RedisStreamBroker(REDIS, consumer_id="0", **_PATIENT)
    if STREAM
    else ListQueueBroker(REDIS, **_PATIENT)
)
if RESULTS:
    broker = broker.with_result_backend(RedisAsyncResultBackend(REDIS))
#: Plain functions run in its thread pool: those that wait in threads do so here.
THREADS = environ.get("BENCH_TASKIQ") == "threads"
TASKS = {
    name: broker.task(task_name=name)(PLAIN[name] if THREADS else body)
    for name, body in ASYNC.items()
}

QUEUE = ("XLEN" if STREAM else "LLEN", "taskiq")
STORED = "?" * 32  # a result's key is the bare id

_WORKER = ("taskiq", "worker", "benchmarks.peers.taskiq:broker", "--log-level", "ERROR")


def _setup(name: str, workers: int, options: str, *uses: str, mode: str) -> Setup:
    settings = f"--workers {workers} {options} --no-parse; uvloop, socket_timeout=None"
    return Setup(
        name=name,
        command=(
            *_WORKER,
            *("--no-parse", "--workers", str(workers)),
            *options.split(),
        ),
        settings=f"{mode}, {settings}",
        uses=uses,
        processes=workers,
        environment={"BENCH_TASKIQ": mode},
    )


_FAST = "--max-async-tasks 100 --max-prefetch 1000"
SETUPS = (
    _setup("taskiq list", CORES, _FAST, "drain", "live", "latency", mode="list"),
    _setup("taskiq stream", CORES, _FAST, "drain", "live", "latency", mode="stream"),
    _setup("taskiq ten", 10, _FAST, "drain", mode="list"),
    _setup("taskiq asyncio", CORES, _FAST, "asyncio", mode="stream"),
    _setup(
        "taskiq 50 threads",
        CORES,
        "--max-async-tasks 50 --max-threadpool-threads 50 --max-prefetch 1000",
        "threads",
        mode="threads",
    ),
)


async def connect() -> None:
    await broker.startup()


async def disconnect() -> None:
    await broker.shutdown()


def sender(name: str) -> Callable[[int], Awaitable[object]]:
    return TASKS[name].kiq


async def bulk(name: str, numbers: Sequence[int]) -> None:
    """Taskiq has no bulk call; a hundred at a time is what asyncio offers."""
    send = sender(name)
    for begin in range(0, len(numbers), 100):
        await asyncio.gather(*map(send, numbers[begin : begin + 100]))
