"""What is kept of schedules, and what a store does for them.

A schedule's cursor is the last tick that was dealt with: sent, or missed for a reason
that is written down. Whoever moves it does so in one step with what it was moved for,
and only from where he believed it to be. So any number of schedulers may try.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal, Protocol

from headway.message import Envelope

Overlap = Literal["allow", "skip", "queue", "cancel"]
#: How many ticks of a schedule are remembered.
KEPT = 500
#: A cursor that is further ahead was moved by a clock that was wrong.
AHEAD = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Ticks that wait for the job of another to end."""

    #: The first of them.
    since: datetime
    #: When a scheduler has last looked whether that job goes on.
    asked_at: datetime
    #: Between these there was no scheduler: ticks of that time have not waited.
    away_from: datetime | None = None
    away_until: datetime | None = None


def still_waiting(
    waiting: Waiting | None, tick: datetime, now: datetime, grace: timedelta
) -> Waiting:
    """Return what is known of the waiting when `tick` has to wait once more.

    Schedulers that were away for no longer than the grace count as there.
    """
    if waiting is None or tick > waiting.asked_at:
        return Waiting(since=tick, asked_at=now)
    if now - waiting.asked_at <= grace:
        return replace(waiting, asked_at=now)
    away_from = waiting.away_from or waiting.asked_at
    return replace(waiting, asked_at=now, away_from=away_from, away_until=now - grace)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A schedule as the store has it."""

    name: str
    #: As `Schedule.to_wire` made it.
    wire: Mapping[str, Any]
    #: Tells this wire from others.
    version: str
    #: The module that declares it, as tasks.schedules; empty for one made at run time.
    declared: str
    paused: bool
    #: The last tick that was dealt with, or the moment from which ticks count.
    cursor: datetime
    #: Of `overlap="queue"`; None: no tick has had to wait.
    waiting: Waiting | None = None
    #: The job that was sent last, and what it is now; None where it is forgotten.
    last_job: str | None = None
    last_status: str | None = None

    @property
    def last_is_alive(self) -> bool:
        """Tell whether the job that was sent last has not ended."""
        return self.last_status in ALIVE


#: The status of jobs that have not ended, a retry that waits included.
ALIVE = ("queued", "started", "deferred", "scheduled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What the store says to a scheduler that asks what is due."""

    #: The time of day by the store's own clock: hosts may disagree.
    now: datetime
    entries: Sequence[Entry]
    #: How long until another is due; None where none is.
    next_in: timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DueTick:
    """A tick that is to be sent, and how."""

    at: datetime
    #: The tick after it; None: there is none.
    following: datetime | None
    envelope: Envelope
    overlap: Overlap
    #: For how long schedulers may be away and count as there, see `still_waiting`.
    grace: timedelta
    #: The store's time when it was asked last.
    now: datetime


class Answer(StrEnum):
    """What became of a tick that a scheduler wanted to send."""

    SENT = "sent"
    #: The tick before has not ended; it was written down as missed.
    SKIPPED = "skipped"
    #: The tick before has not ended; this one is to be tried again later.
    WAITS = "waits"
    #: By the store's clock it is not due yet.
    EARLY = "early"
    #: Somebody else has moved the cursor, or changed or paused the schedule.
    BEHIND = "behind"


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """Ticks one after the other that are not sent, and why."""

    first: datetime
    last: datetime
    #: None: so many that nobody has counted them.
    count: int | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """What became of one tick, or of several that were missed together."""

    due: datetime
    #: When it was sent; None for one that was missed.
    sent_at: datetime | None = None
    job_id: str | None = None
    #: How its job ended, or the status that it had when it was looked at last;
    #: "missed"; "gone" where it ended and was forgotten before anybody looked.
    outcome: str = ""
    #: Why it was missed.
    reason: str = ""
    #: How many were missed, the last of them being `due`; None: nobody has counted.
    count: int | None = 1
    #: A person wanted it now.
    by_hand: bool = False


class Timetable(Protocol):
    """What a store does for schedules; every change is made whole or not at all."""

    def now(self) -> datetime:
        """Return the time of day by the store's own clock.

        Raises:
            StoreError: the store does not answer.
        """
        ...

    def names(self) -> list[str]:
        """Return the names of all schedules, in order.

        Raises:
            StoreError: the store does not answer.
        """
        ...

    def entries(self, names: Collection[str] | None = None) -> list[Entry]:
        """Return all schedules, or those of some names that are there; by name.

        Raises:
            StoreError: the store does not answer.
        """
        ...

    def entry(self, name: str) -> Entry | None:
        """Return a schedule, or None.

        Raises:
            StoreError: the store does not answer.
        """
        ...

    def put(self, entry: Entry, next_due: datetime | None, was: Entry | None) -> bool:
        """Keep a schedule in place of what `was`; a paused one stays so unless told.

        Returns False where it is not what it was: its cursor has moved meanwhile, or
        somebody else has changed it.

        Raises:
            ConfigurationError: something else has its place in the store.
            StoreError: the store does not answer.
        """
        ...

    def remove(self, name: str) -> bool:
        """Forget a schedule and its history; False where there is none.

        Raises:
            StoreError: the store does not answer.
        """
        ...

    def pause(self, name: str) -> None:
        """Send no tick of it until it is resumed.

        Raises:
            StoreError: the store does not answer.
        """
        ...

    def due(self, limit: int, without: Collection[str] = ()) -> Due:
        """Return schedules of which a tick is due, the longest due first.

        Those named in `without` are left out.

        Raises:
            StoreError: the store does not answer.
        """
        ...

    def send(self, entry: Entry, tick: DueTick) -> Answer:
        """Enqueue the job of a tick and move the cursor to it, in one step.

        Raises:
            EnqueueError: the store did not confirm; asking again does no harm.
        """
        ...

    def miss(self, entry: Entry, missed: Missed, next_due: datetime | None) -> bool:
        """Write down ticks that are not sent, and move the cursor past them.

        Returns False where somebody else has moved it, or paused or resumed it.

        Raises:
            StoreError: the store does not answer.
        """
        ...

    def note(self, name: str, tick: Tick) -> None:
        """Write a tick into the history that moves no cursor.

        Raises:
            StoreError: the store does not answer.
        """
        ...

    def history(self, name: str, limit: int) -> list[Tick]:
        """Return what became of the ticks of a schedule, latest first.

        Raises:
            StoreError: the store does not answer.
        """
        ...

    def latest(self, names: Sequence[str]) -> list[Tick | None]:
        """Return what became of the last tick of each of these schedules.

        Raises:
            StoreError: the store does not answer.
        """
        ...

    def note_outcomes(self, limit: int) -> int:
        """Write down how jobs of ticks have ended; return how many were looked at.

        Raises:
            StoreError: the store does not answer.
        """
        ...

    def lead(self, who: str, lease: timedelta, queues: Sequence[str] = ()) -> bool:
        """Tell whether `who` is to do the work that one is enough for.

        With `queues` that is to move the delayed jobs of just these; else, all that is
        done for schedules.

        It saves work and decides nothing: others may do the same at the same time.

        Raises:
            StoreError: the store does not answer.
        """
        ...

    def stand_down(self, who: str, queues: Sequence[str] = ()) -> None:
        """Let another lead at once.

        Raises:
            StoreError: the store does not answer.
        """
        ...
