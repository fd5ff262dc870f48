from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from typing import Any, ParamSpec, TypeVar, cast

from headway.app import App
from headway.backends.memory import MemoryBackend
from headway.codec import Arguments
from headway.errors import JobFailedError
from headway.job import JobInfo, JobStatus
from headway.resource import Resource
from headway.schedule import Schedule
from headway.scheduler import Scheduler
from headway.testing.clock import MovedClock

P = ParamSpec("P")
T = TypeVar("T")


class Harness:
    """An application whose jobs stay in memory while a test looks at them."""

    def __init__(self, app: App, backend: MemoryBackend, clock: MovedClock) -> None:
        self.app = app
        #: Move it, and delayed jobs become due.
        self.clock = clock
        self._backend = backend

    @property
    def jobs(self) -> list[JobInfo]:
        """Return snapshots of all jobs, in the order in which they were sent."""
        return self._backend.jobs()

    def assert_enqueued(
        self, task: Callable[P, Any], *args: P.args, **kwargs: P.kwargs
    ) -> JobInfo:
        """Return the one job of that very call.

        Raises:
            AssertionError: there is none or there are several; lists what there is.
        """
        wanted = self.app.task_of(task).message(*args, **kwargs)
        named = wanted.signature.named
        call = named(wanted.arguments)
        found = [
            job
            for job in self.jobs
            if job.task == wanted.task
            and named(Arguments(args=job.args, kwargs=job.kwargs)) == call
        ]
        if len(found) == 1:
            return found[0]
        raise AssertionError(
            f"expected one job {_call(wanted.task, args, kwargs)}, found {len(found)} "
            f"among:\n{self._listed()}"
        )

    def assert_not_enqueued(self, task: Callable[..., Any] | None = None) -> None:
        """Hold that no job of the task was sent, or none at all.

        Raises:
            AssertionError: lists what there is.
        """
        name = self.app.task_of(task).name if task else None
        if any(name in (None, job.task) for job in self.jobs):
            raise AssertionError(
                f"expected no job of {name or 'any task'}:\n{self._listed()}"
            )

    def drain(
        self, queues: Sequence[str] | None = None, *, raise_failures: bool = True
    ) -> int:
        """Run what is due, and what that enqueues; return how many runs it took.

        The application's queues are taken in their order of urgency.

        Raises:
            JobFailedError: a job failed for the last time; with its traceback.
            UnknownQueueError: the application declares no such queue.
        """
        names = [queue.name for queue in self.app.queues] if queues is None else queues
        served = [self.app.queue(name).name for name in names]
        failed_before = {job.id for job in self._failed()}
        runs = self._backend.drain(served)
        if raise_failures:
            self._raise_first([j for j in self._failed() if j.id not in failed_before])
        return runs

    def declare(self, schedules: Sequence[Schedule]) -> None:
        """Begin to count the ticks of schedules, as a scheduler does when it starts.

        Raises:
            ConfigurationError: two have the same name.
        """
        self.app.schedules.declare({"tests": schedules})

    def send_due(self) -> None:
        """Send the ticks of schedules that are due, as a scheduler does."""
        Scheduler(self.app).round()

    @contextlib.contextmanager
    def inline(self) -> Generator[None]:
        """Run each job in the very call that enqueues it."""
        self._backend.inline = True
        try:
            yield
        finally:
            self._backend.inline = False

    @contextlib.contextmanager
    def replace(self, resource: Resource[T], value: T) -> Generator[None]:
        """Hand tasks another value in place of a resource, which is not opened."""
        with self.app.resources.replaced(resource, value):
            yield

    def _failed(self) -> list[JobInfo]:
        return [job for job in self.jobs if job.status is JobStatus.FAILED]

    def _raise_first(self, failed: list[JobInfo]) -> None:
        for job in failed:
            traceback = job.error or ""
            raise JobFailedError(
                f"{job.description} failed:\n{traceback}", traceback=traceback
            )

    def _listed(self) -> str:
        return (
            "\n".join(
                f"  {job.queue}: {job.description} ({job.status})" for job in self.jobs
            )
            or "  (no jobs at all)"
        )


@contextlib.contextmanager
def in_memory(app: App) -> Generator[Harness]:
    """Serve an application from memory for a while; its own engine is not touched."""
    saved, clock = app.clock, MovedClock()
    app.clock = clock
    try:
        with app.using_engine("memory") as backend:
            yield Harness(app, cast("MemoryBackend", backend), clock)
    finally:
        app.clock = saved


def _call(task: str, args: Sequence[object], kwargs: dict[str, Any]) -> str:
    given = [*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())]
    return f"{task}({', '.join(given)})"
