"""One run of a job, read from top to bottom; the same under every engine."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, assert_never

from headway.clock import Clock, SystemClock
from headway.errors import ArgumentError, JobExpiredError, ResultError, TaskTimeoutError
from headway.events import (
    Events,
    JobFailed,
    JobRetried,
    JobStarted,
    JobSucceeded,
)
from headway.job import Progress
from headway.outcome import Failed, Outcome, Retried, Succeeded
from headway.retry import Retry
from headway.task import DefinedTask

_current: ContextVar[RunningJob | None] = ContextVar("headway_job", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningJob:
    """The job that this code is the running of; see `current_job`."""

    id: str
    task: str
    queue: str
    #: Counted from 1.
    attempt: int
    _save_progress: Callable[[Progress], None] = field(repr=False)

    def progress(self, done: float, total: float, note: str = "") -> None:
        """Say how far the job has come; `Job.progress` reads it."""
        self._save_progress(Progress(done=done, total=total, note=note))


def current_job() -> RunningJob | None:
    """Return the job that runs here, or None outside of a worker."""
    return _current.get()


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What an engine hands over: a job to be run once, here."""

    job_id: str
    task: DefinedTask[Any, Any]
    queue: str
    args: Sequence[object]
    kwargs: Mapping[str, object]
    #: Counted from 1.
    attempt: int
    retry: Retry | None
    expires_at: datetime | None
    save_progress: Callable[[Progress], None]
    #: What the engine raises into a task that runs too long.
    timeouts: tuple[type[Exception], ...] = ()

    def about(self) -> dict[str, Any]:
        """Return what every event of this attempt says."""
        return {
            "job_id": self.job_id,
            "task": self.task.name,
            "queue": self.queue,
            "attempt": self.attempt,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Runs a delivery; an engine's adapter turns the outcome into its own terms."""

    events: Events
    clock: Clock = field(default_factory=SystemClock)

    def run(self, delivery: Delivery) -> Outcome:
        """Restore, call, write: the outcome is a value, whatever the task raises."""
        started = self.clock.monotonic()
        self.events.emit(JobStarted(**delivery.about()))
        try:
            self._refuse_expired(delivery)
            returned = self._call(delivery)
            result = delivery.task.signature.write_result(returned)
            outcome: Outcome = Succeeded(result=result)
        except Exception as error:  # noqa: BLE001 - the one place round a task
            outcome = self._after(error, delivery)
        elapsed = timedelta(seconds=self.clock.monotonic() - started)
        self._tell_ended(delivery, outcome, elapsed)
        return outcome

    def _refuse_expired(self, delivery: Delivery) -> None:
        expires_at = delivery.expires_at
        if expires_at and delivery.attempt == 1 and self.clock.now() > expires_at:
            raise JobExpiredError(
                f"job {delivery.job_id} was not begun before {expires_at:%c %Z}: it "
                "waited too long in its queue and was not run"
            )

    def _call(self, delivery: Delivery) -> object:
        signature = delivery.task.signature
        args, kwargs = signature.read(delivery.args, delivery.kwargs)
        token = _current.set(
            RunningJob(
                id=delivery.job_id,
                task=delivery.task.name,
                queue=delivery.queue,
                attempt=delivery.attempt,
                _save_progress=delivery.save_progress,
            )
        )
        try:
            returned = delivery.task.function(*args, **kwargs)
            return _awaited(returned) if inspect.iscoroutine(returned) else returned
        except delivery.timeouts as error:
            raise TaskTimeoutError(f"{delivery.task.name}: {error}") from error
        finally:
            _current.reset(token)

    def _after(self, error: Exception, delivery: Delivery) -> Outcome:
        # Another attempt cannot mend a wrong argument, a late job or a bad result.
        hopeless = isinstance(error, ArgumentError | JobExpiredError | ResultError)
        if delivery.retry is None or hopeless:
            return Failed(error=error)
        delay = delivery.retry.delay_after(
            delivery.attempt, error, now=self.clock.now()
        )
        if delay is None:
            return Failed(error=error)
        return Retried(error=error, delay=delay)

    def _tell_ended(
        self, delivery: Delivery, outcome: Outcome, elapsed: timedelta
    ) -> None:
        about: dict[str, Any] = {**delivery.about(), "elapsed": elapsed}
        match outcome:
            case Succeeded():
                self.events.emit(JobSucceeded(**about))
            case Retried(error=error, delay=delay):
                line = error_line(error)
                self.events.emit(JobRetried(**about, delay=delay, error=line))
            case Failed(error=error):
                self.events.emit(JobFailed(**about, error=error_line(error)))
            case _:
                assert_never(outcome)


def _awaited(coroutine: Coroutine[Any, Any, object]) -> object:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    # A test that runs jobs inline in a loop of its own: that loop has to wait.
    with ThreadPoolExecutor(max_workers=1) as thread:
        context = contextvars.copy_context()
        return thread.submit(context.run, asyncio.run, coroutine).result()


def error_line(error: BaseException, longest: int = 500) -> str:
    """Return the exception on one line, as a traceback ends."""
    text = f"{type(error).__qualname__}: {error}".replace("\n", " ")
    return text if len(text) <= longest else f"{text[:longest]}..."
