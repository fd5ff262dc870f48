"""Workers as processes, and what they did as told by the marks of their jobs."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from rq import Queue
from rq.serializers import JSONSerializer

from headway import App, load_app
from headway.embedded.services import Services
from tests.worker.running import Book, Marks, Worker

HERE = Path(__file__).parent / "sample"
SRC = Path(__file__).parents[2] / "src"


@pytest.fixture
def folder(tmp_path) -> Path:
    made = tmp_path / "marks"
    made.mkdir()
    return made


@pytest.fixture
def marks(folder) -> Marks:
    return Marks(folder)


@pytest.fixture
def environment(environment, folder) -> dict[str, str]:
    return environment | {
        "HEADWAY_APP": "worker_app:app",
        "WORKER_FOLDER": str(folder),
        "PYTHONPATH": os.pathsep.join([str(HERE), str(SRC)]),
        "PYTHONFAULTHANDLER": "",
    }


@pytest.fixture
def app(environment, monkeypatch, marks) -> Iterator[App]:
    """The application as its producers have it."""
    for name in ("REDIS_URL", "WORKER_FOLDER"):
        monkeypatch.setenv(name, environment[name])
    monkeypatch.syspath_prepend(str(HERE))
    _forget()
    app = load_app("worker_app:app")
    importlib.import_module("worker_tasks")
    yield app
    app.close()
    _forget()


def _forget() -> None:
    for name in [n for n in sys.modules if n.startswith("worker_")]:
        del sys.modules[name]
    importlib.invalidate_caches()


@pytest.fixture
def tasks(app) -> ModuleType:
    return sys.modules["worker_tasks"]


@pytest.fixture
def worker(start) -> Iterator[Callable[..., Worker]]:
    """Start `headway worker`; with one child unless `--children` says more."""
    running: list[Worker] = []

    def begin(*arguments: str, **env: str) -> Worker:
        given = arguments if "--children" in arguments else (*arguments, "--children=1")
        made = Worker(start("headway", "worker", *given, env=env))
        running.append(made)
        return made

    yield begin
    for each in running:
        each.close()


@pytest.fixture
def burst(command) -> Callable[..., str]:
    """Run `headway worker --burst` to its end; return what it said."""

    def run(*arguments: str, **env: str) -> str:
        given = arguments if "--children" in arguments else (*arguments, "--children=1")
        done = command("headway", "worker", "--burst", *given, env=env)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture(scope="module")
def database(tmp_path_factory) -> Iterator[str]:
    """The address of a Postgres of the module's own."""
    data = tmp_path_factory.mktemp("services")
    with Services(data=data).running({"postgres"}) as environment:
        yield environment["DATABASE_URL"]


@pytest.fixture
def stock(store) -> Queue:
    """RQ's own queue, as a stock producer has it: no wake-up is sent."""
    return Queue("default", connection=store, serializer=JSONSerializer)


@pytest.fixture
def book(store) -> Book:
    return Book(store)
