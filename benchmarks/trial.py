"""One contestant on one server, once: start, send, wait, count, stop, check.

Workers are warm before the clock starts: each process has run a job, and all of them
together a few hundred. For a drain they are then frozen where they are (SIGSTOP), the
queue is filled, and the clock starts as they go on: nobody's start-up is counted.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from redis import Redis

from benchmarks.contestants import Contestant
from benchmarks.environments import ROOT, CannotRunError
from benchmarks.fleet import Fleet
from benchmarks.marks import Marks
from benchmarks.server import address, redis_server

#: Jobs that only warm the workers, numbered after those that count.
WARM_UP = 300
_UP = 60.0
_STUCK = 30.0
_SETTLE = 0.4
_TICK = 0.002
_PRODUCER = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What running some jobs took, per job where that says more."""

    jobs: int
    seconds: float
    commands: float
    redis_us: float
    worker_us: float
    memory_mb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Usage:
    commands: int
    redis: float
    workers: float


class Trial:
    """A contestant at work; made by `trial`."""

    def __init__(
        self,
        contestant: Contestant,
        redis: Redis,
        marks: Marks,
        jobs: int,
        *,
        results: bool,
    ) -> None:
        self.contestant, self.redis, self.marks = contestant, redis, marks
        self.jobs = jobs
        self.environment = contestant.environment(
            address(redis), marks, results=results
        )
        self.fleet: Fleet | None = None
        self._finished = 0

    # -- workers ----------------------------------------------------------------

    def start(self) -> Fleet:
        """Start the workers, and return when every one has run jobs.

        Raises:
            CannotRunError: they ended, or some never ran a job.
        """
        setup = self.contestant.setup
        self.fleet = Fleet(
            self.contestant.command(),
            setup.copies,
            self.environment,
            self.marks.path.with_suffix(".log"),
        )
        deadline = time.monotonic() + _UP
        while self._signed_in() < setup.processes:
            if time.monotonic() > deadline or self.fleet.has_ended():
                up = f"{self._signed_in()} of {setup.processes} worker processes came"
                raise CannotRunError(f"{up} up; the last they said: {self._said()}")
            self.send("loop", "warm", 0, 2 * setup.processes)
        self.send("loop", "empty", self.jobs, WARM_UP)
        self.wait(range(self.jobs, self.jobs + WARM_UP))
        time.sleep(_SETTLE)
        self._finished = self._count(self.contestant.finished)
        return self.fleet

    def _signed_in(self) -> int:
        """Return the worker processes that ran a job."""
        if not self.marks.workers.exists():
            return 0
        pairs = [line.split() for line in self.marks.workers.read_text().splitlines()]
        # Where each job has a process of its own, the worker is its parent.
        who = 1 if self.contestant.setup.forks else 0
        return len({pair[who] for pair in pairs})

    # -- jobs -------------------------------------------------------------------

    def send(self, way: str, task: str, first: int, count: int) -> float:
        """Send jobs, and return the seconds that each took its producer."""
        return self.sent(self.sending(way, task, first, count))

    def sending(
        self, way: str, task: str, first: int, count: int
    ) -> subprocess.Popen[str]:
        """Start to send jobs beside what else goes on."""
        return subprocess.Popen(
            self.contestant.producer(way, task, first, count),
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def sent(self, producer: subprocess.Popen[str]) -> float:
        """Wait for a producer and return the seconds that each job took it.

        Raises:
            CannotRunError: it failed.
        """
        output, errors = producer.communicate(timeout=_PRODUCER)
        if producer.returncode:
            raise CannotRunError(f"its producer failed: {errors.strip()[-1000:]}")
        return float(json.loads(output.splitlines()[-1])["seconds_each"])

    def waiting(self) -> int:
        """Return the number of jobs in the queue."""
        return self._count(self.contestant.queue)

    def wait(self, numbers: range) -> None:
        """Return when all these jobs have run.

        Raises:
            CannotRunError: for a while none of them ran, or the workers ended.
        """
        ran = self.marks.ran[numbers.start : numbers.stop]
        least, since = len(numbers) + 1, time.monotonic()
        while missing := ran.tobytes().count(0):
            if missing < least:
                least, since = missing, time.monotonic()
            stuck = time.monotonic() > since + _STUCK
            if stuck or (self.fleet and self.fleet.has_ended()):
                raise CannotRunError(
                    f"{missing} of {len(numbers)} jobs did not run, and for "
                    f"{_STUCK:.0f} s none did; its last words: {self._said()}"
                )
            time.sleep(_TICK)

    def waits(self, numbers: Iterable[int]) -> list[float]:
        """Return the seconds from sent to begun of these jobs."""
        sent, began = self.marks.sent, self.marks.began
        return [began[number] - sent[number] for number in numbers]

    def wait_until_acknowledged(self, jobs: int, limit: float = 30.0) -> None:
        """Return when the contestant counts these jobs as finished, if it counts.

        Raises:
            CannotRunError: it did not within the limit.
        """
        if self.contestant.finished is None:
            return
        deadline = time.monotonic() + limit
        while self._count(self.contestant.finished) - self._finished < jobs:
            if time.monotonic() > deadline:
                raise CannotRunError(f"not all of {jobs} jobs were acknowledged")
            time.sleep(_TICK)

    def drain(self, task: str) -> Figures:
        """Fill the queue before frozen workers, let them go, and time them."""
        self.fill(task, range(self.jobs))
        return self.timed(range(self.jobs))

    def fill(self, task: str, numbers: range) -> None:
        """Start the workers if need be, freeze them, and send these jobs."""
        (self.fleet or self.start()).freeze()
        way = "bulk" if self.contestant.bulk else "loop"
        self.send(way, task, numbers.start, len(numbers))

    def timed(self, numbers: range) -> Figures:
        """Let frozen workers go and return what these jobs took."""
        fleet, jobs = self.fleet or self.start(), len(numbers)
        before, begin = self._usage(), time.perf_counter()
        fleet.thaw()
        self.wait(numbers)
        self.wait_until_acknowledged(numbers.stop)
        seconds = time.perf_counter() - begin
        used = self._usage()
        return Figures(
            jobs=jobs,
            seconds=seconds,
            commands=(used.commands - before.commands) / jobs,
            redis_us=(used.redis - before.redis) / jobs * 1e6,
            worker_us=(used.workers - before.workers) / jobs * 1e6,
            memory_mb=fleet.memory(),
        )

    # -- what is left behind ----------------------------------------------------

    def check(self, jobs: int | None = None) -> None:
        """Stop the workers and see that every job, or the first ones, ran once.

        Raises:
            CannotRunError: some did not; says how many.
        """
        if self.fleet:
            self.fleet.stop()
        ran = self.marks.ran[: self.jobs].tobytes()
        never = ran[:jobs].count(0)
        more = self.jobs - ran.count(0) - ran.count(1)
        if never or more:
            raise CannotRunError(
                f"not exactly once: of {jobs or self.jobs} jobs {never} never ran, "
                f"{more} ran more than once"
            )

    def check_stored(self) -> None:
        """See that a result of every job can be found.

        Raises:
            CannotRunError: some are missing.
        """
        stored, deadline = self.contestant.stored, time.monotonic() + 5
        while True:
            if isinstance(stored, str):
                found = sum(1 for _key in self.redis.scan_iter(stored, count=5000))
            else:
                found = self._count(stored)
            if found >= self.jobs:
                return
            if time.monotonic() > deadline:
                raise CannotRunError(f"{found} results of {self.jobs} jobs are stored")
            time.sleep(_SETTLE)

    def _usage(self) -> _Usage:
        told = self.redis.info("everything")
        return _Usage(
            commands=told["total_commands_processed"],
            redis=told["used_cpu_user"] + told["used_cpu_sys"],
            workers=self.fleet.cpu_seconds() if self.fleet else 0.0,
        )

    def _count(self, command: tuple[str, ...] | None) -> int:
        return cast("int", self.redis.execute_command(*command)) if command else 0

    def _said(self) -> str:
        log = self.marks.path.with_suffix(".log")
        return log.read_text(errors="replace").strip()[-500:] if log.exists() else ""


@contextmanager
def trial(
    contestant: Contestant, jobs: int, *, append_only: bool, results: bool = False
) -> Iterator[Trial]:
    """Give a contestant a fresh server, and leave nothing of it behind."""
    with (
        TemporaryDirectory(prefix="bench-", dir=_memory()) as folder,
        redis_server(append_only=append_only) as redis,
    ):
        marks = Marks.make(Path(folder, "marks"), jobs + WARM_UP)
        made = Trial(contestant, redis, marks, jobs, results=results)
        try:
            yield made
        finally:
            if made.fleet:
                made.fleet.thaw()  # a frozen process cannot end
                made.fleet.stop()


def _memory() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
