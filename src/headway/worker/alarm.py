"""The timeouts of the job that the main thread runs."""

from __future__ import annotations

import signal
from types import FrameType

from rq.timeouts import JobTimeoutException

#: More than a timer of the system is sure to take, in seconds.
LONGEST = 1e9


class Alarm:
    """Raises into a job that has run too long; one system call for each job.

    The timer of a job that is over is left to run: the next job sets it anew, and a
    signal that comes in between finds nothing running.
    """

    def __init__(self) -> None:
        self._seconds: float | None = None

    def install(self) -> None:
        """Take the signal; RQ's own timeouts give it away."""
        signal.signal(signal.SIGALRM, self._ring)

    def begin(self, seconds: float) -> None:
        """Allow the job that begins now that many seconds; none or less for ever."""
        self._seconds = seconds
        signal.setitimer(signal.ITIMER_REAL, min(max(0.0, seconds), LONGEST))

    def end(self) -> None:
        """Say that it is over."""
        self._seconds = None

    def _ring(self, _number: int, _frame: FrameType | None) -> None:
        if self._seconds is not None:
            seconds, self._seconds = self._seconds, None
            raise JobTimeoutException(
                f"Task exceeded maximum timeout value ({seconds:g} seconds)"
            )
