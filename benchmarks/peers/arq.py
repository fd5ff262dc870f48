"""Arq: asyncio, polling; one process with many jobs at once is its fastest."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial, wraps
from os import environ
from typing import Any

import uvloop
from arq import create_pool
from arq.connections import ArqRedis, RedisSettings
from arq.worker import func

from benchmarks.bodies import ASYNC, CORES, REDIS, RESULTS
from benchmarks.setup import Setup

uvloop.install()
SETTINGS = RedisSettings.from_dsn(REDIS)
pool: ArqRedis


def _with_context(body: Callable[[int], Awaitable[Any]]) -> Callable[..., Any]:
    @wraps(body)
    async def run(_context: object, number: int) -> object:
        return await body(number)

    return run


class WorkerSettings:
    functions = tuple(
        func(
            _with_context(body),
            name=name,
            keep_result=3600 if RESULTS else 0,
        )
        for name, body in ASYNC.items()
    )
    redis_settings = SETTINGS
    max_jobs = int(environ.get("BENCH_MAX_JOBS", "100"))
    poll_delay = float(environ.get("BENCH_POLL", "0.01"))
    log_results = False


QUEUE = ("ZCARD", "arq:queue")
STORED = "arq:result:*"


def _setup(
    name: str, copies: int, max_jobs: int, share: float, *uses: str, poll: float = 0.01
) -> Setup:
    return Setup(
        name=name,
        command=("arq", "benchmarks.peers.arq.WorkerSettings"),
        settings=f"{copies} x max_jobs {max_jobs}, poll_delay {poll}, uvloop",
        uses=uses,
        copies=copies,
        processes=copies,
        share=share,
        environment={"BENCH_MAX_JOBS": str(max_jobs), "BENCH_POLL": str(poll)},
    )


SETUPS = (
    _setup("arq", 1, 100, 0.25, "drain", "live", "latency"),
    _setup("arq ten", 10, 10, 0.1, "drain", "latency"),
    _setup("arq asyncio", CORES, 100, 0.25, "asyncio"),
    # As Headway's on Arq: see `headway_on_arq`.
    _setup("arq itself", 1, 2, 1.0, "overhead", poll=0.02),
)


async def connect() -> None:
    global pool  # noqa: PLW0603 - a producer has one
    pool = await create_pool(SETTINGS)


async def disconnect() -> None:
    await pool.aclose()


def sender(name: str) -> Callable[[int], Awaitable[object]]:
    return partial(pool.enqueue_job, name)


async def bulk(name: str, numbers: Sequence[int]) -> None:
    """Arq has no bulk call; a hundred at a time is what asyncio offers."""
    send = sender(name)
    for begin in range(0, len(numbers), 100):
        await asyncio.gather(*map(send, numbers[begin : begin + 100]))
