from __future__ import annotations

import threading
from collections import OrderedDict, deque

from headway.clock import Clock, SystemClock

#: More names than this are strangers' inventions: the oldest are forgotten.
REMEMBERED = 10_000


class Throttle:
    """Counts failures by name, and says how long a name that had many must wait.

    Kept in this process only: it slows guessing, it is not an account lock that a
    stranger could use to shut somebody out.
    """

    def __init__(
        self, failures: int = 5, seconds: float = 60, clock: Clock | None = None
    ) -> None:
        self._failures = failures
        self._seconds = seconds
        self._clock = clock or SystemClock()
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, name: str) -> float:
        """Return how many seconds the name has to wait, 0 when it may try."""
        with self._lock:
            times = self._recent(name)
            if len(times) < self._failures:
                return 0
            return times[-self._failures] + self._seconds - self._clock.monotonic()

    def failed(self, name: str) -> None:
        """Count a failure."""
        with self._lock:
            self._recent(name).append(self._clock.monotonic())
            while len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)

    def _recent(self, name: str) -> deque[float]:
        times = self._seen.setdefault(name, deque())
        while times and times[0] <= self._clock.monotonic() - self._seconds:
            times.popleft()
        return times
