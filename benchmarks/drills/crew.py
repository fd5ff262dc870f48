"""The workers that a drill is done to: which of their processes can be struck."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import psutil

from benchmarks.environments import ROOT, CannotRunError
from benchmarks.fleet import Fleet

Kind = Literal["headway", "stock"]
#: A child of less than this age is let live, in seconds.
YOUNG = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How workers are started."""

    kind: Kind
    queues: Sequence[str]
    #: The store's address, as these workers know it.
    url: str
    log: Path
    app: str = "benchmarks.drills.app:app"
    children: int = 2
    #: Seconds.
    lease: int = 30
    grace: int = 25
    #: What the machine is called on which they are.
    host: str = "here"
    options: Sequence[str] = ()
    #: Whose own worker it is that runs our jobs.
    engine: str = "rq"

    def command(self) -> list[str]:
        """Return the command line."""
        programs = Path(sys.executable).parent
        if self.engine == "celery":
            served = ("-Q", ",".join(self.queues), "-c", str(self.children))
            loaded = ("-A", "headway.engines.celery", "worker", "--loglevel=WARNING")
            return [str(programs / "celery"), *loaded, *served]
        if self.kind == "headway":
            sized = ("--children", str(self.children), "--lease", str(self.lease))
            command = [str(programs / "headway"), "worker", *self.queues, *sized]
            return [*command, *self.options]
        trapped = ("--worker-class", "benchmarks.drills.stock.Worker")
        url = ("--url", self.url, "--serializer", "json")
        return [str(programs / "rq"), "worker", *self.queues, *url, *trapped]

    def environment(self) -> dict[str, str]:
        """Return the environment."""
        return os.environ | {
            "DRILL_REDIS": self.url,
            "HEADWAY_APP": self.app,
            "HEADWAY_ENGINE": self.engine,
            "HEADWAY_GRACE": str(self.grace),
            "HEADWAY_HOST": self.host,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
            "REDIS_URL": self.url,
        }


@dataclass(slots=True)
class Crew:
    """One `headway worker` with children, or as many times `rq worker`."""

    setup: Setup
    #: Whether what was ended is started again, as a platform does.
    is_kept: bool = True
    _fleets: list[Fleet] = field(default_factory=list)

    def __post_init__(self) -> None:
        copies = 1 if self.setup.kind == "headway" else self.setup.children
        self._fleets = [self._started() for _ in range(copies)]

    def tree(self) -> list[psutil.Process]:
        """Return all processes, parents first."""
        return [process for fleet in self._fleets for process in fleet.tree()]

    def pids(self) -> list[int]:
        """Return the ids of all processes."""
        return [process.pid for process in self.tree()]

    def parents(self) -> list[psutil.Process]:
        """Return those that were started from outside."""
        return [fleet.tree()[0] for fleet in self._fleets if fleet.tree()]

    def prey(self) -> list[psutil.Process]:
        """Return the processes that run jobs and may be killed now, the oldest first.

        A work-horse of RQ's lives as long as its job.
        """
        found: list[psutil.Process] = []
        for fleet in self._fleets:
            _top, *below = fleet.tree() or [None]
            is_stock = self.setup.kind == "stock"
            found += [each for each in below if each and (is_stock or _is_old(each))]
        return sorted(found, key=_began)

    def mend(self) -> None:
        """Start again what was killed as a whole, as a platform would."""
        for place, fleet in enumerate(self._fleets):
            if self.is_kept and fleet.has_ended():
                self._fleets[place] = self._started()

    def codes(self, patience: float) -> list[int | None]:
        """Wait until all have ended; return how, None for one that has not in time."""
        return [code for fleet in self._fleets for code in fleet.codes(patience)]

    def stop(self) -> None:
        """End all of it."""
        for fleet in self._fleets:
            fleet.thaw()
            fleet.stop()

    def _started(self) -> Fleet:
        setup = self.setup
        return Fleet(setup.command(), 1, setup.environment(), setup.log)


def wait_until_gone(processes: Sequence[psutil.Process], patience: float) -> None:
    """Wait for their ends.

    Raises:
        CannotRunError: one lives on.
    """
    deadline = time.monotonic() + patience
    while alive := [each for each in processes if _lives(each)]:
        if time.monotonic() > deadline:
            raise CannotRunError(f"processes that should have ended live on: {alive}")
        time.sleep(0.01)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _is_old(process: psutil.Process) -> bool:
    return time.time() - _began(process) > YOUNG


def _began(process: psutil.Process) -> float:
    try:
        return process.create_time()
    except psutil.NoSuchProcess:
        return time.time()
