"""The connections to Postgres: a pool a process, opened when first used.

A worker forks for its jobs, and a connection must not be shared by two processes. So
the pool is kept by process id: a child opens its own and leaves its parent's alone.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.errors import UndefinedTable
from psycopg_pool import ConnectionPool

from headway.errors import ConfigurationError

#: Raised by two pools of one number: processes that set the tables up stand in line.
SCHEMA_LOCK = 4_173_205
SCHEMA_VERSION = "2"  # raise it with schema.sql; what is there is brought up
LARGEST_POOL = 4
PATIENCE = 15.0

Connection = psycopg.Connection[tuple[Any, ...]]


@contextmanager
def connection() -> Generator[Connection]:
    """Lend a connection in a transaction: committed at the end, or rolled back.

    Raises:
        ConfigurationError: where nothing says where Postgres is.
    """
    with _pool(os.getpid(), address()).connection() as lent:
        yield lent


def address() -> str:
    """Return where Postgres is.

    Raises:
        ConfigurationError: where nothing says so.
    """
    found = os.environ.get("DATABASE_URL")
    if not found:
        raise ConfigurationError(
            "DATABASE_URL is not set: start with `./scripts/run` or `headway up`, "
            "which bring a Postgres of their own, or set it to postgresql://user@host/name"
        )
    return found


@cache
def _pool(_process: int, url: str) -> ConnectionPool[Connection]:
    _create_schema(url)
    return ConnectionPool(
        make_conninfo(url, options="-c search_path=brain,public"),
        connection_class=Connection,
        min_size=1,
        max_size=LARGEST_POOL,
        timeout=PATIENCE,
        check=ConnectionPool.check_connection,
        open=True,
    )


def _create_schema(url: str) -> None:
    """Set the tables up, once for all processes and for good."""
    with psycopg.connect(url) as database:
        if _has_schema(database):
            return
        database.execute("select pg_advisory_xact_lock(%s)", [SCHEMA_LOCK])
        database.execute(Path(__file__).with_name("schema.sql").read_bytes())
        database.execute(
            "insert into brain.settings values ('schema', %s) "
            "on conflict (name) do update set value = excluded.value",
            [SCHEMA_VERSION],
        )


def _has_schema(database: psycopg.Connection[Any]) -> bool:
    try:
        with database.transaction():
            row = database.execute(
                "select value from brain.settings where name = 'schema'"
            ).fetchone()
    except UndefinedTable:
        return False
    return row is not None and row[0] == SCHEMA_VERSION
