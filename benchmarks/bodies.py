"""What the tasks do, the same for all contestants; each peer wraps them its own way."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from benchmarks.marks import Marks

MARKS = Marks(Path(os.environ["BENCH_MARKS"]))
RAN, BEGAN = MARKS.ran, MARKS.began
REDIS = os.environ["BENCH_REDIS"]
#: Whether every contestant is to store what its tasks return.
RESULTS = os.environ["BENCH_RESULTS"] == "yes"
CORES = os.cpu_count() or 1
WAIT, TEN = 0.005, 0.01
LONG = 1.0
WARM = 0.02


def empty(number: int) -> None:
    """Do nothing, so that what is measured is the queue."""
    RAN[number] += 1


def echo(number: int) -> int:
    """Return a result to be stored."""
    RAN[number] += 1
    return number


def stamp(number: int) -> None:
    """Write down when it began."""
    BEGAN[number] = time.monotonic()
    RAN[number] += 1


def long(number: int) -> None:
    """Take a second, as one job in a hundred does."""
    stamp(number)
    time.sleep(LONG)


def wait(number: int) -> None:
    """Wait, as for a database."""
    time.sleep(WAIT)
    RAN[number] += 1


def ten(number: int) -> int:
    """Take ten milliseconds, and return a result to be stored."""
    time.sleep(TEN)
    RAN[number] += 1
    return number


def compute(number: int) -> None:
    """Keep a core busy for some milliseconds."""
    sum(n * n for n in range(50_000))
    RAN[number] += 1


def warm(number: int) -> None:  # noqa: ARG001 - called as all are
    """Sign in, and leave time for other workers to do so."""
    MARKS.sign_in()
    time.sleep(WARM)


def hold(number: int) -> None:
    """Stay in the job until released, so that memory can be read meanwhile."""
    stamp(number)
    while not MARKS.release.exists():
        time.sleep(WARM)


async def empty_async(number: int) -> None:
    RAN[number] += 1


async def echo_async(number: int) -> int:
    RAN[number] += 1
    return number


async def stamp_async(number: int) -> None:
    stamp(number)


async def long_async(number: int) -> None:
    stamp(number)
    await asyncio.sleep(LONG)


async def wait_async(number: int) -> None:
    await asyncio.sleep(WAIT)
    RAN[number] += 1


async def ten_async(number: int) -> int:
    await asyncio.sleep(TEN)
    RAN[number] += 1
    return number


async def compute_async(number: int) -> None:
    compute(number)


async def warm_async(number: int) -> None:  # noqa: ARG001 - called as all are
    MARKS.sign_in()
    await asyncio.sleep(WARM)


PLAIN = {
    body.__name__: body
    for body in (empty, echo, stamp, long, wait, ten, compute, warm, hold)
}
ASYNC = {
    body.__name__.removesuffix("_async"): body
    for body in (
        empty_async,
        echo_async,
        stamp_async,
        long_async,
        wait_async,
        ten_async,
        compute_async,
        warm_async,
    )
}
