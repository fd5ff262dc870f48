from __future__ import annotations

import errno
import signal
import socket
import threading
from types import FrameType

from flask import Flask
from waitress.server import create_server

from headway.errors import ConfigurationError

THREADS = 8


def serve(app: Flask, host: str = "127.0.0.1", port: int = 9181) -> None:
    """Serve the dashboard until SIGTERM or Ctrl-C.

    By waitress: pure Python, no dependencies, a real server with threads and limits,
    and the same one in development and production.

    Raises:
        ConfigurationError: the port is in use or not allowed, or the host is not ours.
    """
    # Bound here, since waitress leaves its socket open when it cannot have the port.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise ConfigurationError(_reason(host, port, error)) from error
    server = create_server(app, sockets=[listener], threads=THREADS, ident=None)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _stop)
    # Returns on SystemExit and KeyboardInterrupt, after the requests in progress.
    server.run()


def _stop(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001 - handler
    raise SystemExit(0)


def _reason(host: str, port: int, error: Exception) -> str:
    match getattr(error, "errno", None):
        case errno.EADDRINUSE:
            return (
                f"port {port} on {host} is in use: stop what listens there, or take "
                f"another port, as in --port {port + 1}"
            )
        case errno.EACCES:
            return f"port {port} is not allowed for this user: take one above 1023"
        case _:
            return f"the dashboard cannot listen on {host!r}, port {port}: {error}"
