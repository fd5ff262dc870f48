"""`claim`, on the connections of the libraries that it says it takes."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import psycopg
import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from headway.commits import claim, claim_async
from headway.errors import ConfigurationError

Transaction = Callable[[], AbstractContextManager[object]]


@pytest.fixture
def fresh(database):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS headway_commits")
    return database


def of_sqlalchemy(url):
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


@pytest.fixture(params=["psycopg", "sqlite3", "connection", "session"])
def transaction(request, fresh, tmp_path) -> Iterator[Transaction]:
    engine = sqlalchemy.create_engine(of_sqlalchemy(fresh))

    @contextmanager
    def session():
        with Session(engine) as made, made.begin():
            yield made

    ways: dict[str, Transaction] = {
        "psycopg": lambda: psycopg.connect(fresh),
        "sqlite3": lambda: sqlite3.connect(tmp_path / "database"),
        "connection": engine.begin,
        "session": session,
    }
    yield ways[request.param]
    engine.dispose()


def test_a_job_is_claimed_by_one_run_alone(transaction):
    with transaction() as connection:
        assert claim(connection, "job", 1)
        assert claim(connection, "job", 1)  # the same run, once more
    with transaction() as connection:
        assert not claim(connection, "job", 2)
        assert claim(connection, "other", 1)


def test_a_claim_is_rolled_back_with_what_it_is_for(transaction):
    def fail():
        with transaction() as connection:
            assert claim(connection, "job", 1)
            raise OSError

    for _ in range(2):
        with pytest.raises(OSError):  # noqa: PT011 - its own
            fail()
    with transaction() as connection:
        assert claim(connection, "job", 3)


def test_two_that_claim_at_once_wait_for_each_other(fresh):
    found, begun = [], threading.Event()

    def second():
        with psycopg.connect(fresh) as connection:
            begun.set()
            found.append(claim(connection, "job", 2))

    with psycopg.connect(fresh) as connection:
        assert claim(connection, "job", 1)  # with the table, that is not there yet
        thread = threading.Thread(target=second)
        thread.start()
        assert begun.wait(5)
        thread.join(0.2)
        assert found == []
    thread.join(5)
    assert found == [False]


def test_connections_that_are_awaited(fresh):
    async def both():
        async with await psycopg.AsyncConnection.connect(fresh) as connection:
            first = await claim_async(connection, "job", 1)
        engine = create_async_engine(of_sqlalchemy(fresh))
        async with engine.begin() as connection:
            second = await claim_async(connection, "job", 2)
        await engine.dispose()
        return first, second

    assert asyncio.run(both()) == (True, False)


def test_a_connection_without_a_transaction_is_refused(fresh):
    with (
        psycopg.connect(fresh, autocommit=True) as connection,
        pytest.raises(ConfigurationError, match="no transaction is under way"),
    ):
        claim(connection, "job", 1)
    with psycopg.connect(fresh, autocommit=True) as connection:
        with connection.transaction():
            assert claim(connection, "job", 1)
        with connection.transaction():
            assert not claim(connection, "job", 2)


def test_an_engine_that_commits_by_itself_is_refused(fresh):
    engine = sqlalchemy.create_engine(
        of_sqlalchemy(fresh), isolation_level="AUTOCOMMIT", poolclass=NullPool
    )
    with engine.connect() as connection:
        with pytest.raises(ConfigurationError, match="no transaction is under way"):
            claim(connection, "job", 1)
        connection.rollback()


DJANGO = """
import sys
from django.conf import settings
from urllib.parse import urlsplit, unquote

url = urlsplit(sys.argv[1])
postgres = {
    "ENGINE": "django.db.backends.postgresql", "NAME": url.path[1:],
    "HOST": url.hostname or "", "PORT": str(url.port or ""),
    "USER": unquote(url.username or ""), "PASSWORD": unquote(url.password or ""),
}
settings.configure(DATABASES={"default": postgres})
from django.db import connection, transaction
from headway.commits import claim
from headway.errors import ConfigurationError

try:
    claim(connection, "job", 1)
except ConfigurationError as error:
    print("refused" if "no transaction" in str(error) else error)
with transaction.atomic():
    print(claim(connection, "job", 1))
with transaction.atomic():
    print(claim(connection, "job", 2))
"""


def test_djangos_connections(fresh):
    done = subprocess.run(
        [sys.executable, "-c", DJANGO, fresh],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == ["refused", "True", "False"], done.stderr
