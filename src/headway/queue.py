from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, ParamSpec, Protocol, TypeVar, overload

from headway.backend import Backend
from headway.errors import ConfigurationError
from headway.job import Job
from headway.options import JOB_ID
from headway.task import DefinedTask

P = ParamSpec("P")
R = TypeVar("R")


class Owner(Protocol):
    """What a queue needs of its application."""

    def task_of(self, function: Callable[P, R]) -> DefinedTask[P, R]:
        """Return the task that a function is, decorated or not."""
        ...

    def backend(self, engine: str | None = None) -> Backend:
        """Return the adapter of an engine; the application's own without a name."""
        ...


@dataclass(frozen=True, slots=True)
class Queue:
    """A named line of jobs; its place among the others is its urgency."""

    name: str
    #: How long an attempt may run where the task does not say.
    timeout: timedelta = field(default=timedelta(minutes=3), kw_only=True)
    #: The engine that serves it; None is the application's.
    engine: str | None = field(default=None, kw_only=True)
    #: What its jobs need; a worker gives each such device a child of its own.
    device: Literal["cuda"] | None = field(default=None, kw_only=True)
    #: How many jobs a child takes at once, at most; None is measured from their times.
    prefetch: int | None = field(default=None, kw_only=True)
    #: Its part of the turns among the others, where a worker goes by weights.
    weight: int = field(default=1, kw_only=True)
    _source: Owner | None = field(default=None, kw_only=True, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what no engine could serve.

        Raises:
            ConfigurationError: naming the value and what is expected.
        """
        for fine, said, wanted in self._expected():
            if not fine:
                raise ConfigurationError(f"Queue({said}): expected {wanted}")

    def _expected(self) -> Iterator[tuple[bool, str, str]]:
        name = repr(self.name)
        yield (
            isinstance(self.name, str) and bool(JOB_ID.fullmatch(self.name)),
            name,
            "letters, digits, _ and - only",
        )
        yield (
            isinstance(self.timeout, timedelta) and self.timeout > timedelta(0),
            f"{name}, timeout={self.timeout}",
            "a positive timedelta, as timedelta(minutes=5)",
        )
        yield (
            self.device in (None, "cuda"),
            f"{name}, device={self.device!r}",
            'device="cuda", or None where the jobs need no GPU',
        )
        yield (
            self.prefetch is None or _is_count(self.prefetch),
            f"{name}, prefetch={self.prefetch!r}",
            "a whole number from 1, or None to have it measured",
        )
        yield (
            _is_count(self.weight),
            f"{name}, weight={self.weight!r}",
            "a whole number from 1; 3 has three times the turns of 1",
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
        return self._task_of(function).enqueue(*args, **kwargs)

    @overload
    def enqueue_in(
        self,
        delay: timedelta,
        function: Callable[P, Coroutine[Any, Any, R]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Job[R]: ...

    @overload
    def enqueue_in(
        self,
        delay: timedelta,
        function: Callable[P, R],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Job[R]: ...

    def enqueue_in(
        self,
        delay: timedelta,
        function: Callable[P, Any],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Job[Any]:
        """Send a call that is to be made that much later; else as `enqueue`.

        Raises:
            ConfigurationError: the delay is no timedelta, or negative; or as `enqueue`.
            ArgumentError: the arguments do not fit, or cannot travel.
            EnqueueError: the store did not confirm the job.
        """
        return self._task_of(function).enqueue_in(delay, *args, **kwargs)

    @overload
    def enqueue_at(
        self,
        when: datetime,
        function: Callable[P, Coroutine[Any, Any, R]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Job[R]: ...

    @overload
    def enqueue_at(
        self,
        when: datetime,
        function: Callable[P, R],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Job[R]: ...

    def enqueue_at(
        self,
        when: datetime,
        function: Callable[P, Any],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Job[Any]:
        """Send a call that is to be made at a time of the clock; else as `enqueue`.

        Raises:
            ConfigurationError: the time does not say its zone; or as `enqueue`.
            ArgumentError: the arguments do not fit, or cannot travel.
            EnqueueError: the store did not confirm the job.
        """
        return self._task_of(function).enqueue_at(when, *args, **kwargs)

    def pause(self) -> None:
        """Let no worker of ours begin one of its jobs; what runs goes on.

        Raises:
            ConfigurationError: the queue belongs to no application yet.
            StoreError: the store does not answer.
        """
        self._owner().backend(self.engine).pause(self.name)

    def resume(self) -> None:
        """Let workers have its jobs again.

        Raises:
            ConfigurationError: the queue belongs to no application yet.
            StoreError: the store does not answer.
        """
        self._owner().backend(self.engine).resume(self.name)

    @property
    def paused(self) -> bool:
        """Ask whether it is paused.

        Raises:
            ConfigurationError: the queue belongs to no application yet.
            StoreError: the store does not answer.
        """
        return self._owner().backend(self.engine).is_paused(self.name)

    def _task_of(self, function: Callable[P, R]) -> DefinedTask[P, R]:
        return self._owner().task_of(function).using(queue=self.name)

    def _owner(self) -> Owner:
        if self._source is None:
            raise ConfigurationError(
                f"Queue({self.name!r}) belongs to no App: take it from `app.queues`"
            )
        return self._source


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
