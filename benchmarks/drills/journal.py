"""Who ran which job, and when: a file of its own, which no worker's store can change.

One line for each begin, end and death, written by one system call to the end of the
file: so lines of many processes do not mix, and a killed process leaves whole ones.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple, cast

What = Literal["begin", "end", "raise", "death"]


class Line(NamedTuple):
    """What happened to a process, and to the job that it ran."""

    what: What
    #: "-" where a process was killed from outside, whatever it ran.
    job_id: str
    pid: int
    #: Monotonic seconds, the same clock for all processes of a machine.
    at: float


class Journal:
    """The file, for those who write and for the one who reads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self._file = os.open(path, flags, 0o600)

    def write(self, what: What, job_id: str = "-", pid: int | None = None) -> None:
        """Add a line; this process is meant where none is named."""
        line = f"{what} {job_id} {pid or os.getpid()} {time.monotonic():.6f}\n"
        os.write(self._file, line.encode())

    def lines(self) -> Iterator[Line]:
        """Read all lines, in the order in which they were written."""
        for text in self._path.read_text().splitlines():
            what, job_id, pid, at = text.split()
            yield Line(cast("What", what), job_id, int(pid), float(at))
