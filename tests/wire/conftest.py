from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest
from rq import Queue
from rq.serializers import JSONSerializer

from headway import App, load_app


@pytest.fixture
def app(sample, redis_url, monkeypatch) -> Iterator[App]:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("HEADWAY_APP", "sample_app:app")
    app = load_app("sample_app:app")
    yield app
    app.close()


@pytest.fixture
def basic(app) -> ModuleType:
    return importlib.import_module("sample_tasks.basic")


@pytest.fixture
def queue(store) -> Queue:
    """RQ's own queue, as a stock producer has it."""
    return Queue("default", connection=store, serializer=JSONSerializer)


@pytest.fixture
def work(command) -> Callable[..., str]:
    """Run a worker's command on all that waits; return what it said."""

    def run(*arguments: str, **env: str) -> str:
        done = command(*arguments, env=env)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    return run
