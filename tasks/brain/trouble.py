"""What to do about an error: wait, where a server is away; note it, where it stays."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import psycopg
import psycopg_pool
import redis.exceptions
from neo4j.exceptions import DriverError, TransientError

from headway.errors import EnqueueError, StoreError
from tasks.brain import store

#: A server was away or busy: trying again later is all it takes.
PASSING: tuple[type[Exception], ...] = (
    psycopg.OperationalError,
    psycopg_pool.PoolTimeout,
    DriverError,
    TransientError,
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
    EnqueueError,
    StoreError,
)


@contextmanager
def noted(document_id: int, what: str) -> Generator[None]:
    """Write beside the document why a step failed for good, and let it fail."""
    try:
        yield
    except PASSING:
        raise
    except Exception as error:
        # Whatever it was, the document's row must say why it is not complete.
        store.set_problem(document_id, f"{what}: {type(error).__name__}: {error}")
        raise
