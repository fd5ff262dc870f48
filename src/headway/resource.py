"""What a child opens once and its tasks share: a pool, a client, a model.

A connection that two processes share mixes up their answers, and closing it in one
ends it for the other. So what was opened belongs to the process that opened it: a
process forked later is refused what it inherited, and leaves it open.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import os
import threading
from collections.abc import Callable, Collection, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from headway.errors import ConfigurationError, ResourceError

T = TypeVar("T")

log = logging.getLogger("headway.resource")


class Injected:
    """The kind of `injected`; a task that was called without a worker may meet it."""

    def __repr__(self) -> str:
        return "injected"


#: The default of a parameter that the worker fills in, typed so that no call needs it.
injected: Any = Injected()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Resource(Generic[T]):
    """How to open and close something that tasks share; made by `app.resource`."""

    name: str
    function: Callable[[], Iterator[T]]
    #: Opened when a child starts, and not only when a task first asks.
    eager: bool = False
    #: Opened so in children alone that serve this queue; None is all of them.
    queue: str | None = None


def define(
    function: Callable[[], Iterator[T]],
    *,
    scope: str = "child",
    eager: bool = False,
    queue: str | None = None,
) -> Resource[T]:
    """Make a generator function a resource.

    Raises:
        ConfigurationError: it is no plain generator function, or the scope is unknown.
    """
    name = f"{function.__module__}.{function.__qualname__}"
    if scope != "child":
        raise ConfigurationError(
            f"resource {name}: scope={scope!r}: expected 'child', the only one there is"
        )
    if queue is not None and not eager:
        raise ConfigurationError(
            f"resource {name}: queue={queue!r} says in which children it is opened at "
            "their start: add eager=True. Else it is opened where a task first asks"
        )
    if inspect.isasyncgenfunction(function):
        raise ConfigurationError(
            f"resource {name} is an async generator: expected a plain one. Async tasks "
            "are given it as well, for `def` and one `yield` need no event loop"
        )
    if (
        not inspect.isgeneratorfunction(function)
        or inspect.signature(function).parameters.values()
    ):
        raise ConfigurationError(
            f"resource {name}: expected a function without parameters that opens, "
            "yields once and closes"
        )
    return Resource(name=name, function=function, eager=eager, queue=queue)


class Resources:
    """The resources that this process has opened."""

    def __init__(self) -> None:
        self.declared: list[Resource[Any]] = []
        #: A child keeps them until its end; elsewhere they last for one job.
        self.kept = False
        #: Held for ever: a generator that is collected here would close the parent's.
        self._inherited: dict[Resource[Any], Iterator[Any]] = {}
        self._stand_ins: dict[Resource[Any], Any] = {}
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        # Reentrant: a resource may be made of another.
        self._lock = threading.RLock()
        self._values: dict[Resource[Any], Any] = {}
        self._generators: list[tuple[Resource[Any], Iterator[Any]]] = []

    def get(self, resource: Resource[T]) -> T:
        """Return what the resource yields, opened by whoever asks first.

        Raises:
            ResourceError: a process that forked this one has opened it, or it
                yields nothing.
            Exception: what its opening raised; the next call tries again.
        """
        self._leave_to_the_parent()
        for values in (self._stand_ins, self._values):
            if resource in values:
                value: T = values[resource]
                return value
        return self._open(resource)

    def open(self, served: Collection[str]) -> None:
        """Open what a child of these queues is to open at once; keep all until `close`.

        One that does not open is logged: the jobs that ask for it try again, and the
        others need not wait for it.
        """
        self.kept = True
        for resource in self.declared:
            if not resource.eager or resource.queue not in (None, *served):
                continue
            try:
                self.get(resource)
            except Exception:  # a child that ends here would only be started again
                log.exception(
                    "a resource did not open", extra={"resource": resource.name}
                )

    def close(self) -> None:
        """Close what this process opened, the latest first; what raises is logged."""
        self._leave_to_the_parent()
        with self._lock:
            while self._generators:
                resource, generator = self._generators.pop()
                del self._values[resource]
                _close(resource, generator)

    @contextlib.contextmanager
    def replaced(self, resource: Resource[T], value: T) -> Generator[None]:
        """Hand out another value for a while, as tests do."""
        saved = self._stand_ins
        self._stand_ins = {**saved, resource: value}
        try:
            yield
        finally:
            self._stand_ins = saved

    def _leave_to_the_parent(self) -> None:
        if os.getpid() != self._pid:
            self._inherited.update(self._generators)
            self._begin()

    def _open(self, resource: Resource[T]) -> T:
        if resource in self._inherited:
            raise ResourceError(
                f"resource {resource.name} was opened before a fork, and process "
                f"{os.getpid()} cannot share it with its parent: let a task open it, "
                "and not an import or on_worker_start"
            )
        with self._lock:
            if resource not in self._values:  # another thread may have been first
                generator = resource.function()
                self._values[resource] = _first(resource, generator)
                self._generators.append((resource, generator))
            value: T = self._values[resource]
            return value


def _first(resource: Resource[T], generator: Iterator[T]) -> T:
    try:
        return next(generator)
    except StopIteration:
        raise ResourceError(
            f"resource {resource.name} yielded nothing: expected one `yield`"
        ) from None


def _close(resource: Resource[Any], generator: Iterator[Any]) -> None:
    try:
        next(generator, None)
    except Exception:  # the others must be closed all the same
        log.exception("a resource did not close", extra={"resource": resource.name})
