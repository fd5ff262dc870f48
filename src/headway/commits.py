"""A row in a database of your own that says which jobs have been committed.

A job may run twice: its worker may die after the work is done, or be taken for dead and
go on. So a job's own writes and a row that names the job are made in one transaction,
and the row can be made by one run only: the others hear that there is nothing to do.

The number in the row is a fencing token, as in M. Kleppmann, "How to do distributed
locking" (2016): it grows each time that the job is given to a worker.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple

from headway.errors import ConfigurationError

TABLE = "headway_commits"
_CREATE = f"""\
CREATE TABLE IF NOT EXISTS {TABLE} (
    job text PRIMARY KEY,
    fence bigint NOT NULL,
    committed_at timestamp with time zone NOT NULL DEFAULT CURRENT_TIMESTAMP
)"""
#: A run that asks twice is told the same; any other finds the row there.
_CLAIM = f"""\
INSERT INTO {TABLE} (job, fence) VALUES (%s, %s)
ON CONFLICT (job) DO UPDATE SET fence = excluded.fence
WHERE {TABLE}.fence = excluded.fence"""  # noqa: S608 - its name is ours
_IDLE = 0  # psycopg.pq.TransactionStatus


class Told(NamedTuple):
    """What a database answered."""

    rows: int
    first: Sequence[Any] | None = None


class Ask(NamedTuple):
    """A statement, and whether a row of its answer is wanted."""

    text: str
    values: tuple[Any, ...] = ()
    wants_row: bool = False


Steps = Generator[Ask, Told, bool]


def claim(connection: Any, job: str, fence: int) -> bool:  # noqa: ANN401 - of many libraries
    """Write the row, in the transaction that is under way; tell whether it is ours.

    Waits while another run's transaction that has written it is not over.

    Raises:
        ConfigurationError: this is no connection, or no transaction is under way.
    """
    connection = _plain(connection)
    _refuse_autocommit(connection)
    if hasattr(connection, "exec_driver_sql"):  # SQLAlchemy's
        _refuse_autocommit(connection.connection.driver_connection)
    steps = _steps(connection, job, fence)
    ask = next(steps)
    while True:
        try:
            ask = steps.send(_told(connection, ask))
        except StopIteration as ended:
            return bool(ended.value)


async def claim_async(connection: Any, job: str, fence: int) -> bool:  # noqa: ANN401
    """Do what `claim` does, on a connection whose calls are awaited.

    Raises:
        ConfigurationError: this is no connection, or no transaction is under way.
    """
    _refuse_autocommit(connection)
    if hasattr(connection, "exec_driver_sql"):  # SQLAlchemy's
        _refuse_autocommit((await connection.get_raw_connection()).driver_connection)
    steps = _steps(connection, job, fence)
    ask = next(steps)
    while True:
        try:
            ask = steps.send(await _told_async(connection, ask))
        except StopIteration as ended:
            return bool(ended.value)


def _steps(connection: object, job: str, fence: int) -> Steps:
    if _is_sqlite(connection):
        yield Ask(_CREATE)
    else:
        found = yield Ask(f"SELECT to_regclass('{TABLE}')", wants_row=True)
        if not found.first or found.first[0] is None:
            # One at a time, or two that create it at once are in each other's way.
            yield Ask(f"SELECT pg_advisory_xact_lock(hashtext('{TABLE}'))")
            yield Ask(_CREATE)
    claimed = yield Ask(_CLAIM, (job, fence))
    return claimed.rows == 1


def _plain(connection: Any) -> Any:  # noqa: ANN401 - of many libraries
    """Return the connection of a session of SQLAlchemy, or the connection itself."""
    is_session = hasattr(connection, "get_bind") and hasattr(connection, "connection")
    return connection.connection() if is_session else connection


def _told(connection: Any, ask: Ask) -> Told:  # noqa: ANN401 - of many libraries
    if hasattr(connection, "exec_driver_sql"):
        answer = connection.exec_driver_sql(_text(connection, ask), ask.values)
        return Told(answer.rowcount, answer.fetchone() if ask.wants_row else None)
    cursor = _cursor(connection)
    try:
        cursor.execute(_text(connection, ask), ask.values)
        return Told(cursor.rowcount, cursor.fetchone() if ask.wants_row else None)
    finally:
        cursor.close()


async def _told_async(connection: Any, ask: Ask) -> Told:  # noqa: ANN401
    if hasattr(connection, "exec_driver_sql"):
        answer = await connection.exec_driver_sql(_text(connection, ask), ask.values)
        return Told(answer.rowcount, answer.fetchone() if ask.wants_row else None)
    async with _cursor(connection) as cursor:
        await cursor.execute(_text(connection, ask), ask.values)
        first = await cursor.fetchone() if ask.wants_row else None
        return Told(cursor.rowcount, first)


def _cursor(connection: Any) -> Any:  # noqa: ANN401 - of many libraries
    if not hasattr(connection, "cursor"):
        raise ConfigurationError(
            f"commit({connection!r:.80}): expected an open connection to a database "
            "of yours, as of psycopg, Django or SQLAlchemy"
        )
    return connection.cursor()


def _text(connection: object, ask: Ask) -> str:
    return ask.text.replace("%s", "?") if _is_sqlite(connection) else ask.text


def _is_sqlite(connection: Any) -> bool:  # noqa: ANN401 - of many libraries
    dialect = getattr(getattr(connection, "dialect", None), "name", "")
    vendor = getattr(connection, "vendor", "")  # Django's word for it
    module = type(connection).__module__
    return "sqlite" in (dialect, vendor) or module.startswith(("sqlite3", "aiosqlite"))


def _refuse_autocommit(connection: Any) -> None:  # noqa: ANN401 - of many libraries
    """Refuse a connection on which the row would be committed alone."""
    if hasattr(connection, "in_atomic_block"):
        alone = not connection.in_atomic_block
    elif hasattr(connection, "isolation_level") and _is_sqlite(connection):
        by_itself = getattr(connection, "autocommit", None) is True  # from 3.12 on
        by_itself = by_itself or connection.isolation_level is None
        alone = by_itself and not connection.in_transaction
    elif getattr(connection, "autocommit", False) is True:
        status = getattr(getattr(connection, "info", None), "transaction_status", _IDLE)
        alone = status == _IDLE
    else:
        alone = False
    if alone:
        raise ConfigurationError(
            "commit(connection): no transaction is under way, so the row would be "
            "committed without your own writes; begin one, as "
            "`with connection.transaction():` of psycopg, or Django's `atomic()`"
        )
