"""What is done round every job: a context manager, so that one kind serves all tasks.

A callable that calls the next would have to be written twice, once for plain tasks and
once for `async def` ones, or know which it is round. The body of a `with` does not care
whether it waits.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import cast

from headway.delivery import RunningJob
from headway.errors import ConfigurationError

#: Makes what is entered before a job and left after it, as `@contextmanager` does.
Middleware = Callable[[RunningJob], AbstractContextManager[object]]

#: As it is written: a function that yields once will do.
AnyMiddleware = Middleware | Callable[[RunningJob], Iterator[None]]

_NOTHING = nullcontext()


def define(function: AnyMiddleware) -> Middleware:
    """Return the middleware that a function is, or would be with `@contextmanager`.

    Raises:
        ConfigurationError: it cannot be entered and left.
    """
    if inspect.isgeneratorfunction(function):
        return contextmanager(function)
    asynchronous = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(
        function
    )
    if asynchronous or not callable(function):
        raise ConfigurationError(
            f"middleware {function!r}: expected a plain function of the running job "
            "that yields once; it is entered and left round async tasks as well"
        )
    return cast("Middleware", function)


def around(
    middleware: Sequence[Middleware], job: RunningJob
) -> AbstractContextManager[object]:
    """Return all of it as one; the first is the outermost."""
    return _stacked(middleware, job) if middleware else _NOTHING


@contextmanager
def _stacked(middleware: Sequence[Middleware], job: RunningJob) -> Generator[None]:
    with ExitStack() as stack:
        for each in middleware:
            stack.enter_context(each(job))
        yield
