"""One connection to Redis, and commands packed by hand.

redis-py packs argument by argument and retries command by command. A worker's hot loop
sends hundreds of arguments at once, and must know itself when an answer was lost: so
it writes bytes, on a connection that redis-py has made (TLS, password, parser).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from headway.wire.client import silence_of
from headway.wire.scripts import Script
from headway.wire.steadfast import is_no_primary

if TYPE_CHECKING:
    from redis import Redis
    from redis.connection import Connection


def pack(*arguments: bytes | str | float) -> bytes:
    """Return arguments as Redis reads them, without the line that counts them."""
    return b"".join(map(_bulk, arguments))


def command(count: int, packed: bytes) -> bytes:
    """Return a whole command of that many packed arguments."""
    return b"*%d\r\n%b" % (count, packed)


def call(script: Script, count: int, packed: bytes) -> bytes:
    """Return a call of a script: packed are the number of keys, keys and arguments."""
    return command(count + 2, pack(b"EVALSHA", script.sha) + packed)


def _bulk(argument: bytes | str | float) -> bytes:
    written = argument if isinstance(argument, bytes) else str(argument).encode()
    return b"$%d\r\n%b\r\n" % (len(written), written)


class Line:
    """A connection of a client's pool that is kept; one thread uses it."""

    def __init__(self, client: Redis, scripts: tuple[Script, ...]) -> None:
        self._pool = client.connection_pool
        self._silence, self._heard = silence_of(client), 0
        self._scripts = scripts
        self._connection: Connection | None = None

    def ask(self, packed: bytes, answers: int) -> list[Any]:
        """Send commands at once, and return what each of them answered.

        Raises:
            ConnectionError: the answer was lost; the commands may have been run.
            TimeoutError: likewise.
            ResponseError: Redis refuses one of them.
        """
        if self._heard != self._silence.count:
            self.close()
        connection = self._connection or self._connect()
        try:
            found = self._exchange(connection, packed, answers)
            if any(isinstance(answer, NoScriptError) for answer in found):
                self._load(connection)  # a restarted server: none of them was run
                found = self._exchange(connection, packed, answers)
        except BaseException as error:
            self.close()  # an answer may still be under way: never read it as another's
            if isinstance(error, RedisTimeoutError):
                self._silence.tell()
            raise
        for answer in found:
            if isinstance(answer, ResponseError):
                if is_no_primary(answer):
                    self.close()  # the next connection leads to the primary
                raise answer
        return found

    def close(self) -> None:
        """Give the connection up; the next question makes another."""
        if self._connection is not None:
            self._connection.disconnect()  # type: ignore[no-untyped-call]
            self._pool.release(self._connection)
            self._connection = None

    def _connect(self) -> Connection:
        self._heard = self._silence.count
        connection: Connection = self._pool.get_connection()
        try:
            self._load(connection)
        except BaseException:
            connection.disconnect()  # type: ignore[no-untyped-call]
            self._pool.release(connection)
            raise
        self._connection = connection
        return connection

    def _load(self, connection: Connection) -> None:
        packed = b"".join(
            command(3, pack(b"SCRIPT", b"LOAD", script.text))
            for script in self._scripts
        )
        self._exchange(connection, packed, len(self._scripts))

    def _exchange(
        self, connection: Connection, packed: bytes, answers: int
    ) -> list[Any]:
        connection.send_packed_command(  # type: ignore[no-untyped-call]
            [packed], check_health=False
        )
        return [_answer(connection) for _ in range(answers)]


def _answer(connection: Connection) -> Any:  # noqa: ANN401 - as Redis has it
    try:
        return connection.read_response(disable_decoding=True)
    except ResponseError as error:
        return error  # the answers after it have to be read, too
