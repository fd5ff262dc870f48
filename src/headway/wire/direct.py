"""A question asked on a connection's own socket, past redis-py.

Sending one job waits for one short answer. redis-py's way to it (a look at the clock
for its health check, a `poll` before each call of the system, a buffer, a parser) takes
as long as Redis needs for the job. The kernel keeps the time limit here instead.
"""

from __future__ import annotations

import errno
import math
import socket
import struct
from types import MethodDescriptorType
from typing import Any

from redis.connection import DefaultParser
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

_DONE = b":0\r\n"
_MOST = 256
_TIME_UP = (errno.EAGAIN, errno.EWOULDBLOCK)


def given_back(connection: Any) -> Any:  # noqa: ANN401
    """Return a connection as redis-py has it: it keeps the time limits again."""
    line: socket.socket | None = getattr(connection, "_sock", None)
    if line is not None and line.gettimeout() is None:
        line.settimeout(connection.socket_timeout)
    return connection


def ask(connection: Any, command: bytes) -> int:  # noqa: ANN401 - typed in part
    """Send a command whose answer is a number, and return that.

    Raises:
        ConnectionError: the answer was lost; the command may have been run.
        TimeoutError: likewise.
        ResponseError: Redis refuses it.
    """
    line: socket.socket | None = getattr(connection, "_sock", None)
    if line is None or (line.gettimeout() is not None and not _is_set_up(line)):
        return _asked_by_redis_py(connection, command)
    try:
        line.sendall(command)
        answer = line.recv(_MOST)
        if answer == _DONE:
            return 0
        while answer and not answer.endswith(b"\r\n"):
            answer += line.recv(_MOST)
    except OSError as error:
        if error.errno in _TIME_UP:
            raise RedisTimeoutError("Timeout reading from socket") from error
        raise RedisConnectionError(f"Connection lost: {error}") from error
    return _number(answer)


def _asked_by_redis_py(connection: Any, command: bytes) -> int:  # noqa: ANN401
    connection.send_packed_command([command])
    answer: int = connection.read_response(disable_decoding=True)
    return answer


def _number(answer: bytes) -> int:
    if answer.startswith(b":"):
        return int(answer[1:])
    if answer.startswith(b"-"):
        text = answer[1:-2].decode(errors="replace")
        raise DefaultParser.parse_error(text)  # type: ignore[no-untyped-call]
    raise RedisConnectionError("Connection closed by server.")


def _is_set_up(line: socket.socket) -> bool:
    """Let the kernel keep the time limit; TLS and green threads need Python's."""
    if not isinstance(type(line).recv, MethodDescriptorType):
        return False
    part, whole = math.modf(line.gettimeout() or 0)
    limit = struct.pack("ll", int(whole), int(part * 1e6))
    try:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    except OSError:
        return False
    line.settimeout(None)
    return True
