"""Follow a run until it is exactly over; notice when nothing moves, and why.

Stock RQ may lose a job: one that a dying worker had popped is nowhere. The run's rows
know what is missing, so that it is enqueued again; every step may run twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from redis import Redis
from redis.exceptions import RedisError

from headway.clock import Clock, SystemClock
from headway.errors import HeadwayError
from headway.observe import queues, workers
from queues import app
from tasks.brain import runs
from tasks.brain.trouble import PASSING
from tasks.ingest import ingest, resume

POLL = 0.1
AWAY: tuple[type[Exception], ...] = (*PASSING, RedisError)
#: Nothing moved for so long, and no job waits or runs: jobs were lost.
LOST_AFTER = 3.0
#: A job that a worker has just taken is seen nowhere for a moment.
UNSEEN = 1.0
#: Nothing moved for so long: say what it waits for.
SAID_AFTER = 8.0
#: Nothing moved for so long, and jobs run: their worker may be dead.
DEAD_AFTER = 15.0
#: Nothing moved for so long: a person should look.
GIVE_UP_AFTER = 600.0
#: After so many times in vain, what a run waits for counts as failed.
RESUMES = 3
NEVER_CAME = "its jobs ended without a result; the workers' log may say why"


class StalledError(HeadwayError):
    """Raised when a run has not moved for minutes, with what it waits for."""


class Listener(Protocol):
    """Hears how a run goes on."""

    def moved(self, run: runs.Run) -> None:
        """Hear that the run has come further."""
        ...

    def said(self, line: str) -> None:
        """Hear what the run waits for."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The jobs of all queues, as far as they are known."""

    queued: int
    running: int
    later: int
    workers: int

    @property
    def is_idle(self) -> bool:
        """Whether no job waits or runs."""
        return not (self.queued or self.running or self.later)

    @property
    def only_run(self) -> bool:
        """Whether all jobs that are left are said to be running."""
        return self.running > 0 and not (self.queued or self.later)

    def __str__(self) -> str:
        jobs = f"jobs: {self.queued} queued, {self.later} due later, "
        nobody = "" if self.workers else "; no worker is there"
        return f"{jobs}{self.running} running{nobody}"


@dataclass(slots=True, kw_only=True)
class Watch:
    """One run, from its first job to its last."""

    folder: Path | None
    key: str
    redis: Redis
    listener: Listener
    clock: Clock = field(default_factory=SystemClock)
    #: Called when nothing moves: what else may be wrong, in a line, or "".
    suspect: Callable[[], str] = lambda: ""
    _seen: object = None
    _moved: float = 0.0
    _acted: float = 0.0
    _resumes: int = 0
    _idle_since: float | None = None

    def until_complete(self) -> runs.Run:
        """Return the run when every document of it is done or has failed.

        Raises:
            StalledError: when nothing has moved for minutes.
        """
        self._moved = self._acted = self.clock.monotonic()
        while True:
            try:
                run = runs.of(self.key)
                if run is not None and run.complete:
                    runs.end(run.id)
                    self.listener.moved(run)
                    return run
                self._look(run)
            except AWAY as error:
                self._wait(f"a server is away: {' '.join(str(error).split())[:200]}")
            self.clock.sleep(POLL)

    def _look(self, run: runs.Run | None) -> None:
        if run is not None and self._seen != run.place:
            self._seen, self._moved = run.place, self.clock.monotonic()
            self._acted, self._resumes = self._moved, 0
            self.listener.moved(run)
        quiet = self.clock.monotonic() - self._acted
        if quiet < LOST_AFTER:
            return
        waiting = self._jobs()
        if self._is_idle_for_long(waiting):
            self._bring_back(run)
        elif waiting.only_run and quiet > DEAD_AFTER and self._resumes < RESUMES:
            # Their worker may have died. Should it live, they just run twice.
            self._bring_back(run)
        self._wait(str(waiting))

    def _is_idle_for_long(self, waiting: Waiting) -> bool:
        now = self.clock.monotonic()
        if not waiting.is_idle:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = now
        return self._idle_since is not None and now - self._idle_since >= UNSEEN

    def _bring_back(self, run: runs.Run | None) -> None:
        """Enqueue again what is missing; what has never come is given up."""
        self._acted = self.clock.monotonic()
        self._resumes += 1
        if run is None or run.listed is None:
            self._resend()
        elif self._resumes > RESUMES:
            runs.give_up(run.id, NEVER_CAME)
        else:
            number = resume(run.id)
            self.listener.said(
                f"enqueued {number} documents again: their jobs were lost"
            )

    def _resend(self) -> None:
        if self._resumes > RESUMES:
            raise StalledError(
                "the job that begins the ingest ended without a result "
                f"{RESUMES} times; the workers' log may say why"
            )
        ingest.using(at_front=True).enqueue(self.folder, self.key)
        if self._resumes > 1:
            self.listener.said("sent the ingest's first job again: it did not come")

    def _jobs(self) -> Waiting:
        counts = [queue.counts for queue in queues(self.redis, _names())]
        return Waiting(
            queued=sum(count["queued"] + count["sent"] for count in counts),
            running=sum(count["started"] for count in counts),
            later=sum(count["scheduled"] + count["deferred"] for count in counts),
            workers=len(workers(self.redis)),
        )

    def _wait(self, reason: str) -> None:
        """Say what it waits for, sparingly; after minutes, give up.

        Raises:
            StalledError: when nothing has moved for minutes.
        """
        quiet = self.clock.monotonic() - self._moved
        also = self.suspect()
        line = f"{reason}; {also}" if also else reason
        if quiet > GIVE_UP_AFTER:
            raise StalledError(f"nothing has moved for {quiet:.0f} s: {line}")
        if quiet > SAID_AFTER:
            self.listener.said(f"waiting: {line}")


def _names() -> list[str]:
    return [queue.name for queue in app.queues]
