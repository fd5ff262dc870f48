"""`kill -9` of children, at exact points of a job's life and at any moment."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from redis import Redis

from benchmarks.drills.crew import Crew, Kind
from benchmarks.drills.journal import Journal
from benchmarks.drills.load import Load
from benchmarks.drills.tally import Tally, tally
from benchmarks.server import address, redis_server

QUEUES = ("first", "second", "third", "fourth")
#: Between two kills, in seconds; a stock worker takes its time until it runs jobs.
PAUSE: dict[Kind, float] = {"headway": 0.2, "stock": 1.0}
#: How many of the kills are at exact points, and how many of the others two at once.
EXACT, TOGETHER = 0.5, 0.1
#: How long the last jobs have to end, in seconds: a lease, and as much again.
PATIENCE = 60.0
_TICK = 0.02
_SAY_EVERY = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a drill is to be run."""

    trials: int
    seed: int
    #: With how many queues workers are to be tried, one after another.
    queues: tuple[int, ...] = (1, 2, 4)
    worker: Kind = "headway"


def run(options: Options) -> Tally:
    """Kill so many children, and count what became of their jobs.

    Raises:
        CannotRunError: a server or a worker did not start, or ended by itself.
    """
    with redis_server(append_only=True) as client, _files(client) as folder:
        drill = Kills(options, client, folder)
        made = 0
        for part, queues in enumerate(options.queues, 1):
            wanted = options.trials * part // len(options.queues)
            drill.part(queues, wanted - made)
            made = wanted
        return tally(client, drill.load, drill.journal.lines())


@contextmanager
def _files(client: Redis) -> Iterator[Path]:
    """Make what all processes of the drill share; its environment says where it is."""
    with TemporaryDirectory(prefix="drill-") as name:
        folder = Path(name)
        (folder / "sprung").mkdir()
        os.environ["DRILL_REDIS"] = address(client)
        os.environ["DRILL_JOURNAL"] = str(folder / "journal")
        os.environ["DRILL_SPRUNG"] = str(folder / "sprung")
        yield folder


class Kills:
    """The drill: workers one after another, under load, and what is done to them."""

    def __init__(self, options: Options, client: Redis, folder: Path) -> None:
        self._options = options
        self._client = client
        self._dice = random.Random(options.seed)
        self._log = folder / "log"
        self._between = PAUSE[options.worker]
        self._killed = 0
        self.journal = Journal(folder / "journal")
        self.load = Load(client, self._dice)

    def part(self, queues: int, kills: int) -> None:
        """Have one worker serve that many queues, and stand that many kills."""
        self.load.queues = QUEUES[:queues]
        crew = Crew(self._options.worker, self.load.queues, self._log)
        until = self._killed + kills
        try:
            is_over = True
            while is_over and self._killed < until:
                while self._killed < until:
                    self._pause(crew)
                    self._kill(crew, until - self._killed)
                is_over = self._wait_for_the_rest(crew)
                self._killed = self._deaths()  # two may have met in one process
        finally:
            crew.stop()

    def _deaths(self) -> int:
        return len({each.pid for each in self.journal.lines() if each.what == "death"})

    def _pause(self, crew: Crew) -> None:
        """Keep the worker at work until it is time for the next kill."""
        until = time.monotonic() + self._dice.uniform(0.5, 1.5) * self._between
        while time.monotonic() < until:
            crew.mend()
            self.load.top_up()
            time.sleep(_TICK)

    def _kill(self, crew: Crew, most: int) -> None:
        before = self._killed
        exact = self._options.worker == "headway" and self._dice.random() < EXACT
        if exact:
            self._killed += self.load.send_victim(most)
        else:
            self._kill_any(crew, most)
        if before // _SAY_EVERY < self._killed // _SAY_EVERY:
            print(f"{self._killed} kills, {len(self.load.sent)} jobs", file=sys.stderr)

    def _kill_any(self, crew: Crew, most: int) -> None:
        prey = crew.prey()
        wanted = min(most, 2 if self._dice.random() < TOGETHER else 1, len(prey))
        for process in self._dice.sample(prey, wanted):
            with suppress(psutil.NoSuchProcess):
                self.journal.write("death", pid=process.pid)
                process.kill()
                self._killed += 1

    def _wait_for_the_rest(self, crew: Crew) -> bool:
        """Let all jobs end, with no new ones; tell whether they have in time."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if self._is_over():
                return True
            crew.mend()
            time.sleep(_TICK * 5)
        return False

    def _is_over(self) -> bool:
        pipeline = self._client.pipeline(transaction=False)
        for name in QUEUES:
            for end in ("finished", "failed"):
                pipeline.zcard(f"rq:{end}:{name}")
        return sum(pipeline.execute()) >= len(self.load.sent)
