"""SAQ: asyncio, one job a round trip, results kept in the job."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import Any

import uvloop
from saq import Queue

from benchmarks.bodies import ASYNC, CORES, REDIS
from benchmarks.setup import Setup

uvloop.install()
queue = Queue.from_url(REDIS, name="bench", max_concurrent_ops=100)


def _with_context(body: Callable[[int], Awaitable[Any]]) -> Callable[..., Any]:
    @wraps(body)
    async def run(_context: object, *, number: int) -> object:
        return await body(number)

    return run


settings = {
    "queue": queue,
    "functions": [(name, _with_context(body)) for name, body in ASYNC.items()],
    "concurrency": 100,
}

QUEUE = ("LLEN", "saq:bench:queued")
STORED = "saq:job:bench:*"

SETUPS = (
    Setup(
        name="saq",
        command=(
            *("saq", "benchmarks.peers.saq.settings", "--quiet"),
            *("--workers", str(CORES)),
        ),
        settings=f"--workers {CORES}, concurrency 100, uvloop; acknowledges",
        uses=("drain", "live", "latency", "asyncio"),
        processes=CORES,
        share=0.5,
    ),
)


async def connect() -> None:
    await queue.connect()


async def disconnect() -> None:
    await queue.disconnect()


def sender(name: str) -> Callable[[int], Awaitable[object]]:
    async def send(number: int) -> object:
        return await queue.enqueue(name, number=number)

    return send


async def bulk(name: str, numbers: Sequence[int]) -> None:
    """SAQ has no bulk call; a hundred at a time is what asyncio offers."""
    send = sender(name)
    for begin in range(0, len(numbers), 100):
        await asyncio.gather(*map(send, numbers[begin : begin + 100]))
