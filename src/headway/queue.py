from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from headway.errors import ConfigurationError
from headway.job import Job
from headway.options import JOB_ID
from headway.task import DefinedTask

P = ParamSpec("P")
R = TypeVar("R")


class TaskSource(Protocol):
    """What a queue needs of its application."""

    def task_of(self, function: Callable[P, R]) -> DefinedTask[P, R]:
        """Return the task that a function is, decorated or not."""
        ...


@dataclass(frozen=True, slots=True)
class Queue:
    """A named line of jobs; its place among the others is its urgency."""

    name: str
    #: How long an attempt may run where the task does not say.
    timeout: timedelta = field(default=timedelta(minutes=3), kw_only=True)
    #: The engine that serves it; None is the application's.
    engine: str | None = field(default=None, kw_only=True)
    _source: TaskSource | None = field(
        default=None, kw_only=True, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Refuse a name or a timeout that no engine could serve.

        Raises:
            ConfigurationError: naming the value and what is expected.
        """
        if not JOB_ID.fullmatch(self.name):
            raise ConfigurationError(
                f"Queue({self.name!r}): expected letters, digits, _ and - only"
            )
        if not _is_positive(self.timeout):
            raise ConfigurationError(
                f"Queue({self.name!r}, timeout={self.timeout}): expected a positive "
                "timedelta, as timedelta(minutes=5)"
            )

    @overload
    def enqueue(
        self,
        function: Callable[P, Coroutine[Any, Any, R]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Job[R]: ...

    @overload
    def enqueue(
        self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> Job[R]: ...

    def enqueue(
        self, function: Callable[P, Any], *args: P.args, **kwargs: P.kwargs
    ) -> Job[Any]:
        """Send a call of a task, or of a plain function of the tasks package.

        Raises:
            ConfigurationError: the queue belongs to no application yet, or the
                function is one that no worker would run.
            ArgumentError: the arguments do not fit, or cannot travel.
            EnqueueError: the store did not confirm the job.
        """
        if self._source is None:
            raise ConfigurationError(
                f"Queue({self.name!r}) belongs to no App: take it from `app.queues`"
            )
        task = self._source.task_of(function)
        return task.using(queue=self.name).enqueue(*args, **kwargs)


def _is_positive(value: object) -> bool:
    return isinstance(value, timedelta) and value > timedelta(0)
