from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Annotated, Any

import pytest

from headway import App, Queue, Retry, current_job, fixed, injected
from headway.errors import (
    ArgumentError,
    ConfigurationError,
    JobFailedError,
    ResourceError,
)
from headway.resource import Resource, Resources, define
from headway.testing import in_memory

said: list[str] = []


class Away(Exception):
    """The server is not there yet."""


def pool() -> Iterator[list[str]]:
    said.append("pool opens")
    yield said
    said.append("pool closes")


def client() -> Iterator[str]:
    said.append("client opens")
    yield "client"
    said.append("client closes")


POOL, CLIENT = define(pool), define(client, eager=True)


def uses_pool(number: int, pool: Annotated[list[str], POOL] = injected) -> int:
    pool.append(f"used {number}")
    return number


@pytest.fixture(autouse=True)
def nothing_said() -> None:
    said.clear()


@pytest.fixture
def app() -> App:
    return App(queues=[Queue("default")], tasks="tasks")


@pytest.fixture
def resources() -> Iterator[Resources]:
    made = Resources()
    yield made
    made.close()


def in_a_fork(check: Callable[[], object]) -> str:
    """Return what the check raises, or returns, in a forked process."""
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        try:
            text = str(check())
        except BaseException as error:  # noqa: BLE001 - the parent compares it
            text = f"{type(error).__name__}: {error}"
        os.write(writer, text.encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as pipe:
        return pipe.read()


def test_what_is_opened_last_is_closed_first(resources):
    assert resources.get(POOL) is resources.get(POOL)
    assert resources.get(CLIENT) == "client"
    resources.close()
    resources.close()
    assert said == ["pool opens", "client opens", "client closes", "pool closes"]


def test_only_the_eager_ones_are_opened_at_the_start(resources):
    resources.declared += [POOL, CLIENT]
    resources.open({"default"})
    assert said == ["client opens"]
    assert resources.kept


def test_one_of_a_queue_is_opened_only_where_that_is_served(resources):
    resources.declared += [define(pool, eager=True, queue="gpu"), CLIENT]
    resources.open({"default", "low"})
    assert said == ["client opens"]
    resources.open({"low", "gpu"})
    assert said == ["client opens", "pool opens"]


def test_an_eager_one_that_does_not_open_keeps_no_other_from_it(resources, caplog):
    def away() -> Iterator[None]:
        if not said:
            raise Away("no server")
        yield

    one = define(away, eager=True)
    resources.declared += [one, CLIENT]
    resources.open(())
    assert said == ["client opens"]
    assert "Away: no server" in caplog.text
    assert resources.get(one) is None


def test_it_is_opened_again_after_it_was_closed(resources):
    resources.get(CLIENT)
    resources.close()
    assert resources.get(CLIENT) == "client"


def test_many_threads_that_ask_at_once_get_the_same_one(resources):
    together = threading.Barrier(8, timeout=20)

    def slow() -> Iterator[object]:
        said.append("slow opens")
        yield object()

    one = define(slow)

    def ask(_number: int) -> object:
        together.wait()
        return resources.get(one)

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(ask, range(8)))) == 1
    assert said == ["slow opens"]


def test_a_resource_may_be_made_of_another(resources):
    def session() -> Iterator[str]:
        yield f"session of {resources.get(CLIENT)}"
        said.append("session closes")

    assert resources.get(define(session)) == "session of client"
    resources.close()
    assert said == ["client opens", "session closes", "client closes"]


def test_one_that_does_not_close_leaves_the_others_closed(resources, caplog):
    def stuck() -> Iterator[None]:
        yield
        raise OSError("still busy")

    resources.get(CLIENT)
    resources.get(define(stuck))
    resources.close()
    assert said == ["client opens", "client closes"]
    assert "a resource did not close" in caplog.text
    assert "still busy" in caplog.text


def test_one_that_cannot_be_opened_fails_the_job_and_the_next_tries_again(app):
    there = [False, True]

    @app.resource
    def flaky() -> Iterator[str]:
        if not there.pop(0):
            raise Away("no server")
        yield "there"

    def asks() -> str:
        return current_job().resource(flaky)

    with in_memory(app) as jobs:
        first, second = (app.task(asks).enqueue() for _ in range(2))
        jobs.drain(raise_failures=False)
        with pytest.raises(JobFailedError, match="Away: no server") as caught:
            first.result(timeout=0)
        assert second.result(timeout=0) == "there"
    assert 'raise Away("no server")' in caught.value.traceback


def test_a_retry_rule_may_name_what_an_opening_raises(app):
    tries = iter([Away("no server")])

    @app.resource
    def flaky() -> Iterator[str]:
        for error in tries:
            raise error
        yield "there"

    def asks() -> str:
        return current_job().resource(flaky)

    rule = Retry(attempts=2, on=(Away,), backoff=fixed(timedelta(0)))
    with in_memory(app) as jobs:
        job = app.task(retry=rule)(asks).enqueue()
        assert jobs.drain() == 2
        assert job.result(timeout=0) == "there"


def test_one_that_yields_nothing_says_so(resources):
    def empty() -> Iterator[None]:
        if said:
            yield

    with pytest.raises(ResourceError, match="empty yielded nothing"):
        resources.get(define(empty))


def test_what_was_opened_before_a_fork_is_refused_after_it_and_left_open(resources):
    resources.get(POOL)

    def after() -> str:
        for act in (resources.close, lambda: resources.get(CLIENT)):
            act()
        assert "pool closes" not in said
        resources.get(POOL)

    told = in_a_fork(after)
    assert told.startswith("ResourceError: resource tests.unit.test_resource.pool was")
    assert "opened before a fork" in told
    assert resources.get(POOL) is said


def test_a_fork_may_open_what_its_parent_had_not(resources):
    assert in_a_fork(lambda: resources.get(CLIENT)) == "client"
    assert said == []


def test_a_task_is_given_what_its_annotation_names(app):
    task = app.task(uses_pool)
    with in_memory(app) as jobs:
        assert task.enqueue(7).result() == 7
        jobs.assert_enqueued(task, 7)
        task.enqueue(number=8)
        jobs.drain()
    assert said == ["pool opens", "used 7", "used 8", "pool closes"]


def test_an_async_task_is_given_it_too(app):
    async def uses(pool: Annotated[list[str], POOL] = injected) -> int:
        await asyncio.sleep(0)
        return len(pool)

    with in_memory(app):
        assert app.task(uses).enqueue().result() == 1


def test_a_test_hands_over_its_own(app):
    mine: list[str] = []
    with in_memory(app) as jobs, jobs.replace(POOL, mine):
        app.task(uses_pool).enqueue(7)
        jobs.drain()
    assert mine == ["used 7"]
    assert said == []
    assert app.resources.get(POOL) is said
    app.close()


@pytest.mark.parametrize(("args", "kwargs"), [([7, []], {}), ([7], {"pool": []})])
def test_it_does_not_travel(app, args, kwargs):
    with pytest.raises(ArgumentError, match=r"\(pool=\.\.\.\): a resource does not"):
        app.task(uses_pool).enqueue(*args, **kwargs)


def test_a_call_made_here_and_now_passes_it(app):
    async def uses(pool: Annotated[list[str], POOL] = injected) -> int:
        return len(pool)

    for call in (lambda: app.task(uses_pool)(7), app.task(uses)):
        with pytest.raises(ArgumentError, match=r"pass it, as pool=\.\.\."):
            call()
    assert app.task(uses_pool)(7, pool=[]) == 7
    assert asyncio.run(app.task(uses)(["a"])) == 1
    assert repr(injected) == "injected"


def no_default(pool: Annotated[list[str], POOL]) -> None: ...
def no_resource(pool: list[str] = injected) -> None: ...


@pytest.mark.parametrize("function", [no_default, no_resource])
def test_half_of_a_definition_is_refused(app, function):
    with pytest.raises(ConfigurationError, match=r"`pool: Annotated\[Pool, database\]"):
        app.task(function).enqueue()


async def asynchronous() -> AsyncIterator[int]:
    yield 1


def with_parameters(number: int) -> Iterator[int]:
    yield number


@pytest.mark.parametrize(
    ("function", "options", "words"),
    [
        (client, {"scope": "job"}, "scope='job': expected 'child'"),
        (asynchronous, {}, "is an async generator"),
        (with_parameters, {}, "without parameters"),
        (len, {}, "opens, yields once and closes"),
        (pool, {"queue": "default"}, "add eager=True"),
        (pool, {"queue": "gpus", "eager": True}, "no queue 'gpus'; queues.py"),
    ],
)
def test_what_cannot_be_a_resource_is_refused(app, function, options, words):
    with pytest.raises(ConfigurationError, match=words):
        app.resource(**options)(function)


def test_the_decorator_is_written_with_and_without_options(app):
    made: list[Resource[Any]] = [app.resource(pool), app.resource(eager=True)(client)]
    assert app.resources.declared == made
    assert [one.eager for one in made] == [False, True]
    assert made[0].name == "tests.unit.test_resource.pool"
