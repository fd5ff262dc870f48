from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable
from itertools import cycle
from typing import TextIO

#: Cyan, yellow, green, magenta, blue and their bright kin; red is left to errors.
_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
_OURS = "headway"


class Logs:
    """Lines of many processes on one output, each with its process's name in front."""

    def __init__(self, output: TextIO, *, names: Iterable[str]) -> None:
        self._output = output
        self._lock = threading.Lock()
        everyone = [*names, _OURS]
        width = max(len(name) for name in everyone)
        self._prefixes = {name: f"{name:{width}} | " for name in everyone}
        if _shows_colours(output):
            self._colour()

    def write(self, name: str, text: str) -> None:
        """Print one line of a process."""
        # Where nobody reads any more, the processes still matter: they go on.
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._output.write(f"{self._prefixes[name]}{text}\n")
            self._output.flush()

    def say(self, text: str) -> None:
        """Print one line of the supervisor's own."""
        self.write(_OURS, text)

    def _colour(self) -> None:
        for name, colour in zip(self._prefixes, cycle(_COLOURS), strict=False):
            self._prefixes[name] = f"\x1b[{colour}m{self._prefixes[name]}\x1b[0m"


def _shows_colours(output: TextIO) -> bool:
    return output.isatty() and not os.environ.get("NO_COLOR")
