"""What happened: one frozen class for each transition, told to whoever subscribed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import timedelta

log = logging.getLogger("headway.events")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What all transitions of a job have in common."""

    job_id: str
    task: str
    queue: str

    def named_fields(self) -> dict[str, object]:
        """Return the fields by name, for log lines and metrics."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEnqueued(Event):
    """The store has confirmed a job."""

    duplicate: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStarted(Event):
    """An attempt begins."""

    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSucceeded(Event):
    """The task returned."""

    attempt: int
    elapsed: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRetried(Event):
    """The task raised, and runs again after `delay`."""

    attempt: int
    elapsed: timedelta
    delay: timedelta
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFailed(Event):
    """The task raised for the last time, or for that of this run where it repeats."""

    attempt: int
    elapsed: timedelta
    error: str


Subscriber = Callable[[Event], None]


class Events:
    """The subscribers of one application."""

    def __init__(self) -> None:
        self._subscribers: list[tuple[Subscriber, tuple[type[Event], ...]]] = []
        self._wanted: tuple[type[Event], ...] = ()

    def subscribe(self, subscriber: Subscriber, *kinds: type[Event]) -> None:
        """Call it with each event from now on, in this process.

        With `kinds` only with those: an event that nobody wants is not even made.
        """
        kinds = kinds or (Event,)
        self._subscribers.append((subscriber, kinds))
        self._wanted += kinds

    def wants(self, kind: type[Event]) -> bool:
        """Tell whether anybody would hear of it."""
        return issubclass(kind, self._wanted)

    def emit(self, event: Event) -> None:
        """Tell all subscribers; one that raises never changes a job's outcome."""
        for subscriber, kinds in self._subscribers:
            if not isinstance(event, kinds):
                continue
            try:
                subscriber(event)
            except Exception:  # a listener must not fail a job
                log.exception("a subscriber failed", extra=event.named_fields())
