"""The worker that the drill is done to: which of its processes can be killed."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import psutil

from benchmarks.environments import ROOT, CannotRunError
from benchmarks.fleet import Fleet

Kind = Literal["headway", "stock"]
#: More than the machine has cores: some are being replaced at any time.
CHILDREN = 6
#: A child of less than this age is let live, in seconds.
YOUNG = 1.0


class Crew:
    """One `headway worker` with children, or as many times `rq worker`."""

    def __init__(self, kind: Kind, queues: Sequence[str], log: Path) -> None:
        self._kind = kind
        self._queues = queues
        self._log = log
        copies = 1 if kind == "headway" else CHILDREN
        self._fleets = [self._started() for _ in range(copies)]

    def prey(self) -> list[psutil.Process]:
        """Return the processes that may be killed now, the oldest first."""
        found: list[psutil.Process] = []
        for fleet in self._fleets:
            with suppress(psutil.NoSuchProcess):
                top, *below = fleet.tree()
                if self._kind == "headway":
                    found += [child for child in below if _age(child) > YOUNG]
                elif _age(top) > YOUNG:
                    found += below or [top]  # a horse lives as long as its job
        return sorted(found, key=_age, reverse=True)

    def mend(self) -> None:
        """Start again what was killed as a whole, as a platform would.

        Raises:
            CannotRunError: the worker has ended by itself.
        """
        for place, fleet in enumerate(self._fleets):
            if fleet.has_ended():
                if self._kind == "headway":
                    last = self._log.read_text(errors="replace")[-2000:]
                    raise CannotRunError(f"the worker has ended:\n{last}")
                self._fleets[place] = self._started()

    def stop(self) -> None:
        """End all of it."""
        for fleet in self._fleets:
            fleet.stop()

    def _started(self) -> Fleet:
        environment = os.environ | {
            "HEADWAY_APP": "benchmarks.drills.app:app",
            "REDIS_URL": os.environ["DRILL_REDIS"],
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
        }
        return Fleet(self._command(), 1, environment, self._log)

    def _command(self) -> list[str]:
        programs = Path(sys.executable).parent
        if self._kind == "headway":
            options = ("--children", str(CHILDREN))
            return [str(programs / "headway"), "worker", *self._queues, *options]
        url = ("--url", os.environ["DRILL_REDIS"], "--serializer", "json")
        return [str(programs / "rq"), "worker", *self._queues, *url]


def _age(process: psutil.Process) -> float:
    try:
        return time.time() - process.create_time()
    except psutil.NoSuchProcess:
        return 0.0
