"""Schedules in this process: what wire/timetable.py does in Redis, for tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from headway.clock import Clock
from headway.message import Envelope
from headway.timetable import (
    KEPT,
    Answer,
    Due,
    DueTick,
    Entry,
    Missed,
    Tick,
    still_waiting,
)


@dataclass(slots=True, kw_only=True)
class _Kept:
    entry: Entry
    next_due: datetime | None
    ticks: list[Tick] = field(default_factory=list[Tick])

    def remember(self, tick: Tick) -> None:
        self.ticks.append(tick)
        del self.ticks[:-KEPT]


class MemoryTimetable:
    """The schedules of one application in one process."""

    def __init__(
        self,
        clock: Clock,
        enqueue: Callable[[Envelope], object],
        status_of: Callable[[str], str | None],
    ) -> None:
        self._clock = clock
        self._enqueue = enqueue
        self._status_of = status_of
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.RLock()

    def now(self) -> datetime:
        """Return the time of day by the application's clock."""
        return self._clock.now()

    def names(self) -> list[str]:
        """Return the names of all schedules, in order."""
        return sorted(self._kept)

    def entries(self, names: Collection[str] | None = None) -> list[Entry]:
        """Return all schedules, or those of some names that are there; by name."""
        wanted = self._kept.keys() if names is None else self._kept.keys() & {*names}
        return [self._current(self._kept[name]) for name in sorted(wanted)]

    def entry(self, name: str) -> Entry | None:
        """Return a schedule, or None."""
        kept = self._kept.get(name)
        return self._current(kept) if kept else None

    def _current(self, kept: _Kept) -> Entry:
        last = kept.entry.last_job
        return replace(kept.entry, last_status=self._status_of(last) if last else None)

    def put(self, entry: Entry, next_due: datetime | None, was: Entry | None) -> bool:
        """Keep a schedule in place of what `was`; a paused one stays so unless told."""
        with self._lock:
            kept = self._kept.get(entry.name)
            if _state(kept.entry if kept else None) != _state(was):
                return False
            if kept is None:
                self._kept[entry.name] = _Kept(entry=entry, next_due=next_due)
                return True
            if was and was.paused == entry.paused:
                entry = replace(entry, paused=kept.entry.paused)
            kept.entry = replace(entry, last_job=kept.entry.last_job)
            kept.next_due = next_due
            return True

    def remove(self, name: str) -> bool:
        """Forget a schedule and its history; False where there is none."""
        return self._kept.pop(name, None) is not None

    def pause(self, name: str) -> None:
        """Send no tick of it until it is resumed."""
        with self._lock:
            kept = self._kept[name]
            kept.entry = replace(kept.entry, paused=True)

    def due(self, limit: int, without: Collection[str] = ()) -> Due:
        """Return schedules of which a tick is due, the longest due first."""
        now = self.now()
        with self._lock:
            coming = sorted(
                (kept.next_due, name)
                for name, kept in self._kept.items()
                if kept.next_due and not kept.entry.paused
            )
        due = [name for at, name in coming if at <= now and name not in without]
        later = [moment for moment, _ in coming if moment > now]
        return Due(
            now=now,
            entries=[self._current(self._kept[name]) for name in due[:limit]],
            next_in=later[0] - now if later else None,
        )

    def send(self, entry: Entry, tick: DueTick) -> Answer:
        """Enqueue the job of a tick and move the cursor to it, in one step."""
        with self._lock:
            kept = self._kept.get(entry.name)
            if kept is None or kept.entry.paused:
                return Answer.BEHIND
            if _state(kept.entry) != _state(entry):
                return Answer.BEHIND
            now = self.now()
            if now < tick.at:
                return Answer.EARLY
            current = self._current(kept)
            if current.last_is_alive and tick.overlap == "queue":
                waiting = still_waiting(kept.entry.waiting, tick.at, now, tick.grace)
                kept.entry = replace(kept.entry, waiting=waiting)
                return Answer.WAITS
            if current.last_is_alive and tick.overlap == "skip":
                reason = f"job {current.last_job} had not ended: overlap='skip'"
                kept.remember(Tick(due=tick.at, outcome="missed", reason=reason))
                self._move(kept, tick.at, tick.following)
                return Answer.SKIPPED
            self._enqueue(tick.envelope)
            job_id = tick.envelope.id
            kept.remember(Tick(due=tick.at, sent_at=now, job_id=job_id))
            self._move(kept, tick.at, tick.following)
            kept.entry = replace(kept.entry, last_job=job_id)
            return Answer.SENT

    def miss(self, entry: Entry, missed: Missed, next_due: datetime | None) -> bool:
        """Write down ticks that are not sent, and move the cursor past them."""
        with self._lock:
            kept = self._kept.get(entry.name)
            if kept is None or _state(kept.entry) != _state(entry):
                return False
            if kept.entry.paused != entry.paused:
                return False
            kept.remember(
                Tick(
                    due=missed.last,
                    outcome="missed",
                    reason=missed.reason,
                    count=missed.count,
                )
            )
            self._move(kept, missed.last, next_due)
            return True

    def _move(self, kept: _Kept, tick: datetime, next_due: datetime | None) -> None:
        kept.entry = replace(kept.entry, cursor=tick)
        kept.next_due = next_due
        if next_due is None or next_due > self.now():
            kept.entry = replace(kept.entry, waiting=None)

    def note(self, name: str, tick: Tick) -> None:
        """Write a tick into the history that moves no cursor."""
        self._kept[name].remember(tick)

    def history(self, name: str, limit: int) -> list[Tick]:
        """Return what became of the ticks of a schedule, latest first."""
        kept = self._kept.get(name)
        ticks = kept.ticks[::-1][:limit] if kept else []
        return [
            replace(tick, outcome=self._status_of(tick.job_id) or "gone")
            if tick.job_id
            else tick
            for tick in ticks
        ]

    def latest(self, names: Sequence[str]) -> list[Tick | None]:
        """Return what became of the last tick of each of these schedules."""
        return [next(iter(self.history(name, 1)), None) for name in names]

    def note_outcomes(self, limit: int) -> int:  # noqa: ARG002 - nothing is forgotten here
        """Do nothing: the jobs themselves are there as long as their history."""
        return 0

    def lead(  # one process
        self,
        who: str,  # noqa: ARG002
        lease: timedelta,  # noqa: ARG002
        queues: Sequence[str] = (),  # noqa: ARG002
    ) -> bool:
        """Return that it is so."""
        return True

    def stand_down(self, who: str, queues: Sequence[str] = ()) -> None:
        """Do nothing: there is one process."""


def _state(entry: Entry | None) -> tuple[datetime, str] | None:
    """Return what must be as it was believed to be."""
    return (entry.cursor, entry.version) if entry else None
