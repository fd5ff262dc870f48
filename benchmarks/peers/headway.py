"""Headway, by the same rules: its own environment, its settings in the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from benchmarks.bodies import ASYNC, CORES, PLAIN, REDIS
from benchmarks.setup import Setup
from headway import App, Queue
from headway.task import DefinedTask

app = App(queues=[Queue("default")], tasks="benchmarks.bodies", redis_url=REDIS)
TASKS = {name: app.task(body) for name, body in PLAIN.items()}
#: `async def` tasks beside them, for the scenario that waits on an event loop.
ASYNC_TASKS = {f"{name}_async": app.task(body) for name, body in ASYNC.items()}

QUEUE = ("LLEN", "rq:queue:default")
STORED = "rq:results:*"
#: Its clock runs on until this counts every job: acknowledged, not just run.
FINISHED = ("ZCARD", "rq:finished:default")

_QUIET = {"HEADWAY_APP": "benchmarks.peers.headway:app", "LOG_LEVEL": "ERROR"}


def _setup(
    name: str, options: str, *uses: str, processes: int, settings: str = "defaults"
) -> Setup:
    return Setup(
        name=name,
        command=("headway", "worker", "default", *options.split()),
        settings=f"{options}; {settings}: acknowledges, keeps results and registries",
        uses=uses,
        processes=processes,
        environment=_QUIET,
    )


SETUPS = (
    _setup(
        "headway",
        f"--children {CORES}",
        *("drain", "live", "latency", "cpu", "scale"),
        processes=CORES,
    ),
    _setup(
        "headway ten",
        "--children 10",
        *("drain", "live", "mixed", "memory"),
        processes=10,
    ),
    _setup(
        "headway threads",
        f"--children {CORES} --threads 50",
        "threads",
        processes=CORES,
    ),
    _setup(
        "headway asyncio",
        f"--children {CORES} --concurrency 100",
        "asyncio",
        processes=CORES,
    ),
    Setup(
        name="headway scheduler",
        command=("headway", "scheduler"),
        settings="headway scheduler; defaults",
        uses=("schedule",),
        environment=_QUIET,
        scheduled="rq:scheduled:default",
        signs_in="rq:scheduler-lock:default",
    ),
    *(
        _setup(
            f"headway {children}",
            f"--children {children}",
            "children",
            processes=children,
        )
        for children in (1, 2, 4, 8, 16)
    ),
)
CHUNK = 5_000


def sender(name: str) -> Callable[[int], object]:
    return _task(name).enqueue


def bulk(name: str, numbers: Sequence[int]) -> None:
    task = _task(name)
    for begin in range(0, len(numbers), CHUNK):
        chunk = numbers[begin : begin + CHUNK]
        app.enqueue_many([task.message(number) for number in chunk])


def later(_setup: str, name: str, jobs: Sequence[tuple[int, datetime]]) -> None:
    task = _task(name)
    for begin in range(0, len(jobs), CHUNK):
        chunk = jobs[begin : begin + CHUNK]
        app.enqueue_many([task.using(at=due).message(n) for n, due in chunk])


def _task(name: str) -> DefinedTask[[int], int | None]:
    return TASKS[name] if name in TASKS else ASYNC_TASKS[name]
