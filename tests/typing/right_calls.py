"""Calls as they are meant, read by mypy and pyright: each type is as it is asserted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Annotated, assert_type

from headway import (
    App,
    AsyncTask,
    At,
    Cron,
    Every,
    Flow,
    Job,
    JobInfo,
    JobStatus,
    Message,
    Progress,
    Queue,
    Repeat,
    Resource,
    Retry,
    RunningJob,
    Schedule,
    Solar,
    Task,
    Unique,
    Workflow,
    WorkflowInfo,
    current_job,
    chain,
    chord,
    exponential,
    fixed,
    group,
    injected,
    previous,
    workflow,
)

app = App(
    queues=[
        Queue("high", prefetch=1, weight=3),
        Queue("gpu", timeout=timedelta(hours=1), device="cuda"),
    ],
    tasks="t",
)
high, gpu = app.queues


@app.task
def add(one: int, other: int = 1) -> int:
    return one + other


@app.task(queue="gpu", retry=Retry(attempts=5, backoff=exponential(base=2)))
def embed(document: int, *, text: str) -> list[float]:
    return [document / len(text)]


@app.task
async def fetch(url: str) -> bytes:
    return url.encode()


@app.task(timeout=timedelta(minutes=5))
async def fetch_later(url: str) -> bytes:
    return url.encode()


def plain(moment: datetime) -> str:
    return str(moment)


async def plain_async(number: int) -> float:
    return float(number)


async def view() -> None:
    assert_type(await fetch("u"), bytes)
    assert_type(await add.enqueue_async(1), Job[int])
    assert_type(await fetch.enqueue_async("u"), Job[bytes])
    assert_type(await add.enqueue(1).result_async(timeout=2), int)


assert_type(add(1), int)
assert_type(embed(1, text="a"), list[float])
assert_type(add.enqueue(1), Job[int])
assert_type(add.enqueue(1, other=2).result(timeout=5), int)
assert_type(embed.enqueue(1, text="a").result(timedelta(seconds=5)), list[float])
assert_type(fetch.enqueue("u"), Job[bytes])
assert_type(fetch_later.enqueue("u").result(), bytes)
assert_type(add.message(1), Message[int])
assert_type(app.enqueue_many([add.message(n) for n in range(3)]), list[Job[int]])
assert_type(add.using(queue="gpu", delay=timedelta(1)).enqueue(1), Job[int])
assert_type(fetch.using(at=datetime.now(UTC)).enqueue("u"), Job[bytes])
assert_type(high.enqueue(plain, datetime.now(UTC)), Job[str])
assert_type(gpu.enqueue(plain_async, 1), Job[float])
assert_type(gpu.enqueue(add, 1, other=2), Job[int])
assert_type(add.enqueue_in(timedelta(minutes=5), 1, other=2), Job[int])
assert_type(add.enqueue_at(datetime.now(UTC), 1), Job[int])
assert_type(fetch.enqueue_in(timedelta(1), "u").result(), bytes)
assert_type(embed.enqueue_at(datetime.now(UTC), 1, text="a"), Job[list[float]])
assert_type(high.enqueue_in(timedelta(1), plain, datetime.now(UTC)), Job[str])
assert_type(high.enqueue_at(datetime.now(UTC), plain_async, 1), Job[float])
assert_type(gpu.enqueue_in(timedelta(1), add, 1, other=2), Job[int])
assert_type(gpu.enqueue_at(datetime.now(UTC), fetch, "u"), Job[bytes])
assert_type(add.enqueue(1).status, JobStatus)
assert_type(add.enqueue(1).info(), JobInfo)
assert_type(add.enqueue(1).cancel(), bool)
assert_type(add.enqueue(1).progress, Progress | None)
assert_type(current_job(), RunningJob | None)
assert_type(app.queue("gpu"), Queue)

one: Task[[int, int], int] | Task[..., int] = add
other: AsyncTask[..., bytes] = fetch
add.using(retry=None, unique=True, expires=timedelta(1), job_id="a", at_front=True)
add.using(unique=Unique(key="k", until="ttl"), description="d")
add.using(retry=Retry(on=(TimeoutError, "a.B"), backoff=fixed(timedelta(1))))
add.using(repeat=Repeat(3, timedelta(minutes=5), until_failure=True)).enqueue(1)
add.using(repeat=None)
assert_type(add.enqueue(1).info().repeats_left, int | None)
summed = add.message(add.message(1).result, add.message(2).result)
assert_type(summed.result, int)
assert_type(workflow(summed).enqueue(), Workflow[int])
# To mypy these are of Any: it takes a message for one, as `on_orphan` has one.
chain(add.message(1), add, add.message(previous)).enqueue().result(timeout=5)
group(add.message(1), add.message(2), limit=1).enqueue().result(timeout=5)
assert_type(chain(add.message(1), add), Flow[int])
assert_type(chain(add.message(1), group(add, add)), Flow[list[int]])
assert_type(chord([add.message(1)], fetch), Flow[bytes])
assert_type(group(add.message(1), add.message(2)), Flow[list[int]])
assert_type(chord([add.message(1)], fetch.message(previous)), Flow[bytes])
assert_type(add.map([1, 2], limit=2).enqueue().result(timeout=5), list[int])
assert_type(workflow(summed).enqueue(workflow_id="w").tree(), WorkflowInfo)
add.using(on_failure="continue", compensate=add.message(1), after=[summed])
nightly = Schedule("nightly", Cron("0 3 * * *", zone="Europe/Oslo"), add.message(1))
often = Schedule("often", Every(minutes=5), add.message(1))
once = Schedule("once", At(datetime(2030, 1, 31, 9, 0, tzinfo=UTC)), add.message(1))
dusk = Schedule(
    "dusk", Solar("sunset", 59.9, 10.7, offset=timedelta(1)), add.message(1)
)


@app.on_worker_start(queue="gpu")
def warm() -> None:
    return None


@app.resource
def pool() -> Iterator[set[int]]:
    yield {1}


@app.resource(eager=True)
def model() -> Iterator[list[float]]:
    yield [1.0]


@app.task
def uses(number: int, of: Annotated[set[int], pool] = injected) -> int:
    job = current_job()
    if job:
        assert_type(job.resource(model), list[float])
    return number + len(of)


@app.middleware
def timed(job: RunningJob) -> Iterator[None]:
    job.log("before")
    yield


@app.middleware
def untimed(_job: RunningJob) -> AbstractContextManager[None]:
    return nullcontext()


assert_type(pool, Resource[set[int]])
assert_type(model, Resource[list[float]])
assert_type(uses.enqueue(1), Job[int])
assert_type(uses(1, of={2}), int)
assert_type(add.enqueue(1).info().log, tuple[str, ...])
App(queues=[Queue("a")], tasks="t", middleware=[timed], allow=["b"], accept_pickle=True)
App(queues=[Queue("a")], tasks="t", signed="send")
