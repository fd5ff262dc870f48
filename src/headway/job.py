"""Three things: `Job` asks, `JobInfo` is what was answered, a `JobStore` keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from headway.clock import SystemClock
from headway.errors import ConfigurationError, JobFailedError, ResultTimeoutError

R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")

#: How often an async caller looks, at first and at most.
FIRST_LOOK, LONGEST_LOOK = 0.01, 0.25
#: What is kept of the lines that a job logs.
LOG_LINES, LONGEST_LOG_LINE = 100, 500


class JobStatus(StrEnum):
    """RQ's own words, since its tools read the same data."""

    QUEUED = "queued"
    SCHEDULED = "scheduled"
    DEFERRED = "deferred"
    STARTED = "started"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELED = "canceled"
    STOPPED = "stopped"

    @property
    def is_final(self) -> bool:
        """Tell whether nothing more happens unless a person asks for it."""
        return self in _FINAL


_FINAL = (
    JobStatus.FINISHED,
    JobStatus.FAILED,
    JobStatus.CANCELED,
    JobStatus.STOPPED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a running job has come, in its own units."""

    done: float
    total: float
    note: str = ""

    @property
    def fraction(self) -> float:
        """Return what is done as a number from 0 to 1."""
        return min(max(self.done / self.total, 0.0), 1.0) if self.total > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobInfo:
    """What was known of a job at one moment."""

    id: str
    task: str
    queue: str
    status: JobStatus
    #: In JSON's own types, as they travelled.
    args: tuple[object, ...] = ()
    kwargs: dict[str, object] = field(default_factory=dict[str, object])
    description: str = ""
    #: The attempt that runs or ran last, counted from 1; 0 before the first.
    attempt: int = 0
    #: How many runs are to come after this one; None for a job that does not repeat.
    repeats_left: int | None = None
    created_at: datetime | None = None
    enqueued_at: datetime | None = None
    #: When a scheduled job is due, or the next attempt or repeat of one.
    due: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    timeout: timedelta | None = None
    progress: Progress | None = None
    #: The last lines that the job said, oldest first.
    log: tuple[str, ...] = ()
    #: Where its last attempt had come to, as the task has said it.
    checkpoint: object = None
    worker: str | None = None
    #: The id of the workflow that it is a node of, as `app.workflow` takes it.
    workflow: str | None = None
    #: The last attempt's traceback, or what a worker or engine says instead.
    error: str | None = None
    #: One line for each attempt that failed, oldest first.
    errors: tuple[str, ...] = ()
    #: One line for each worker that it has ended, oldest first.
    crashes: tuple[str, ...] = ()
    #: How many runs were for nothing, since others had the job by then.
    superseded: int = 0
    #: The result in JSON's own types; None until the job finished.
    result: object = None


class JobStore(Protocol):
    """What a handle asks of the place where its job lives."""

    def info(self, job_id: str) -> JobInfo:
        """Return a snapshot.

        Raises:
            JobNotFoundError: there is no such job.
        """
        ...

    def wait(self, job_id: str, timeout: float | None) -> JobInfo:
        """Return a snapshot once the job ended, or when the seconds are over.

        Raises:
            JobNotFoundError: there is no such job.
        """
        ...

    def cancel(self, job_id: str) -> bool:
        """Keep a job from running, or stop it; tell whether there was a need.

        Raises:
            JobNotFoundError: there is no such job.
            CapabilityError: it runs, and the engine cannot stop it.
            JobStateError: a worker took it, and does not say that it runs.
        """
        ...

    def requeue(self, job_id: str) -> None:
        """Run a failed, stopped or canceled job again, with all its attempts.

        Raises:
            JobNotFoundError: there is no such job.
            JobStateError: it has not ended, or it finished.
        """
        ...

    def delete(self, job_id: str) -> None:
        """Forget a job and its result.

        Raises:
            JobNotFoundError: there is no such job.
            JobStateError: it is running.
        """
        ...


@dataclass(frozen=True, slots=True)
class Job(Generic[R_co]):
    """A job's id, and where to ask about it; holds no state of the job itself."""

    id: str
    store: JobStore = field(repr=False, compare=False)
    #: Turns the stored result into what the task is annotated to return.
    read_result: Callable[[object], Any] = field(repr=False, compare=False)
    #: True when the call met a unique job, which this handle is of.
    duplicate: bool = field(default=False, compare=False)

    @property
    def status(self) -> JobStatus:
        """Ask for the status.

        Raises:
            JobNotFoundError: the job is gone.
        """
        return self.store.info(self.id).status

    @property
    def progress(self) -> Progress | None:
        """Ask how far the job has come; None until it says so.

        Raises:
            JobNotFoundError: the job is gone.
        """
        return self.store.info(self.id).progress

    def info(self) -> JobInfo:
        """Ask for all there is to know, at one moment.

        Raises:
            JobNotFoundError: the job is gone.
        """
        return self.store.info(self.id)

    def result(self, timeout: float | timedelta | None = None) -> R_co:
        """Wait for the job to end, and return what the task returned.

        `timeout` is in seconds; None waits for as long as it takes.

        Raises:
            ResultTimeoutError: it has not ended in that time.
            JobFailedError: it failed, was canceled or was stopped.
            JobNotFoundError: it is gone, or its result's time to live is over.
        """
        return self._opened(self.store.wait(self.id, in_seconds(timeout)))

    async def result_async(self, timeout: float | timedelta | None = None) -> R_co:
        """Do what `result` does, without holding the event loop or a thread.

        Raises:
            ResultTimeoutError: it has not ended in that time.
            JobFailedError: it failed, was canceled or was stopped.
            JobNotFoundError: it is gone, or its result's time to live is over.
        """
        info = await waited(
            lambda: self.store.info(self.id), lambda info: info.status.is_final, timeout
        )
        return self._opened(info)

    def cancel(self) -> bool:
        """Keep the job from running, or stop it; False when it had ended.

        Raises:
            JobNotFoundError: the job is gone.
            CapabilityError: it runs, and the engine cannot stop it.
            JobStateError: a worker took it, and does not say that it runs.
        """
        return self.store.cancel(self.id)

    def requeue(self) -> None:
        """Run a failed, stopped or canceled job again, with all its attempts.

        Raises:
            JobNotFoundError: the job is gone.
            JobStateError: it has not ended, or it finished.
        """
        self.store.requeue(self.id)

    def delete(self) -> None:
        """Forget the job and its result.

        Raises:
            JobNotFoundError: the job is gone.
            JobStateError: it is running.
        """
        self.store.delete(self.id)

    def _opened(self, info: JobInfo) -> R_co:
        if info.status is JobStatus.FINISHED:
            result: R_co = self.read_result(info.result)
            return result
        if not info.status.is_final:
            scheduled = info.status is JobStatus.SCHEDULED
            who = "a scheduler runs" if scheduled else "a worker serves the queue"
            raise ResultTimeoutError(
                f"job {self.id} ({info.task}) is {info.status} after the time that "
                f"was given: wait longer, or look whether {who} {info.queue!r}"
            )
        reason = (info.error or "").strip()
        last_line = reason.rsplit("\n", 1)[-1] or "no reason was recorded"
        raise JobFailedError(
            f"job {self.id} ({info.task}) ended as {info.status}: {last_line}",
            traceback=reason,
        )


async def waited(
    ask: Callable[[], T],
    is_over: Callable[[T], bool],
    timeout: float | timedelta | None,
) -> T:
    """Ask in a thread until it is over, or the time is; return the last answer.

    Raises:
        ConfigurationError: the timeout is no time.
        Exception: what `ask` raises.
    """
    clock, look, seconds = SystemClock(), FIRST_LOOK, in_seconds(timeout)
    until = None if seconds is None else clock.monotonic() + seconds
    while True:
        found = await asyncio.to_thread(ask)
        late = until is not None and clock.monotonic() >= until
        if is_over(found) or late:
            return found
        await asyncio.sleep(look)
        look = min(look * 1.5, LONGEST_LOOK)


def in_seconds(timeout: float | timedelta | None) -> float | None:
    """Return how long somebody waits.

    Raises:
        ConfigurationError: it is no time.
    """
    if isinstance(timeout, timedelta):
        return timeout.total_seconds()
    if not isinstance(timeout, int | float | None):
        raise ConfigurationError(
            f"timeout={timeout!r}: expected seconds, a timedelta or None"
        )
    return timeout
