from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic

from headway.cli import guard
from headway.cli.procfile import Command

#: Longer lines are shown in pieces; a process that prints no newline fills no memory.
_LONGEST_LINE = 65_536


class Guard:
    """The supervisor's end of the pipe to `guard.py`, which tells the story."""

    def __init__(self) -> None:
        read, self.pipe = os.pipe()
        self._process = subprocess.Popen(
            [*_guard_command(), "watch"], stdin=read, start_new_session=True
        )
        os.close(read)

    def enlisting(self, argv: list[str]) -> list[str]:
        """Return the command that enlists itself before it becomes `argv`."""
        return [*_guard_command(), "enlist", str(self.pipe), *argv]

    def forget(self, group: int) -> None:
        """Strike a group that has ended: its number may soon be somebody else's."""
        # A guard that somebody killed is no reason to stop supervising.
        with contextlib.suppress(OSError):
            os.write(self.pipe, b"-%d\n" % group)

    def stop(self) -> None:
        """Let the guard end; whoever is still on its list ends with it."""
        with contextlib.suppress(OSError):
            os.close(self.pipe)
        self._process.wait()


class Process:
    """One life of a member: a leader, the group it leads, the lines it prints."""

    def __init__(
        self,
        name: str,
        command: Command,
        *,
        environment: Mapping[str, str],
        folder: Path,
        guard: Guard,
        show: Callable[[str], None],
    ) -> None:
        self.name = name
        self._guard = guard
        self._show = show
        self._whole_group = command.needs_shell
        #: True once somebody of ours wanted it to end.
        self.asked = False
        #: Set when it has ended, its group is gone and its lines are shown.
        self.over = threading.Event()
        self._began = monotonic()
        self._popen = subprocess.Popen(
            guard.enlisting(command.argv(environment)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=folder,
            start_new_session=True,
            pass_fds=[guard.pipe],
        )

    @property
    def age(self) -> float:
        """Seconds since the start."""
        return monotonic() - self._began

    def attend(self) -> int:
        """Show its lines until it ends; return the exit code, -N for signal N."""
        reader = threading.Thread(target=self._read, daemon=True)
        reader.start()
        code = self._popen.wait()
        self._signal_group(signal.SIGKILL)  # what a dead leader left behind
        # Not longer: a process that left the group may hold the output open.
        reader.join(timeout=1)
        self._guard.forget(self._popen.pid)
        self.over.set()
        return code

    def terminate(self) -> None:
        """Ask it to end; the leader alone, as workers look after their children."""
        self.asked = True
        if self._whole_group:
            self._signal_group(signal.SIGTERM)
        else:
            self._popen.terminate()

    def kill(self) -> None:
        """End the whole group now."""
        self.asked = True
        if not self.over.is_set():
            self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, number)

    def _read(self) -> None:
        if self._popen.stdout is None:  # never: we asked for a pipe
            return
        with self._popen.stdout as lines:
            while line := lines.readline(_LONGEST_LINE):
                self._show(line.decode(errors="replace").rstrip("\r\n"))


def _guard_command() -> list[str]:
    # No site, no environment: it is there in 15 ms and imports nobody's code.
    return [sys.executable, "-I", "-S", guard.__file__]
