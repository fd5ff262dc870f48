from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from redis import Redis
from redis.exceptions import RedisError

from headway.span import coarse
from headway.timetable import AHEAD
from headway.wire import keys
from headway.wire.reading import text

#: A tick that is due for longer than this was left by whoever was to send it.
PATIENCE = timedelta(seconds=5)
MEND = "start `headway scheduler`, or a worker with --with-scheduler"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsent:
    """Schedules that are due while no scheduler runs."""

    count: int
    #: When the first of them was due, and what time it was then.
    since: datetime
    now: datetime

    @property
    def in_words(self) -> str:
        """Say what is the matter, and what mends it."""
        return f"{self.found}: {MEND}"

    @property
    def found(self) -> str:
        """Say what is the matter."""
        waits = coarse(self.now - self.since)
        if self.count == 1:
            return f"1 schedule has been due for {waits}, and no scheduler runs"
        return (
            f"{self.count} schedules are due, the first for {waits}, and no scheduler "
            "runs"
        )


def ahead(redis: Redis) -> list[str]:
    """Return the schedules that have come to a time that is not there yet.

    They were served while the store's clock was far ahead, and wait until it is again.
    """
    names = sorted(text(name) for name in redis.hkeys(keys.SCHEDULES))
    pipeline = redis.pipeline(transaction=False)
    pipeline.time()
    for name in names:
        pipeline.hmget(keys.schedule(name), ["cursor", "waiting", "paused"])
    (seconds, _), *states = pipeline.execute(raise_on_error=False)
    latest = (seconds + AHEAD.total_seconds()) * 1e6
    return [
        name
        for name, state in zip(names, states, strict=True)
        if isinstance(state, list)
        and text(state[2]) != "1"
        and any(moment > latest for moment in _moments(state[:2]))
    ]


def _moments(fields: Sequence[object]) -> Iterator[float]:
    """Yield the microseconds that stand in fields."""
    for word in " ".join(map(text, fields)).split():
        if word.isdecimal():
            yield float(word)


def unsent(redis: Redis) -> Unsent | None:
    """Return what is due and nobody sends; None where a scheduler runs, or need not."""
    pipeline = redis.pipeline(transaction=False)
    pipeline.time()
    pipeline.exists(keys.SCHEDULES_LEADER)
    pipeline.zrange(keys.SCHEDULES_DUE, 0, 0, withscores=True)
    (seconds, micros), led, first = pipeline.execute(raise_on_error=False)
    if led or isinstance(first, RedisError) or not first:
        return None
    now = datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=micros)
    try:
        since = datetime.fromtimestamp(first[0][1] / 1e6, UTC)
    except (ValueError, OverflowError, OSError):
        return None  # nobody's clock: a stranger wrote it
    if now - since < PATIENCE:
        return None
    latest = (now - PATIENCE).timestamp() * 1e6
    count = redis.zcount(keys.SCHEDULES_DUE, "-inf", latest)
    return Unsent(count=count, since=since, now=now)
