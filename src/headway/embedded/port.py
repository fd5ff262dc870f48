from __future__ import annotations

import random
import socket

from headway.errors import EmbeddedServerError

HOST = "127.0.0.1"

#: Below the range from which the kernel takes ports for outgoing connections.
#: A client that reconnects to a port of that range while its server is away can
#: be given the same port as its own, meets itself, and keeps the server out.
_RANGE = range(20_000, 30_000)


def is_free(port: int) -> bool:
    """Tell whether a server could listen on that port of the loopback address."""
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((HOST, port))
        except OSError:
            return False
    return True


def choose(name: str, *, asked: int | None = None, last: int | None = None) -> int:
    """Return the port asked for, else the last one when it is free, else a new one.

    Raises:
        EmbeddedServerError: when the port asked for is in use, or none is free.
    """
    if asked is not None:
        if not is_free(asked):
            raise EmbeddedServerError(
                f"{name}: port {asked} is in use; ask for another one, or end what "
                f"uses it (`ss -ltnp 'sport = :{asked}'` names it)"
            )
        return asked
    if last is not None and is_free(last):
        return last
    for port in random.sample(_RANGE, 200):
        if is_free(port):
            return port
    raise EmbeddedServerError(
        f"{name}: no free port found from {_RANGE[0]} to {_RANGE[-1]}; ask for one"
    )


def exchange(port: int, request: bytes) -> bytes:
    """Return all that the server on that port answers until it hangs up; b"" if none.

    For asking whether a server is up, without the weight of its client library.
    """
    answer = b""
    try:
        with socket.create_connection((HOST, port), timeout=2) as connection:
            connection.sendall(request)
            while part := connection.recv(4096):
                answer += part
    except OSError:
        return b""
    return answer
