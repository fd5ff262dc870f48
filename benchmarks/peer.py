"""Run in a peer's own environment: describe it, or send jobs as its producer would.

Usage: python -m benchmarks.peer PEER describe
       python -m benchmarks.peer PEER WAY TASK FIRST COUNT SETUP
WAY is loop, bulk, live, 50 (that many a second), 100-mixed (one in a hundred is
`long`, and a job counts as sent when it was due), or later-3600 (many, of which the
first is due in so many seconds, and then one each millisecond, for the scheduler of
that set-up). The last line is JSON.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import islice
from types import ModuleType

from benchmarks.bodies import MARKS

#: Connections are made and scripts loaded before the clock starts.
BEFORE = 20


def describe(peer: ModuleType) -> dict[str, object]:
    """Return what the driver needs to know of a peer."""
    return {
        "setups": [asdict(setup) for setup in peer.SETUPS],
        "queue": peer.QUEUE,
        "stored": peer.STORED,
        "finished": getattr(peer, "FINISHED", None),
        "bulk": hasattr(peer, "bulk"),
    }


def numbers(way: str, first: int, count: int) -> Iterator[int]:
    """Yield the jobs' numbers, each when it is due, having written down when."""
    if way in {"loop", "bulk"}:
        yield from range(first, first + count)
        return
    rate = 0.0 if way == "live" else float(way.partition("-")[0])
    begin = time.monotonic()
    for step in range(count):
        due = begin + (step / rate if rate else 0)
        if (left := due - time.monotonic()) > 0:
            time.sleep(left)
        mixed = way.endswith("-mixed")
        MARKS.sent[first + step] = due if mixed else time.monotonic()
        yield first + step


async def produce(peer: ModuleType, way: str, task: str, jobs: range) -> float:
    """Send the jobs and return the seconds that each took."""
    if hasattr(peer, "connect"):
        await peer.connect()
    due = numbers(way, jobs.start, len(jobs))
    timed = len(jobs)
    if way in {"loop", "bulk"} and timed > BEFORE:
        await _send(peer, "loop", task, islice(due, BEFORE))
        timed -= BEFORE
    begin = time.perf_counter()
    await _send(peer, way, task, due)
    seconds = time.perf_counter() - begin
    if hasattr(peer, "disconnect"):
        await peer.disconnect()
    return seconds / timed


def schedule(
    peer: ModuleType, setup: str, task: str, jobs: range, first: float
) -> float:
    """Send jobs for later, one due each millisecond; return the seconds for each."""
    begin = time.perf_counter()
    due = datetime.now(UTC) + timedelta(seconds=first)
    times = (due + n * timedelta(milliseconds=1) for n in range(len(jobs)))
    peer.later(setup, task, list(zip(jobs, times, strict=True)))
    return (time.perf_counter() - begin) / len(jobs)


async def _send(peer: ModuleType, way: str, task: str, due: Iterable[int]) -> None:
    if way == "bulk":
        sent = peer.bulk(task, list(due))
        if inspect.isawaitable(sent):
            await sent
    elif hasattr(peer, "connect"):
        await _send_async(peer, way, task, due)
    else:
        _send_plain(peer, way, task, due)


def _send_plain(peer: ModuleType, way: str, task: str, due: Iterable[int]) -> None:
    send, send_long = peer.sender(task), peer.sender("long")
    mixed = way.endswith("-mixed")
    for number in due:
        (send_long if mixed and number % 100 == 50 else send)(number)  # noqa: PLR2004


async def _send_async(
    peer: ModuleType, way: str, task: str, due: Iterable[int]
) -> None:
    send, send_long = peer.sender(task), peer.sender("long")
    mixed = way.endswith("-mixed")
    for number in due:
        await (send_long if mixed and number % 100 == 50 else send)(number)  # noqa: PLR2004


def main() -> None:
    """Do as the command line says; the last line is JSON."""
    name, way, *rest = sys.argv[1:]
    peer = importlib.import_module(f"benchmarks.peers.{name}")
    if way == "describe":
        print(json.dumps(describe(peer)))
        return
    task, first, count, setup = rest[0], int(rest[1]), int(rest[2]), rest[3]
    jobs = range(first, first + count)
    if way.startswith("later-"):
        seconds = schedule(peer, setup, task, jobs, float(way.partition("-")[2]))
    else:
        seconds = asyncio.run(produce(peer, way, task, jobs))
    print(json.dumps({"seconds_each": seconds}))


if __name__ == "__main__":
    main()
