from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from headway.job import JobInfo, JobStore
from headway.message import Envelope
from headway.timetable import Timetable
from headway.workflows import WorkflowStore


class Capability(StrEnum):
    """What engines differ in; asking for one that is missing is refused."""

    #: Begin a job later, or at a time.
    DELAY = "delay"
    #: At most one job of a key at a time.
    UNIQUE = "unique"
    #: Put a job in front of all that wait.
    AT_FRONT = "at_front"
    #: Serve queues in their order of urgency.
    QUEUE_ORDER = "queue_order"
    #: Stop a job that runs.
    STOP_RUNNING = "stop_running"
    #: End a job that overstays its time in code that does not return.
    HARD_TIMEOUT = "hard_timeout"
    #: Say how far a job has come.
    PROGRESS = "progress"
    #: Recover the job of a worker that was killed.
    RECOVERY = "recovery"
    #: Bind the jobs of a queue to a GPU each.
    DEVICE = "device"


class Backend(JobStore, Protocol):
    """What an engine does for an application."""

    @property
    def engine(self) -> str:
        """Return the engine's name, as `queues.py` spells it."""
        ...

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Return what this engine can do."""
        ...

    @property
    def timetable(self) -> Timetable:
        """Return what its store does for schedules."""
        ...

    @property
    def workflows(self) -> WorkflowStore:
        """Return what its store does for workflows."""
        ...

    def enqueue(self, envelopes: Sequence[Envelope]) -> dict[int, str]:
        """Send jobs in one round trip; each is sent whole or not at all.

        Returns for those that were not sent: their place, and the id in their way,
        of the same unique key or their own.

        Raises:
            EnqueueError: the store did not confirm; says whether it may have.
        """
        ...

    def failed(self, queue: str, limit: int) -> list[JobInfo]:
        """Return the failed jobs of a queue, latest first.

        Raises:
            StoreError: the store does not answer.
        """
        ...

    def pause(self, queue: str) -> None:
        """Let no worker begin a job of the queue; what runs goes on.

        Raises:
            StoreError: the store does not answer.
        """
        ...

    def resume(self, queue: str) -> None:
        """Let workers have the queue's jobs again.

        Raises:
            StoreError: the store does not answer.
        """
        ...

    def is_paused(self, queue: str) -> bool:
        """Tell whether the queue is paused.

        Raises:
            StoreError: the store does not answer.
        """
        ...

    def close(self) -> None:
        """Give back the connections."""
        ...
