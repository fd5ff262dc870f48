from __future__ import annotations

import json
import logging
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Thread
from typing import IO

from headway.embedded.folder import last_lines
from headway.errors import EmbeddedServerError

_log = logging.getLogger(__name__)

_START_SECONDS = 150.0
_STOP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Owned:
    """A keeper that this process started, and the pipe by which it owns it."""

    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(cls, data: Path, names: Mapping[str, int | None]) -> Owned:
        """Start a keeper for those servers; return when all of them are up.

        Raises:
            EmbeddedServerError: when one is not, with what the keeper says of it.
        """
        wishes = [f"{name}={port or ''}".rstrip("=") for name, port in names.items()]
        log = data / "keeper.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                # -P: a file of the application may be called logging.py, too.
                [sys.executable, "-P", "-m", "headway.embedded", str(data), *wishes],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                bufsize=0,
                env=_environment(),
                start_new_session=True,
            )
        owned = cls(process, log)
        try:
            owned._await_start()
        except BaseException:
            owned.stop()
            raise
        return owned

    def stop(self) -> None:
        """Have the keeper stop its servers, and wait until it has."""
        with suppress(OSError):
            # Closing alone is no sign while a forked child holds the pipe, too.
            _end(self.process.stdin).write(b"stop\n")
        _end(self.process.stdin).close()
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        _end(self.process.stdout).close()

    def _await_start(self) -> None:
        answer = self._answer()
        if not answer:
            raise EmbeddedServerError(
                f"the keeper of the development servers ended with "
                f"{self.process.poll()} or fell silent; the end of {self.log}:\n"
                f"{last_lines(self.log)}"
            )
        if trouble := json.loads(answer)["trouble"]:
            raise EmbeddedServerError(trouble)

    def _answer(self) -> bytes:
        """Return the keeper's one line, or b"" when it ends or stays silent."""
        pipe = _end(self.process.stdout)
        answer = b""
        deadline = time.monotonic() + _START_SECONDS
        while not answer.endswith(b"\n"):
            left = max(0.0, deadline - time.monotonic())
            if not select.select([pipe], [], [], left)[0]:
                return b""
            if not (part := os.read(pipe.fileno(), 65_536)):
                return b""
            answer += part
        return answer


class Ownership:
    """Owns a keeper, and another one in its place when the first is killed."""

    def __init__(self, start: Callable[[], Owned | None]) -> None:
        self._start = start
        self._over = False
        self._changing = Lock()
        self._owned = start()
        if self._owned is not None:
            Thread(target=self._watch, name="embedded-servers", daemon=True).start()

    def end(self) -> None:
        """Have the keeper, if one is owned, stop its servers."""
        with self._changing:
            self._over = True
            if self._owned is not None:
                self._owned.stop()

    def _watch(self) -> None:
        # A keeper that ended in good order was told to; that one is let go.
        while self._owned is not None and self._owned.process.wait():
            with self._changing:
                if self._over:
                    return
                _log.warning("the keeper of the servers was killed: starts again")
                self._replace(self._owned)

    def _replace(self, old: Owned) -> None:
        old.stop()
        try:
            self._owned = self._start()
        except EmbeddedServerError:
            _log.exception("the development servers did not start again")
            self._owned = None


def _environment() -> dict[str, str]:
    """Let the keeper find the very Headway that this process uses."""
    here = str(Path(__file__).parents[2])
    paths = [here, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _end(pipe: IO[bytes] | None) -> IO[bytes]:
    """Return the pipe: `Popen` types it as optional, but it was asked for."""
    assert pipe is not None  # noqa: S101
    return pipe
