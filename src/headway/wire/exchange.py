"""What an application asks of Redis in packed commands, from any thread.

A connection is taken from the client's pool once and kept: the pool's own checks cost
as much as packing a job. That the server went away meanwhile is noticed by asking. The
commands are then sent again, as redis-py would: only what does no harm when it is run
twice may be asked here.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoScriptError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from headway.wire import direct

if TYPE_CHECKING:
    from redis import Redis

T = TypeVar("T")

#: Commands under way at once: Redis runs one while the next is packed. Answers wait
#: in the buffers of sockets meanwhile, so they are to be small.
DEPTH = 4
#: For how long a call goes on while nothing is answered, in seconds.
WHOLE = 2.0

#: How long an answer is waited for where no time is left, in seconds.
_SHORTEST = 0.05
#: An answer that redis-py takes for a lost connection.
_REFUSED = (AuthenticationError, BusyLoadingError)


class Exchange:
    """The connections of one client that are kept for packed commands."""

    def __init__(self, client: Redis) -> None:
        self._pool: Any = client.connection_pool  # redis-py is typed in part
        self._kept: deque[Any] = deque()
        self._process = os.getpid()

    def ask(self, commands: Iterable[bytes]) -> Iterator[Any]:
        """Send each command once the one before it is on its way; yield the answers.

        Raises:
            ConnectionError: Redis is away; what was sent last may have been run.
            TimeoutError: likewise.
            ResponseError: Redis refuses a command.
        """
        began = time.monotonic()
        talk = _Talk(direct.given_back(self._take()), began)
        try:
            for command in commands:
                talk.send(command)
                if len(talk.unanswered) == DEPTH:
                    yield talk.answer()
            while talk.unanswered:
                yield talk.answer()
        finally:
            self._put_back(talk)

    def ask_one(self, command: bytes) -> int:
        """Send a command whose answer is a number; raises what `ask` does."""
        began = time.monotonic()
        connection = self._take()
        try:
            answer = direct.ask(connection, command)
        except ResponseError:  # this, too, is an answer
            self._kept.append(connection)
            raise
        except RedisConnectionError as error:
            return self._ask_again(connection, command, error, began)
        except BaseException:
            connection.disconnect()
            self._pool.release(connection)
            raise
        self._kept.append(connection)
        return answer

    def _ask_again(
        self,
        connection: Any,  # noqa: ANN401
        command: bytes,
        error: RedisConnectionError,
        began: float,
    ) -> int:
        talk = _Talk(connection, began)
        talk.unanswered.append(command)
        try:
            return int(talk.answer(failed_with=error))
        except NoScriptError:
            raise
        except (AuthenticationError, ResponseError) as refusal:
            if isinstance(error, _REFUSED):
                raise
            # What is refused now may have been taken before its answer was lost.
            raise RedisConnectionError(str(refusal)) from refusal
        finally:
            self._put_back(talk)

    def _put_back(self, talk: _Talk) -> None:
        # A line that was lost has the time limits of this call, and one call's answer
        # must never be read as another's.
        if talk.was_lost or talk.unanswered:
            talk.connection.disconnect()
        if talk.unanswered:
            self._pool.release(talk.connection)
        else:
            self._kept.append(talk.connection)

    def _take(self) -> Any:  # noqa: ANN401 - a connection, and likewise below
        if self._process != os.getpid():  # forked: those belong to the parent
            self._kept, self._process = deque(), os.getpid()
        try:
            return self._kept.pop()
        except IndexError:
            return self._from_pool()

    def _from_pool(self) -> Any:  # noqa: ANN401
        try:
            return self._pool.get_connection()
        except TypeError:  # redis-py before 5.3 wants to hear what for
            return self._pool.get_connection("EVALSHA")


class _Talk:
    """Commands that were sent on a connection, and not answered yet."""

    def __init__(self, connection: Any, began: float) -> None:  # noqa: ANN401
        self.connection = connection
        self._until = began + WHOLE
        self._sent = 0
        self._is_lost = self.was_lost = False
        self.unanswered: deque[bytes] = deque()

    def send(self, command: bytes) -> None:
        """Send a command behind the others."""
        self.unanswered.append(command)
        self._retried(self._send)

    def answer(self, failed_with: Exception | None = None) -> Any:  # noqa: ANN401
        """Return the answer to the oldest command, which may have failed once."""
        failed = [failed_with] if failed_with else []

        def receive() -> Any:  # noqa: ANN401
            if failed:
                raise failed.pop()
            return self._receive()

        try:
            found = self._retried(receive)
        except ResponseError:  # this, too, is an answer
            self._forget()
            raise
        self._forget()
        return found

    def _forget(self) -> None:
        self.unanswered.popleft()
        self._sent -= 1
        self._until = time.monotonic() + WHOLE

    def _retried(self, step: Callable[[], T]) -> T:
        answer: T = self.connection.retry.call_with_retry(step, self._lose)
        return answer

    def _lose(self, _error: Exception) -> None:
        self.connection.disconnect()
        self._sent, self._is_lost, self.was_lost = 0, True, True

    def _send(self) -> None:
        if self._is_lost:
            self._reconnect()
        while self._sent < len(self.unanswered):
            self.connection.send_packed_command([self.unanswered[self._sent]])
            self._sent += 1

    def _receive(self) -> Any:  # noqa: ANN401 - likewise
        self._send()
        if self.was_lost and not self.connection.can_read(timeout=self._left):
            raise RedisTimeoutError("Timeout reading from socket")
        return self.connection.read_response(disable_decoding=True)

    @property
    def _left(self) -> float:
        return max(0.0, self._until - time.monotonic())

    def _reconnect(self) -> None:
        limit = self.connection.socket_timeout
        self.connection.socket_timeout = max(_SHORTEST, self._left)
        try:
            self.connection.connect()
        finally:
            self.connection.socket_timeout = limit
        self._is_lost = False
