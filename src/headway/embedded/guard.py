from __future__ import annotations

import logging
import os
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from signal import SIGKILL
from threading import Event, Lock, Thread
from typing import TypedDict, Unpack

from headway.embedded.folder import described, last_lines
from headway.embedded.process import born, tied
from headway.embedded.record import Entry, Record
from headway.embedded.server import Server
from headway.errors import EmbeddedServerError

_READY_SECONDS = 60.0
_STOP_SECONDS = 15.0
_POLL = 0.02
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
#: What the environment of the application must not change in a server:
#: JAVA_TOOL_OPTIONS, LD_LIBRARY_PATH and the like stay outside.
_ENVIRONMENT = ("PATH", "HOME", "TZ")

_log = logging.getLogger(__name__)


class _Changes(TypedDict, total=False):
    pid: int
    born: str | None
    serving: bool
    environment: dict[str, str]


class Guard(Thread):
    """Keeps one server up until told to stop.

    The kernel ties a process to the *thread* that started it, so this thread
    starts every process of its server and lives as long as any of them.
    """

    def __init__(
        self, server: Server, record: Record, tell: Callable[[str, str], None]
    ) -> None:
        super().__init__(name=f"guard-{server.name}", daemon=True)
        self.server = server
        self._record = record
        #: Told the server's name, and "" once it is up or why it did not start.
        self._tell = tell
        self._was_up = False
        self._over = Event()
        self._changing = Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Start the server, and again whenever it ends, with growing pauses."""
        pause = _FIRST_PAUSE
        while not self._over.is_set():
            try:
                self._serve()
                pause = _FIRST_PAUSE
            except Exception as error:  # noqa: BLE001 - a dead guard keeps nothing
                if not self._was_up:
                    self._tell(self.server.name, described(self._record.data, error))
                    return
                _log.exception("%s did not start again", self.server.name)
                pause = min(2 * pause, _LONGEST_PAUSE)
            self._over.wait(pause)

    def publish(self) -> None:
        """Let others find the server."""
        self._note(serving=True, environment=self.server.environment())

    def withdraw(self) -> None:
        """Let nobody find the server any more; it may still be up."""
        with self._tolerant():
            self._note(serving=False)

    def close(self) -> None:
        """Leave nothing on record but the port, for the next start."""
        port = self.server.port
        with self._tolerant():
            self._record.change(self.server.name, lambda _: Entry(port=port))

    def stop(self) -> None:
        """Begin to end the server, and do not start it again."""
        with self._changing:
            self._over.set()
            if self._process is not None:
                self._process.send_signal(self.server.stop_signal)

    def finish(self) -> None:
        """Wait until the server has ended; killed when it takes too long."""
        self.join(_STOP_SECONDS)
        process = self._process
        if self.is_alive() and process is not None:
            _log.warning("%s did not stop and is killed", self.server.name)
            process.send_signal(SIGKILL)
            self.join(_STOP_SECONDS)

    def _serve(self) -> None:
        self.server.prepare()
        process = self._spawn()
        if process is None:
            return
        self._note(pid=process.pid, born=born(process.pid))
        try:
            self._await_ready(process)
        except EmbeddedServerError:
            process.kill()
            process.wait()
            raise
        if not self._over.is_set():
            self._welcome()
        code = process.wait()
        if not self._over.is_set():
            _log.warning("%s ended with %s: starts again", self.server.name, code)

    def _spawn(self) -> subprocess.Popen[bytes] | None:
        """Start a process, unless the stop has begun."""
        server = self.server
        if not self._was_up:
            # A first start begins a new log; what led to a crash stays in it.
            server.log.write_bytes(b"")
        with self._changing, server.log.open("ab") as log:
            if self._over.is_set():
                return None
            self._process = subprocess.Popen(
                # In this order: a change of user unties a process.
                [*server.account(), *tied(server.command(), server.stop_signal)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=server.folder,
                env={k: os.environ[k] for k in _ENVIRONMENT if k in os.environ},
            )
            return self._process

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not self.server.is_ready(process.pid):
            if self._over.wait(_POLL):
                return
            if process.poll() is not None:
                raise EmbeddedServerError(self._why(f"ended with {process.returncode}"))
            if time.monotonic() > deadline:
                raise EmbeddedServerError(
                    self._why(f"did not answer within {_READY_SECONDS:g} s")
                )

    def _why(self, what: str) -> str:
        log = self.server.log
        return (
            f"{self.server.name} {what} while it started on port "
            f"{self.server.port}; the end of {log}:\n{last_lines(log)}"
        )

    def _welcome(self) -> None:
        first, self._was_up = not self._was_up, True
        if first:
            self._tell(self.server.name, "")
        else:
            _log.warning("%s is up again", self.server.name)

    @contextmanager
    def _tolerant(self) -> Generator[None]:
        """Let a stop go on where the record cannot be written: the disk may be full."""
        try:
            yield
        except (EmbeddedServerError, OSError):
            _log.exception("%s: its record was not written", self.server.name)

    def _note(self, **changes: Unpack[_Changes]) -> None:
        def change(old: Entry | None) -> Entry:
            return replace(old or Entry(port=self.server.port), **changes)

        self._record.change(self.server.name, change)
