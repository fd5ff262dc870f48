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
from functools import partial
from pathlib import Path
from threading import Event, Lock, Thread
from typing import IO

from headway.embedded.folder import last_lines
from headway.errors import EmbeddedServerError

_log = logging.getLogger(__name__)

_START_SECONDS = 150.0
_STOP_SECONDS = 60.0
#: How often who shares servers looks whether their owner has left.
_LOOK_SECONDS = 1.0


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
    """Owns keepers, and others in their place when they or their owner are gone."""

    def __init__(
        self, start: Callable[[], Owned | None], were_left: Callable[[], bool]
    ) -> None:
        """Start what nobody keeps; `were_left` tells that what is shared ended."""
        self._start = start
        self._were_left = were_left
        self._over = Event()
        self._changing = Lock()
        self._owned: list[Owned] = []
        self._own(start())
        Thread(target=self._look, name="shared-servers", daemon=True).start()

    def end(self) -> None:
        """Have the keepers that are owned stop their servers."""
        self._over.set()
        with self._changing:
            for owned in self._owned:
                owned.stop()

    def _own(self, owned: Owned | None) -> None:
        if owned is not None:
            self._owned.append(owned)
            watch = partial(self._watch, owned)
            Thread(target=watch, name="embedded-servers", daemon=True).start()

    def _watch(self, owned: Owned) -> None:
        # A keeper that ended in good order was told to; that one is let go.
        if owned.process.wait():
            self._restart("the keeper of the servers was killed: starts again", owned)

    def _look(self) -> None:
        # Who shares servers has jobs under way, and its owner may leave first.
        while not self._over.wait(_LOOK_SECONDS):
            if self._were_left():
                self._restart("the servers' owner has left: this process has them now")

    def _restart(self, why: str, old: Owned | None = None) -> None:
        with self._changing:
            if self._over.is_set():
                return
            _log.warning(why)
            if old is not None:
                old.stop()
                self._owned.remove(old)
            try:
                self._own(self._start())
            except EmbeddedServerError:
                _log.exception("the development servers did not start again")
                self._over.set()


def _environment() -> dict[str, str]:
    """Let the keeper find the very Headway that this process uses."""
    here = str(Path(__file__).parents[2])
    paths = [here, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _end(pipe: IO[bytes] | None) -> IO[bytes]:
    """Return the pipe: `Popen` types it as optional, but it was asked for."""
    assert pipe is not None  # noqa: S101
    return pipe
