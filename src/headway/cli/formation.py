"""The processes of a Procfile: kept running, stopped in an order that loses nothing.

Each process leads a session and a group of its own, so that Ctrl-C in the terminal
reaches the supervisor alone, which then stops the web first (no new jobs), the
scheduler next (no due jobs), and the rest, the workers, last: each gets SIGTERM and
has the grace to finish its jobs. Servers outlive all of them; they are not ours.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Self, TextIO

from headway.cli.interrupts import wait_for
from headway.cli.logs import Logs
from headway.cli.member import Ending, Member
from headway.cli.process import Guard, Process
from headway.cli.procfile import Procfile
from headway.errors import ConfigurationError

#: Stopped one after the other, before all others, which are stopped side by side.
STOPPED_FIRST = ("web", "scheduler")
#: What a platform runs once, before a release; started only where `only` names it.
NOT_STARTED = frozenset({"release"})


class Formation:
    """The processes of a Procfile, started and stopped as one."""

    def __init__(
        self,
        procfile: Procfile,
        *,
        environment: Mapping[str, str],
        only: Collection[str] | None = None,
        scale: Mapping[str, int] | None = None,
        grace: timedelta = timedelta(seconds=30),
        output: TextIO | None = None,
    ) -> None:
        """Check everything that can be known before the first process is there.

        Raises:
            ConfigurationError: for an unknown name, or a command that is not found.
        """
        self._procfile = procfile
        self._environment = _environment(environment)
        self._grace = grace
        counts = _counts(procfile, only, scale or {})
        self._refuse_missing_programs(counts)
        names = [
            f"{kind}.{number}"
            for kind, count in counts.items()
            for number in range(1, count + 1)
        ]
        self._logs = Logs(output or sys.stdout, names=names)
        self._guard: Guard | None = None
        self._members = [self._member(name) for name in names]
        self._over = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def names(self) -> tuple[str, ...]:
        """Every member's name, as `worker.1`, in the order of the Procfile."""
        return tuple(member.name for member in self._members)

    def start(self) -> None:
        """Start every process; return at once."""
        self._guard = Guard()
        for member in self._members:
            member.start()

    def wait(self, timeout: float | None = None) -> bool:
        """Return True once the formation was stopped, False at the timeout."""
        return wait_for(self._over, timeout)

    def failures(self) -> tuple[Ending, ...]:
        """Return every ending that nobody had asked for, oldest first."""
        endings = [ending for member in self._members for ending in member.failures]
        return tuple(sorted(endings, key=lambda ending: ending.at))

    def restart(self) -> None:
        """Replace every process, side by side; jobs have the grace to finish."""
        self._await_end(member.restart() for member in self._members)

    def stop(self) -> None:
        """Stop in order; Ctrl-C meanwhile (KeyboardInterrupt) ends all at once."""
        try:
            for stage in self._stages():
                names = ", ".join(member.name for member in stage)
                seconds = self._grace.total_seconds()
                self._logs.say(f"stopping {names} (within {seconds:g} s)")
                self._await_end(member.stop() for member in stage)
        except KeyboardInterrupt:
            self._logs.say("stopping now: jobs that run are cut off")
            self.kill()
        finally:
            if self._guard is not None:
                self._guard.stop()
                self._guard = None
            self._over.set()

    def kill(self) -> None:
        """End every process and what it started, at once."""
        for process in [member.stop() for member in self._members]:
            if process is not None:
                process.kill()
                wait_for(process.over)

    def _await_end(self, asked: Iterable[Process | None]) -> None:
        processes = [process for process in asked if process is not None]
        deadline = monotonic() + self._grace.total_seconds()
        for process in processes:
            if not wait_for(process.over, max(0.0, deadline - monotonic())):
                self._logs.say(
                    f"{process.name} did not stop within "
                    f"{self._grace.total_seconds():g} s: killed, its jobs cut off"
                )
                process.kill()
                wait_for(process.over)

    def _stages(self) -> Iterator[list[Member]]:
        for kind in (*STOPPED_FIRST, None):
            stage = [m for m in self._members if _stage(m.name) == kind]
            if stage:
                yield stage

    def _member(self, name: str) -> Member:
        return Member(name, start=partial(self._start, name), logs=self._logs)

    def _start(self, name: str) -> Process:
        if self._guard is None:
            raise OSError("the formation is stopped")
        return Process(
            name,
            self._procfile.commands[_kind(name)],
            environment=_with_port(self._environment, name),
            folder=self._procfile.path.parent,
            guard=self._guard,
            show=partial(self._logs.write, name),
        )

    def _refuse_missing_programs(self, kinds: Iterable[str]) -> None:
        for kind in kinds:
            program = self._procfile.commands[kind].program(self._environment)
            place = self._procfile.path.parent
            named = str(place / program) if "/" in program else program
            if not shutil.which(named, path=self._environment["PATH"]):
                raise ConfigurationError(
                    f"{self._procfile.path}: {kind} starts {program!r}, which is not "
                    "found on PATH; install it, or leave the process out with --only"
                )


def _counts(
    procfile: Procfile, only: Collection[str] | None, scale: Mapping[str, int]
) -> dict[str, int]:
    """Return how many of each kind to start, in the order of the file."""
    known = procfile.commands
    for name in [*(only or ()), *scale]:
        if name not in known:
            raise ConfigurationError(
                f"{procfile.path} has no process {name!r}; it has {', '.join(known)}"
            )
    for name, count in scale.items():
        if count < 0:
            raise ConfigurationError(f"{name}={count}: a number of processes is >= 0")
    started = (set(known) - NOT_STARTED) if only is None else set(only)
    return {name: scale.get(name, 1) for name in known if name in started}


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    # Commands installed beside this Python are found though its .venv is not active,
    # and output comes line by line though it goes into a pipe.
    ours = str(Path(sys.executable).parent)
    path = os.pathsep.join([ours, given.get("PATH", os.defpath)])
    return {"PYTHONUNBUFFERED": "1", **given, "PATH": path}


def _with_port(environment: Mapping[str, str], name: str) -> Mapping[str, str]:
    """Give the second web the next port, and so on: two cannot share one."""
    port = environment.get("PORT", "")
    number = int(name.rpartition(".")[2])
    if _kind(name) != "web" or number == 1 or not port.isdecimal():
        return environment
    return {**environment, "PORT": str(int(port) + number - 1)}


def _kind(name: str) -> str:
    return name.rpartition(".")[0]


def _stage(name: str) -> str | None:
    return _kind(name) if _kind(name) in STOPPED_FIRST else None
