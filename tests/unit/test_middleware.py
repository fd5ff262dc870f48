from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress

import pytest

from headway import App, Queue, RunningJob, current_job
from headway.errors import ConfigurationError, JobFailedError
from headway.observe.log import JobFields
from headway.testing import in_memory

said: list[str] = []


@pytest.fixture(autouse=True)
def nothing_said() -> None:
    said.clear()


@pytest.fixture
def app() -> App:
    return App(queues=[Queue("default")], tasks="tasks")


def outer(job: RunningJob) -> Iterator[None]:
    said.append(f"enter outer of {job.task.rpartition('.')[2]}")
    yield
    said.append("leave outer")


@contextmanager
def inner(job: RunningJob) -> Iterator[None]:
    assert job is current_job()
    said.append("enter inner")
    try:
        yield
    finally:
        said.append("leave inner")


def work() -> int:
    said.append("work")
    return 3


async def work_async() -> int:
    await asyncio.sleep(0)
    said.append("work")
    return 3


def fail() -> None:
    raise ValueError("no bread")


@pytest.mark.parametrize("function", [work, work_async])
def test_the_first_is_the_outermost_for_plain_and_for_async_tasks(function):
    app = App(queues=[Queue("default")], tasks="tasks", middleware=[outer])
    assert app.middleware(inner) is inner
    with in_memory(app):
        assert app.task(function).enqueue().result() == 3
    assert said == [
        f"enter outer of {function.__name__}",
        "enter inner",
        "work",
        "leave inner",
        "leave outer",
    ]


def test_what_a_task_raises_passes_through_all_of_it(app):
    seen: list[type] = []

    @app.middleware
    def watch(_job: RunningJob) -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            seen.append(type(error))
            raise LookupError("as the watcher says") from error

    app.middleware(inner)
    failed = pytest.raises(JobFailedError, match="LookupError: as the watcher says")
    with in_memory(app), failed:
        app.task(fail).enqueue().result()
    assert seen == [ValueError]
    assert said == ["enter inner", "leave inner"]


def test_one_that_keeps_the_exception_ends_the_job_as_finished(app):
    app.middleware(lambda _job: suppress(ValueError))
    with in_memory(app):
        assert app.task(fail).enqueue().result() is None


def test_one_that_raises_fails_the_job_and_what_was_entered_is_left(app):
    app.middleware(inner)

    @app.middleware
    def refuse(_job: RunningJob) -> Iterator[None]:
        if said:
            raise PermissionError("closed today")
        yield

    with in_memory(app), pytest.raises(JobFailedError, match="closed today"):
        app.task(work).enqueue().result()
    assert said == ["enter inner", "leave inner"]


async def coroutine(_job: RunningJob) -> None: ...
async def generator(_job: RunningJob) -> AsyncIterator[None]:
    yield


@pytest.mark.parametrize("function", [coroutine, generator, 7])
def test_what_cannot_be_entered_is_refused(app, function):
    with pytest.raises(ConfigurationError, match="that yields once"):
        app.middleware(function)


def test_what_a_job_logs_says_which_job_it_was(app, caplog):
    caplog.handler.addFilter(JobFields())
    caplog.set_level(logging.INFO)

    def talk(line: str) -> None:
        logging.getLogger("somebody.else").info(line, extra={"task": "mine"})

    with in_memory(app) as jobs:
        job = app.task(talk).enqueue("hello")
        jobs.drain()
    logging.getLogger("somebody.else").info("outside")
    inside, outside = caplog.records
    assert (inside.job_id, inside.queue, inside.attempt) == (job.id, "default", 1)
    assert inside.task == "mine"
    assert not hasattr(outside, "job_id")
