"""A Redis of our own for one run: nothing of the last one is left in it."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from benchmarks.environments import CannotRunError
from headway.embedded.port import HOST, choose
from headway.embedded.redis import Redis as Embedded

_START = 20.0
Kept = Literal["no", "everysec", "always"]


class RedisServer:
    """A server in a folder, which can be stopped and started again."""

    def __init__(
        self, folder: Path, *, append_only: Kept = "no", port: int | None = None
    ) -> None:
        """Choose a port, the given one where it is free."""
        self.port = choose("redis", last=port)
        self.url = f"redis://{HOST}:{self.port}/0"
        program = Embedded(folder=folder, port=self.port).command()[0]
        kept = "no" if append_only == "no" else "yes"
        fsync = "everysec" if append_only == "no" else append_only
        self._command = [
            *(program, "--bind", HOST, "--port", str(self.port), "--dir", str(folder)),
            *("--save", "", "--appendonly", kept, "--appendfsync", fsync),
            # As `headway up` has it; for all contestants.
            *("--stream-node-max-bytes", "256"),
        ]
        self.client = Redis.from_url(self.url)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, with what its folder holds.

        Raises:
            CannotRunError: it did not answer in time.
        """
        self._process = subprocess.Popen(
            self._command,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C is for us: workers leave it first
        )
        deadline = time.monotonic() + _START
        while time.monotonic() < deadline:
            try:
                self.client.ping()
            except RedisConnectionError:  # it loads, or does not listen yet
                time.sleep(0.02)
            else:
                return
        raise CannotRunError(f"the Redis server did not answer within {_START:.0f} s")

    def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it by that signal; SIGTERM lets it write down what it has."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait()
            self._process = None


@contextmanager
def redis_server(*, append_only: bool) -> Iterator[Redis]:
    """Run a server, and give a client of it.

    Raises:
        CannotRunError: it did not start.
    """
    with TemporaryDirectory(prefix="bench-") as folder:
        kept: Kept = "everysec" if append_only else "no"
        server = RedisServer(Path(folder), append_only=kept)
        try:
            server.start()
            yield server.client
        finally:
            server.client.close()
            server.end()


def address(client: Redis) -> str:
    """Return the server's address, for those who connect themselves."""
    return f"redis://{HOST}:{client.get_connection_kwargs()['port']}/0"
