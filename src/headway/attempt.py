"""One run of a job, read from top to bottom; the same under every engine.

A plain task and an `async def` one take the same steps, so there is one list of them,
and it is a coroutine. For a plain task it never waits: `run` starts it, and by then it
has ended.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from types import CoroutineType
from typing import Any, assert_never

from headway.clock import Clock, SystemClock
from headway.delivery import Delivery, RunningJob, current
from headway.errors import ArgumentError, JobExpiredError, ResultError
from headway.events import (
    Events,
    JobFailed,
    JobRetried,
    JobStarted,
    JobSucceeded,
)
from headway.middleware import Middleware, around
from headway.outcome import Failed, Outcome, Retried, Succeeded
from headway.reference import failures
from headway.resource import Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Runs a delivery; an engine's adapter turns the outcome into its own terms."""

    events: Events
    clock: Clock = field(default_factory=SystemClock)
    resources: Resources = field(default_factory=Resources)
    #: The first is the outermost.
    middleware: Sequence[Middleware] = ()

    def run(self, delivery: Delivery) -> Outcome:
        """Run a task to its end: the outcome is a value, whatever the task raises.

        Raises:
            BaseException: what stops the worker itself, and `delivery.interrupts`.
        """
        try:
            self._steps(delivery, blocking=True).send(None)
        except StopIteration as ended:
            outcome: Outcome = ended.value
            return outcome
        raise AssertionError("a blocking run has waited")

    async def run_async(self, delivery: Delivery) -> Outcome:
        """Do what `run` does on a running loop, for `async def` tasks.

        Raises:
            CancelledError: this very call was cancelled; see `broken_off`.
            BaseException: what stops the worker itself, and `delivery.interrupts`.
        """
        return await self._steps(delivery, blocking=False)

    def broken_off(
        self, delivery: Delivery, error: BaseException, elapsed: timedelta
    ) -> Retried | Failed:
        """Say what comes of a run that its worker has ended, as after a timeout."""
        outcome = self._after(error, delivery)
        self._tell_ended(delivery, outcome, elapsed.total_seconds())
        return outcome

    async def _steps(self, delivery: Delivery, *, blocking: bool) -> Outcome:
        started = self.clock.monotonic()
        if self.events.wants(JobStarted):
            self.events.emit(JobStarted(**delivery.about()))
        try:
            self._refuse_expired(delivery)
            returned = await self._returned(delivery, blocking=blocking)
            if delivery.inspect is not None:
                delivery.inspect(returned)
            encoded = delivery.task.signature.write_result(returned)
            delivery.grow()
            outcome: Outcome = Succeeded(encoded=encoded)
        except BaseException as error:
            if _is_the_workers_own(error, delivery):
                raise
            outcome = self._after(_without_our_frames(error), delivery)
        self._tell_ended(delivery, outcome, self.clock.monotonic() - started)
        return outcome

    def _refuse_expired(self, delivery: Delivery) -> None:
        expires_at = delivery.expires_at
        if expires_at and delivery.attempt == 1 and self.clock.now() > expires_at:
            raise JobExpiredError(
                f"job {delivery.job_id} was not begun before {expires_at:%c %Z}: it "
                "waited too long in its queue and was not run"
            )

    async def _returned(self, delivery: Delivery, *, blocking: bool) -> object:
        job = RunningJob(delivery, self.resources)
        token = current.set(job)
        returned: object = None  # what a middleware that keeps an exception leaves
        try:
            with around(self.middleware, job):
                returned = self._call(delivery)
                if isinstance(returned, CoroutineType):
                    returned = _awaited(returned) if blocking else await returned
        except delivery.timeouts as error:
            raise delivery.timeout_error(f"{delivery.task.name}: {error}") from error
        finally:
            current.reset(token)
        return returned

    def _call(self, delivery: Delivery) -> object:
        signature = delivery.task.signature
        args, kwargs = self._read(delivery)
        if signature.injected:
            for name, resource in signature.resources.items():
                kwargs[name] = self.resources.get(resource)
        returned: object = delivery.task.function(*args, **kwargs)
        return returned

    def _read(self, delivery: Delivery) -> tuple[list[Any], dict[str, Any]]:
        read = delivery.task.signature.read
        if not delivery.waited_for:
            return read(delivery.args, delivery.kwargs)
        named, more = delivery.waited_for[:3], len(delivery.waited_for) - 3
        others = f" and {more} more" if more > 0 else ""
        source = f"It waited for what {', '.join(named)}{others} returned"
        try:
            return read(delivery.args, delivery.kwargs, source=source)
        except ArgumentError as error:
            failed = next(failures([*delivery.args, *delivery.kwargs.values()]), None)
            if failed is None:
                raise
            raise ArgumentError(
                f"{error}. Of job {failed} it gets the Failure: name it as well, as in "
                "`int | Failure`"
            ) from error

    def _after(self, error: BaseException, delivery: Delivery) -> Retried | Failed:
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

    def _tell_ended(self, delivery: Delivery, outcome: Outcome, seconds: float) -> None:
        if not self.events.wants(_TOLD_AS[type(outcome)]):
            return
        elapsed = timedelta(seconds=seconds)
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


_TOLD_AS = {Succeeded: JobSucceeded, Retried: JobRetried, Failed: JobFailed}


def _is_the_workers_own(error: BaseException, delivery: Delivery) -> bool:
    """Tell what stops the worker from what a task may raise, `SystemExit` included."""
    if isinstance(error, asyncio.CancelledError):
        return _is_being_cancelled()
    return isinstance(error, (KeyboardInterrupt, GeneratorExit, *delivery.interrupts))


def _is_being_cancelled() -> bool:
    """Tell a cancellation from outside from one that the task's own code raises."""
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no loop runs here
        return False
    return task is not None and task.cancelling() > 0


def _without_our_frames(error: BaseException) -> BaseException:
    """Return the exception with a traceback that begins in the task, if it does."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return error if trace is None else error.with_traceback(trace)


def _awaited(coroutine: Coroutine[Any, Any, object]) -> object:
    if not _is_in_a_loop():
        return asyncio.run(coroutine)
    # A test that runs jobs inline in a loop of its own: that loop has to wait.
    with ThreadPoolExecutor(max_workers=1) as thread:
        context = contextvars.copy_context()
        return thread.submit(context.run, asyncio.run, coroutine).result()


def _is_in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def error_line(error: BaseException, longest: int = 500) -> str:
    """Return the exception on one line, as a traceback ends."""
    text = f"{type(error).__qualname__}: {error}".replace("\n", " ")
    return text if len(text) <= longest else f"{text[:longest]}..."
