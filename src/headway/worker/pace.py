"""How many jobs to take at once: about 20 ms of work, as measured.

One at a time, a round trip costs more than a short job does; many at once, a long job
keeps the others from workers that are idle. The broker caps this with a fair share.
"""

from __future__ import annotations

#: How much work a batch holds, in seconds.
WORK = 0.02
#: Redis serves nobody else while it hands out a batch: about 3 ms for this many.
MOST = 100
#: How much of the measured time is the latest batch's.
WEIGHT = 0.3


class Pace:
    """The measured time of a child's jobs."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._seconds: float | None = None

    def wanted(self) -> int:
        """Return how many jobs to reserve."""
        if self._seconds is None:
            return 1
        return max(1, min(self._most, int(WORK / max(self._seconds, 1e-6))))

    def learn(self, jobs: int, seconds: float) -> None:
        """Take a batch's time into account; a slow one counts at once."""
        each = seconds / jobs
        if self._seconds is None or each > self._seconds:
            self._seconds = each
        else:
            self._seconds += WEIGHT * (each - self._seconds)
