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
_LONGEST = 65_536
_TIME_UP = (errno.EAGAIN, errno.EWOULDBLOCK)


def socket_of(connection: Any) -> socket.socket | None:  # noqa: ANN401 - typed in part
    """Return the socket of a connection if the system alone reads and writes it."""
    found: socket.socket | None = getattr(connection, "_sock", None)
    if found is None or found.gettimeout() is None:
        return found
    return found if _is_set_up(found, found.gettimeout() or 0) else None


def given_back(connection: Any) -> Any:  # noqa: ANN401
    """Return a connection as redis-py has it: it keeps the time limits again."""
    line: socket.socket | None = getattr(connection, "_sock", None)
    if line is not None and line.gettimeout() is None:
        line.settimeout(connection.socket_timeout)
    return connection


def ask(line: socket.socket, command: bytes) -> int:
    """Send a command whose answer is a number, and return that.

    Raises:
        ConnectionError: the answer was lost; the command may have been run.
        TimeoutError: likewise.
        ResponseError: Redis refuses it.
    """
    try:
        line.sendall(command)
        answer = line.recv(_LONGEST)
        if answer == _DONE:
            return 0
        while answer and not answer.endswith(b"\r\n"):
            answer += line.recv(_LONGEST)
    except OSError as error:
        if error.errno in _TIME_UP:
            raise RedisTimeoutError("Timeout reading from socket") from error
        raise RedisConnectionError(f"Connection lost: {error}") from error
    return _number(answer)


def _number(answer: bytes) -> int:
    if answer.startswith(b":"):
        return int(answer[1:])
    if answer.startswith(b"-"):
        text = answer[1:-2].decode(errors="replace")
        raise DefaultParser.parse_error(text)
    raise RedisConnectionError("Connection closed by server.")


def _is_set_up(line: socket.socket, seconds: float) -> bool:
    """Let the kernel keep the time limit; TLS and green threads need Python's."""
    if not isinstance(type(line).recv, MethodDescriptorType):
        return False
    part, whole = math.modf(seconds)
    limit = struct.pack("ll", int(whole), int(part * 1e6))
    try:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    except OSError:
        return False
    line.settimeout(None)
    return True
