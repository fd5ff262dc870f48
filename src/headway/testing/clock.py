from __future__ import annotations

from datetime import UTC, datetime, timedelta


class MovedClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, start: datetime | None = None) -> None:
        self._now = start or datetime.now(UTC)
        self._elapsed = 0.0

    def now(self) -> datetime:
        """Return the time of day, aware, in UTC."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds that the clock was moved by."""
        return self._elapsed

    def sleep(self, seconds: float) -> None:
        """Move the clock: nobody waits in a test."""
        self.move(timedelta(seconds=seconds))

    def move(self, by: timedelta) -> None:
        """Let that much time pass."""
        self._now += by
        self._elapsed += by.total_seconds()
