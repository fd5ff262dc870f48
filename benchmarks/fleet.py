"""The worker processes of one contestant: started, frozen, measured, stopped."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.environments import ROOT

_GRACE = 20.0


class Fleet:
    """A command started some times, with all the processes that come of it."""

    def __init__(
        self,
        command: Sequence[str],
        copies: int,
        environment: Mapping[str, str],
        log: Path,
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            self._started = [
                subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
                for _copy in range(copies)
            ]

    def tree(self) -> list[psutil.Process]:
        """Return every process of it that lives now."""
        found: list[psutil.Process] = []
        for started in self._started:
            try:
                top = psutil.Process(started.pid)
                found += [top, *top.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
        return found

    def has_ended(self) -> bool:
        """Tell whether one of the commands has ended by itself."""
        return any(started.poll() is not None for started in self._started)

    def codes(self, patience: float) -> list[int | None]:
        """Return how each command ended; None for one that has not in time."""
        deadline = time.monotonic() + patience
        codes: list[int | None] = []
        for started in self._started:
            try:
                codes.append(started.wait(max(0.0, deadline - time.monotonic())))
            except subprocess.TimeoutExpired:
                codes.append(None)
        return codes

    def freeze(self) -> None:
        """Stop all processes where they are, parents first: they start no others."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._signal(signal.SIGCONT)

    def cpu_seconds(self) -> float:
        """Return the time on a core of all processes, of ended ones too."""
        total = 0.0
        for process in self.tree():
            try:
                total += sum(process.cpu_times()[:4])
            except psutil.NoSuchProcess:
                continue
        return total

    def memory(self) -> float:
        """Return the MB it takes, shared pages divided among those who share them."""
        return sum(map(_proportional_set, self.tree())) / 1024

    def stop(self) -> None:
        """Ask it to stop, and kill what has not within the grace."""
        tree = self.tree()
        for started in self._started:
            started.terminate()
        for started, code in zip(self._started, self.codes(_GRACE), strict=True):
            if code is None:
                started.kill()
                started.wait()
        for process in tree:
            if process.is_running():  # compares start times: an id may be another's
                process.kill()

    def _signal(self, number: signal.Signals) -> None:
        strike(self.tree(), number)


def strike(processes: Sequence[psutil.Process], number: signal.Signals) -> list[int]:
    """Send a signal to processes at once; return the ids of those that lived."""
    struck: list[int] = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
            struck.append(process.pid)
    return struck


def _proportional_set(process: psutil.Process) -> int:
    try:
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next(
        (int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")),
        0,
    )
