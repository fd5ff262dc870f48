"""A function that can run later."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Generic, ParamSpec, Protocol, Self, TypeVar, Unpack, cast

from headway.codec import Arguments, Signature
from headway.errors import ConfigurationError
from headway.flow import Flow, group
from headway.job import Job
from headway.message import Message, Sender
from headway.options import Options

P = ParamSpec("P")
R = TypeVar("R")


class Host(Sender, Protocol):
    """What a task needs of its application."""

    def send_one(self, message: Message[Any]) -> Job[Any]:
        """Send a message."""
        ...

    def check_options(self, owner: str, options: Options) -> Options:
        """Return the options, or refuse them naming their owner."""
        ...

    def delivered(
        self,
        task: DefinedTask[Any, Any],
        args: Sequence[object],
        kwargs: dict[str, Any],
    ) -> Delivered | None:
        """Run the task as a job if an engine's own worker makes this very call."""
        ...


class Delivered(Protocol):
    """A call that turned out to be a job, and has been run as one."""

    @property
    def returned(self) -> object:
        """What the engine's worker is to be given."""
        ...


class DefinedTask(Generic[P, R]):
    """What plain and `async def` tasks share; made by `app.task`."""

    def __init__(
        self,
        function: Callable[P, Any],
        *,
        name: str,
        options: Options,
        host: Host,
        defined: DefinedTask[P, R] | None = None,
    ) -> None:
        #: The task's own dotted path; what travels.
        self.name = name
        self.function = function
        self.options = options
        #: The task as its code has it; `using` makes others from it.
        self.defined: DefinedTask[P, R] = defined or self
        self.signature: Signature = (
            defined.signature if defined else Signature(function, name)
        )
        self._host = host
        # Name, docstring and __wrapped__, so that help() and inspect see through.
        functools.update_wrapper(cast("Callable[..., Any]", self), function)

    @property
    def sender(self) -> Sender:
        """Return the application that sends its messages."""
        return self._host

    def message(self, *args: P.args, **kwargs: P.kwargs) -> Message[R]:
        """Write the call down without sending it.

        Raises:
            ArgumentError: the arguments do not fit, or cannot travel.
        """
        signature = self.signature
        arguments = signature.write(args, kwargs)
        options, defined = self.options, self.defined.options
        return Message(self.name, arguments, options, signature, defined, self._host)

    def written(self, arguments: Arguments) -> Message[R]:
        """Return the message of a call that is written already."""
        options, defined = self.options, self.defined.options
        return Message(
            self.name, arguments, options, self.signature, defined, self._host
        )

    def map(self, values: Iterable[Any], *, limit: int | None = None) -> Flow[list[R]]:
        """Return a group of calls, each with one of the values as its argument.

        With `limit` no more than so many are let go before others have ended.

        Raises:
            ArgumentError: a value does not fit, or cannot travel.
            ConfigurationError: the limit is no positive number.
        """
        call = cast("Callable[[Any], Message[R]]", self.message)
        return group(*map(call, values), limit=limit)

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Send the call; a worker makes it.

        Raises:
            ArgumentError: the arguments do not fit, or cannot travel.
            EnqueueError: the store did not confirm the job.
            DuplicateJobError: a unique job is there, and the task asks to hear.
        """
        return self._host.send_one(self.message(*args, **kwargs))

    async def enqueue_async(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Send the call without holding the event loop; as `enqueue`."""
        message = self.message(*args, **kwargs)
        return await asyncio.to_thread(self._host.send_one, message)

    def enqueue_in(
        self, delay: timedelta, /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[R]:
        """Send the call, to be made that much later.

        Raises:
            ConfigurationError: the delay is no timedelta, or negative.
            ArgumentError: the arguments do not fit, or cannot travel.
            EnqueueError: the store did not confirm the job.
            DuplicateJobError: a unique job is there, and the task asks to hear.
        """
        task = self._with("enqueue_in", {"delay": delay})
        return task.enqueue(*args, **kwargs)

    def enqueue_at(
        self, when: datetime, /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[R]:
        """Send the call, to be made at that time; one that is past is now.

        Raises:
            ConfigurationError: the time is none, or does not say its zone.
            ArgumentError: the arguments do not fit, or cannot travel.
            EnqueueError: the store did not confirm the job.
            DuplicateJobError: a unique job is there, and the task asks to hear.
        """
        return self._with("enqueue_at", {"at": when}).enqueue(*args, **kwargs)

    def using(self, **options: Unpack[Options]) -> Self:
        """Return the same task with other options, for one call or many.

        Raises:
            ConfigurationError: an option is unknown or its value cannot be used.
        """
        return self._with("using", options)

    def _with(self, said_in: str, options: Options) -> Self:
        merged: Options = {**self._kept(options), **options}
        if callable(options.get("on_orphan")):
            raise ConfigurationError(
                f"{self.name}.using(on_orphan=...): a function does not travel with a "
                "call; give it to the task, as @app.task(on_orphan=...), or say "
                "'requeue' or 'fail' here"
            )
        return type(self)(
            self.function,
            name=self.name,
            options=self._host.check_options(f"{self.name}.{said_in}", merged),
            host=self._host,
            defined=self.defined,
        )

    def _kept(self, options: Options) -> Options:
        """Return the options that stay: a new `at` takes a `delay` back, and so on."""
        if "at" in options or "delay" in options:
            begin = {"at", "delay"}
            kept = {k: v for k, v in self.options.items() if k not in begin}
            return cast("Options", kept)
        return self.options

    def __repr__(self) -> str:
        return f"<task {self.name}>"

    def __reduce__(self) -> str:
        # By name, as functions are pickled: the module's attribute is this very task.
        return self.function.__qualname__


class Task(DefinedTask[P, R]):
    """A plain function that can run here and now, or later."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run it here and now.

        Raises:
            ArgumentError: a resource was not passed, and no worker fills it in.
        """
        if (job := self._host.delivered(self, args, kwargs)) is not None:
            return cast("R", job.returned)
        if self.signature.injected:
            self.signature.refuse_lacking(args, kwargs)
        return cast("R", self.function(*args, **kwargs))


class AsyncTask(DefinedTask[P, R]):
    """An `async def` function that can be awaited here and now, or run later."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Return the coroutine, to be awaited here and now.

        Raises:
            ArgumentError: a resource was not passed, and no worker fills it in.
        """
        if (job := self._host.delivered(self, args, kwargs)) is not None:
            return cast("Coroutine[Any, Any, R]", job.returned)
        if self.signature.injected:
            self.signature.refuse_lacking(args, kwargs)
        return cast("Coroutine[Any, Any, R]", self.function(*args, **kwargs))
