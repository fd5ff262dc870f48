"""What is raised into the job that the main thread runs: its time is over, or ours."""

from __future__ import annotations

import signal
import time
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

from rq.timeouts import JobTimeoutException

from headway.errors import Interrupted

#: More than a timer of the system is sure to take, in seconds.
LONGEST = 1e9
#: The least that a timer is set to: none is what turns it off.
SHORTEST = 1e-6


class Alarm:
    """Raises into a job that has run too long; one system call for a batch of jobs.

    The timer of a job that is over is left to run: it rings before that of the next
    one would, and is then set to what is left.
    """

    def __init__(self) -> None:
        #: Of the job that runs: how long it may, and until which monotonic second.
        self._seconds, self._until = 0.0, 0.0
        #: The monotonic second at which the timer rings.
        self._rings = 0.0
        self._job_runs = False
        #: What another thread wants to be raised into the job.
        self._error: type[BaseException] | None = None

    def install(self) -> None:
        """Take the signal; RQ's own timeouts give it away, and its timer as well."""
        signal.signal(signal.SIGALRM, self._ring)
        self._rings = 0.0

    def doubt(self) -> None:
        """Set the timer for the next job in any case: the last may have used it."""
        self._rings = 0.0

    def begin(self, seconds: float) -> None:
        """Allow the job that begins now that many seconds; none or less for ever."""
        self._error = None  # one that came late was for the job before
        self._job_runs = True
        if seconds <= 0:
            return
        now = time.monotonic()
        self._seconds, self._until = seconds, now + seconds
        if not now < self._rings <= self._until:
            self._set(now)

    def end(self) -> None:
        """Say that it is over."""
        self._job_runs = False
        self._until = 0.0
        self._error = None

    def break_off(self, thread: int, error: type[BaseException]) -> None:
        """Have it raised into the job that the main thread runs, from another."""
        if self._job_runs:
            self._error = error
            signal.pthread_kill(thread, signal.SIGALRM)

    @contextmanager
    def interruptible(self) -> Generator[None]:
        """Say that a job runs, whose time is somebody else's to look after."""
        self._job_runs = True
        try:
            yield
        finally:
            self._job_runs = False

    def interrupt(self) -> None:
        """Break off the job that runs, if one does.

        Raises:
            Interrupted: into the job, since a signal's handler calls this.
        """
        if self._job_runs:
            self._job_runs, self._until = False, 0.0
            raise Interrupted("the worker has to leave, and gives this job back")

    def _set(self, now: float) -> None:
        left = min(max(SHORTEST, self._until - now), LONGEST)
        self._rings = now + left
        signal.setitimer(signal.ITIMER_REAL, left)

    def _ring(self, _number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._error is not None and self._job_runs:
            error, self._error = self._error, None
            raise error
        if not self._until:
            return
        if now < self._until:
            self._set(now)
            return
        self._until = 0.0
        raise JobTimeoutException(
            f"Task exceeded maximum timeout value ({self._seconds:g} seconds)"
        )
