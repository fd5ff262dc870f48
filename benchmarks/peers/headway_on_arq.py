"""Headway on Arq: `async def` tasks, and the options of its own worker beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.peers.headway import _QUIET, ASYNC_TASKS, FINISHED, STORED, app
from benchmarks.setup import Setup

__all__ = ["FINISHED", "STORED", "app"]

QUEUE = ("ZCARD", "headway:sent:default")
SETUPS = (
    Setup(
        name="headway on arq",
        command=("python", "-m", "headway.engines.arq", "--max-jobs", "2"),
        settings="max_jobs 2, poll_delay 0.02, async; results, leases in Redis",
        uses=("overhead",),
        environment={**_QUIET, "HEADWAY_ENGINE": "arq"},
    ),
)


def sender(name: str) -> Callable[[int], object]:
    return ASYNC_TASKS[f"{name}_async"].enqueue


def bulk(name: str, numbers: Sequence[int]) -> None:
    task = ASYNC_TASKS[f"{name}_async"]
    app.enqueue_many([task.message(number) for number in numbers])
