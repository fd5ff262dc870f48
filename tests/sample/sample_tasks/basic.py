from __future__ import annotations

import asyncio
import os
import signal
import time
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from headway import (
    Failure,
    Retry,
    Unique,
    current_job,
    exponential,
    fixed,
    previous,
)
from sample_tasks import task
from sample_tasks.shapes import Colour, Point

AT_ONCE = fixed(timedelta(0))
LONGER = exponential(first=timedelta(minutes=10), jitter=False)


class Flaky(Exception):
    """What may go away by itself."""


class Busy(Exception):
    def __init__(self, retry_after: float) -> None:
        super().__init__("busy")
        self.retry_after = retry_after


@task
def add(one: int, other: int = 1) -> int:
    return one + other


@task
async def add_async(one: int, other: int) -> int:
    return one + other


@task
def kinds(
    moment: datetime,
    day: date,
    id_: UUID,
    price: Decimal,
    data: bytes,
    path: Path,
    colour: Colour,
    point: Point,
    pair: tuple[int, str],
) -> list[str]:
    given = (moment, day, id_, price, data, path, colour, point, pair)
    return [type(each).__name__ for each in given]


@task
def echo_moment(moment: datetime) -> datetime:
    return moment


@task
def echo_point(point: Point) -> Point:
    return Point(x=point.x, y=point.y + 1)


@task
def echo(value: Any) -> Any:
    return value


@task
def fail(text: str) -> None:
    raise ValueError(text)


@task
async def fail_async(text: str) -> None:
    raise ValueError(text)


@task
def fail_because(text: str) -> None:
    try:
        fail(text)
    except ValueError as error:
        raise Flaky("for a reason") from error


@task(retry=Retry(attempts=3, backoff=AT_ONCE, on=(Flaky,), never=(KeyError,)))
def flaky(kind: str) -> int:
    job = current_job()
    attempt = job.attempt if job else 0
    if kind == "twice" and attempt == 3:
        return attempt
    raise {"twice": Flaky, "always": Flaky, "value": ValueError}[kind](kind)


@task(retry=Retry(attempts=2, backoff=fixed(timedelta(hours=1))))
def later() -> int:
    job = current_job()
    if job and job.attempt == 1:
        raise Flaky("first")
    return 2


@task(retry=Retry(attempts=3, backoff=LONGER))
def longer_and_longer() -> None:
    raise Flaky("again")


@task(retry=Retry(attempts=2, backoff=AT_ONCE))
def told_when(seconds: float) -> None:
    raise Busy(seconds)


@task(unique=True)
def once(number: int) -> int:
    return number


@task(unique=Unique(key="the-one", on_duplicate="raise"))
def only() -> None:
    return None


@task(unique=Unique(key="for-a-while", until="ttl"))
def sparse() -> None:
    return None


@task(unique="crash")
def crash() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@task
def interrupts() -> None:
    raise KeyboardInterrupt


@task(timeout=timedelta(seconds=1))
def slow() -> None:
    time.sleep(30)


@task(timeout=timedelta(seconds=1))
async def slow_async() -> None:
    await asyncio.sleep(30)


@task(timeout=timedelta(seconds=1))
def busy() -> None:
    for _ in range(3000):
        time.sleep(0.01)


@task
def wait_to_be_stopped() -> None:
    for _ in range(3000):
        time.sleep(0.01)


@task
async def wait_to_be_stopped_async() -> None:
    await asyncio.sleep(30)


@task
def held(text: str) -> int:
    """Say that it has begun, wait until it may end, and return whose run it is."""
    job = current_job()
    assert job is not None
    job.progress(1, 2, text)
    _write(f"begun-{text}")
    while not Path(os.environ["SAMPLE_LOG"]).with_name("go").exists():
        time.sleep(0.01)
    _write(f"ended-{text}")
    return os.getpid()


@task
def tell() -> tuple[str, int, str]:
    job = current_job()
    assert job is not None
    job.progress(3, 4, "nearly")
    return job.id, job.attempt, job.queue


@task
def calls_another() -> int:
    return add(1, 2) + factorial(4)


@task
def factorial(number: int) -> int:
    return 1 if number < 2 else number * factorial(number - 1)


@task
def enqueues_another() -> str:
    return add.enqueue(20, 22).id


@task
def order(text: str) -> None:
    _write(text)


@task
def order_in_vain(text: str) -> None:
    _write(text)
    raise ValueError(text)


@task
def not_json() -> Any:
    return object()


def plain(moment: datetime) -> str:
    return type(moment).__name__


class Holder:
    @staticmethod
    def nested() -> None:
        return None


def _write(line: str) -> None:
    with Path(os.environ["SAMPLE_LOG"]).open("a") as file:
        file.write(f"{line}\n")


@task
def tells() -> None:
    """Say something in each of the ways, and write down what was said before."""
    job = current_job()
    assert job is not None
    _write(str(job.last_checkpoint))
    job.progress(1, 2)
    job.checkpoint({"place": 1})
    job.log("said 1")


@task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@task
def gather(values: list[Any]) -> list[Any]:
    return values


@task
def tell_failures(values: list[int | Failure]) -> list[str]:
    return [
        f"{each.task}: {each.error}" if isinstance(each, Failure) else str(each)
        for each in values
    ]


@task
def spread(numbers: list[int], *, gathers: bool = True) -> str:
    job = current_job()
    assert job is not None
    parts = [add.message(number, 100) for number in numbers]
    job.fan_out(parts, total.message(previous) if gathers else None)
    return "not what those that wait are given"


@task(retry=Retry(attempts=2, backoff=AT_ONCE))
def spread_at_last(numbers: list[int]) -> None:
    job = current_job()
    assert job is not None
    job.fan_out([order.message(str(number)) for number in numbers])
    if job.attempt == 1:
        raise Flaky("after it has asked")


@task
def mend(path: str) -> str:
    """Fail until there is a file."""
    if not Path(path).exists():
        raise FileNotFoundError(path)
    return path
