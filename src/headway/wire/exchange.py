"""What an application asks of Redis in packed commands, from any thread.

A connection is taken from the client's pool once and kept: the pool's own checks cost
as much as packing a job. That the server went away meanwhile is noticed by asking. The
commands are then sent again, as redis-py would: only what does no harm when it is run
twice may be asked here.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoScriptError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from headway.wire import direct

if TYPE_CHECKING:
    from redis import Redis

T = TypeVar("T")

#: Commands under way at once: Redis runs one while the next is packed. Answers wait
#: in the buffers of sockets meanwhile, so they are to be small.
DEPTH = 4

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
        talk = _Talk(direct.given_back(self._take()))
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
        connection = self._take()
        try:
            answer = direct.ask(connection, command)
        except ResponseError:  # this, too, is an answer
            self._kept.append(connection)
            raise
        except RedisConnectionError as error:
            return self._ask_again(connection, command, error)
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
    ) -> int:
        talk = _Talk(connection)
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
        if talk.unanswered:  # never read one call's answer as another's
            talk.connection.disconnect()
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

    def __init__(self, connection: Any) -> None:  # noqa: ANN401
        self.connection = connection
        self._sent = 0
        self._is_lost = False
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

    def _retried(self, step: Callable[[], T]) -> T:
        try:
            answer: T = self.connection.retry.call_with_retry(step, self._lose)
        except _AwayError as away:
            raise away.error from away
        return answer

    def _lose(self, _error: Exception) -> None:
        self.connection.disconnect()
        self._sent, self._is_lost = 0, True

    def _send(self) -> None:
        if self._is_lost:
            self._reconnect()
        while self._sent < len(self.unanswered):
            self.connection.send_packed_command([self.unanswered[self._sent]])
            self._sent += 1

    def _receive(self) -> Any:  # noqa: ANN401 - likewise
        self._send()
        return self.connection.read_response(disable_decoding=True)

    def _reconnect(self) -> None:
        try:
            self.connection.connect()  # patient by itself
        except RedisError as error:
            raise _AwayError(error) from error
        self._is_lost = False


class _AwayError(Exception):
    """Raised where Redis was waited for as long as is allowed; not tried again."""

    def __init__(self, error: RedisError) -> None:
        super().__init__(str(error))
        self.error = error
