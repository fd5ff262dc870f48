"""One suite, several engines: what application code is promised by each of them."""

from __future__ import annotations

import gc
import hashlib
import importlib
import multiprocessing
import os
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Protocol

import pytest
import rq
from redis import Redis
from rq.serializers import JSONSerializer

from headway import App, Worker, load_app
from headway.testing import Harness, in_memory
from headway.wire import keys

DEADLINE = 20
FORK = multiprocessing.get_context("fork")


class Engine(Protocol):
    app: App
    tasks: ModuleType

    def work(self) -> None:
        """Run all that is due, in a worker of this engine."""

    def pass_time(self, time: timedelta) -> None:
        """Let that much time pass."""


class ShiftedClock:
    """The machine's clock, shifted: processes that are forked later see it, too."""

    def __init__(self) -> None:
        self.shift = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.shift

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def shift_store_clock(app: App) -> None:
    """Let the scripts that say what schedules are due read a clock that tests move."""
    scripts = app.backend().timetable._scripts
    for script in (scripts.due_schedules, scripts.send_tick):
        moved = re.sub(rb"(redis\.)?call\('TIME'\)", b"shifted()", script.text)
        assert moved != script.text
        script.text = SHIFTED + moved
        script.sha = hashlib.sha1(script.text, usedforsecurity=False).hexdigest()


SHIFTED = b"""
local function shifted()
  local time = redis.call('TIME')
  return { time[1] + (redis.call('GET', 'shift') or 0), time[2] }
end
"""


class Memory:
    def __init__(self, harness: Harness, tasks: ModuleType) -> None:
        self.app, self.tasks, self._harness = harness.app, tasks, harness

    def work(self) -> None:
        self._harness.drain(raise_failures=False)

    def pass_time(self, time: timedelta) -> None:
        self._harness.clock.move(time)


class OnRedis:
    """RQ's data, worked on by real processes."""

    def __init__(
        self, app: App, tasks: ModuleType, url: str, make: Callable[[Redis], rq.Worker]
    ) -> None:
        self.app, self.tasks, self.url, self._make = app, tasks, url, make
        self.clock = app.clock = ShiftedClock()
        shift_store_clock(app)

    def work(self) -> None:
        process = self.worker()
        process.join(DEADLINE)
        assert process.exitcode == 0

    def worker(self) -> multiprocessing.process.BaseProcess:
        process = FORK.Process(target=self._serve, daemon=True)
        process.start()
        return process

    def _serve(self) -> None:
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        gc.freeze()  # drivers that other tests have open are not this worker's
        with Redis.from_url(self.url) as client:
            self._make(client).work(burst=True, logging_level="CRITICAL")

    def pass_time(self, time: timedelta) -> None:
        self.clock.shift += time
        with Redis.from_url(self.url) as client:
            client.incrby("shift", round(time.total_seconds()))
            for queue in self.app.queues:
                key = keys.scheduled(queue.name)
                for job_id in client.zrange(key, 0, -1):
                    client.zincrby(key, -time.total_seconds(), job_id)
        for queue in self.app.queues:
            self.app.backend().promote(queue.name)


def _headway(client: Redis) -> rq.Worker:
    return Worker(["high", "default", "low"], connection=client)


def _stock(client: Redis) -> rq.Worker:
    return rq.Worker(
        ["high", "default", "low"], connection=client, serializer=JSONSerializer
    )


@pytest.fixture
def sample_app(sample, monkeypatch, tmp_path) -> Iterator[App]:
    monkeypatch.setenv("HEADWAY_APP", "sample_app:app")
    monkeypatch.setenv("SAMPLE_LOG", str(tmp_path / "log"))
    (tmp_path / "log").touch()
    app = load_app("sample_app:app")
    app.registry.import_all()
    yield app
    app.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each module on the engines that it names."""
    for name in {"engine", "real"}.intersection(metafunc.fixturenames):
        engines = [
            e for e in metafunc.module.ENGINES if e != "memory" or name != "real"
        ]
        metafunc.parametrize(name, engines, indirect=True)


@pytest.fixture
def engine(request, sample_app) -> Iterator[Engine]:
    """The application on an engine; `stock` is RQ's own worker with `-S json`."""
    tasks = importlib.import_module("sample_tasks.basic")
    if request.param == "memory":
        with in_memory(sample_app) as harness:
            yield Memory(harness, tasks)
        return
    yield from _on_redis(request, sample_app, tasks, request.param)


@pytest.fixture
def real(request, sample_app) -> Iterator[OnRedis]:
    """Those engines whose workers are processes."""
    tasks = importlib.import_module("sample_tasks.basic")
    yield from _on_redis(request, sample_app, tasks, request.param)


def _on_redis(request, app: App, tasks: ModuleType, name: str) -> Iterator[OnRedis]:
    url = request.getfixturevalue("redis_url")
    request.getfixturevalue("monkeypatch").setenv("REDIS_URL", url)
    yield OnRedis(app, tasks, url, _headway if name == "rq" else _stock)


@pytest.fixture
def log(tmp_path) -> Callable[[], list[str]]:
    """The lines that tasks have written, in their order."""
    return lambda: (tmp_path / "log").read_text().split()


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """Return once it is so; fail when it is not in time."""

    def wait(holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE
        while not holds():
            assert time.monotonic() < deadline, "it did not happen in time"

    return wait
