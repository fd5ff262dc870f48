"""A Redis of our own for one run: nothing of the last one is left in it."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from benchmarks.environments import CannotRunError
from headway.embedded.redis import Redis as Embedded

_START = 10.0


@contextmanager
def redis_server(*, append_only: bool) -> Iterator[Redis]:
    """Run a server, and give a client of it.

    Raises:
        CannotRunError: it did not start.
    """
    with TemporaryDirectory(prefix="bench-") as folder:
        port = _free_port()
        program = Embedded(folder=Path(folder), port=port).command()[0]
        kept = "yes" if append_only else "no"
        command = [
            *(program, "--bind", "127.0.0.1", "--port", str(port), "--dir", folder),
            *("--save", "", "--appendonly", kept, "--appendfsync", "everysec"),
            # As `headway up` has it; for all contestants.
            *("--stream-node-max-bytes", "256"),
        ]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            client = Redis.from_url(f"redis://127.0.0.1:{port}/0")
            try:
                _wait(client)
                yield client
            finally:
                client.close()
                process.kill()


def address(client: Redis) -> str:
    """Return the server's address, for those who connect themselves."""
    return f"redis://127.0.0.1:{client.get_connection_kwargs()['port']}/0"


def _wait(client: Redis) -> None:
    deadline = time.monotonic() + _START
    while time.monotonic() < deadline:
        try:
            client.ping()
        except RedisConnectionError:
            time.sleep(0.02)
        else:
            return
    raise CannotRunError(f"the Redis server did not answer within {_START:.0f} s")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
