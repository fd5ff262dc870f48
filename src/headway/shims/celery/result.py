"""What has become of a call: Celery's results, asked of Headway's jobs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator
from contextvars import ContextVar
from typing import Any, NoReturn

from headway.errors import JobNotFoundError
from headway.job import JobInfo, JobStatus
from headway.shims.celery import current, outcome, plain, request, states
from headway.shims.celery.exceptions import (
    TimeoutError,  # noqa: A004 - Celery's name
)
from headway.shims.celery.lacking import missing, nothing_else, refuse

#: What is asked of a job's snapshot by another name.
_FIELDS: dict[str, Callable[[JobInfo], Any]] = {
    "name": lambda info: info.task,
    "args": lambda info: plain.read(list(info.args)),
    "kwargs": lambda info: plain.read(dict(info.kwargs)),
    "queue": lambda info: info.queue,
    "retries": lambda info: max(info.attempt - 1, 0),
    "worker": lambda info: info.worker,
    "date_done": lambda info: info.ended_at,
    "traceback": lambda info: info.error,
}
_INSTEAD = {
    "children": "ask the result of what was sent: AsyncResult(id)",
    "collect": "use get()",
    "then": "link a task to it: apply_async(link=...)",
    "graph": "look at the workflow in the dashboard",
    "save": "keep the ids of its results",
    "as_tuple": "keep its id",
    "iterate": "ask each of its results",
    "iter_native": "ask each of its results",
}

_may_wait: ContextVar[bool] = ContextVar("celery_may_wait", default=False)


class AsyncResult:
    """A call that was sent, by its id."""

    def __init__(
        self,
        id: str,
        backend: object = None,
        task_name: str | None = None,
        app: Any = None,
        parent: Any = None,
        ignored: bool = False,
    ) -> None:
        self.id = self.task_id = str(id)
        self.parent, self.ignored = parent, ignored
        self._app = app

    @property
    def app(self) -> Any:
        return self._app or current.get_current()

    @property
    def state(self) -> str:
        return outcome.state_of(self._blamed(self._snapshot()))

    @property
    def result(self) -> Any:
        """Ask for what it returned, raised, or says of itself; None before."""
        info = self._blamed(self._snapshot())
        return info and outcome.value_of(info)

    status, info = state, result

    def ready(self) -> bool:
        return self.state in states.READY_STATES

    def successful(self) -> bool:
        return self.state == states.SUCCESS

    def failed(self) -> bool:
        return self.state == states.FAILURE

    def get(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        *ignored: Any,
        follow_parents: bool = True,
        callback: Callable[[str, Any], Any] | None = None,
        disable_sync_subtasks: bool = True,
        **more: Any,
    ) -> Any:
        """Wait for the end; return what it returned.

        Raises:
            TimeoutError: it has not ended in that time.
            RuntimeError: it is asked for within a task.
            Exception: what it, or one before it in a chain, has raised.
        """
        if self.ignored:
            return None
        if disable_sync_subtasks:
            _refuse_within_task()
        info = self._blamed(self._ended(timeout))
        value = outcome.value_of(info)
        if propagate and outcome.state_of(info) in states.PROPAGATE_STATES:
            if follow_parents:
                self.throw_of_parents()
            raise value
        if callback is not None:
            callback(self.id, value)
        return value

    wait = get

    def maybe_throw(self, propagate: bool = True, callback: Any = None) -> Any:
        """Return what it returned so far, or raise what it has raised.

        Raises:
            Exception: that.
        """
        value = self.result
        if propagate and self.state in states.PROPAGATE_STATES:
            raise value
        return value

    def throw_of_parents(self) -> None:
        """Raise what the first has raised of those before it.

        Raises:
            Exception: that.
        """
        if self.parent is not None:
            self.parent.throw_of_parents()
            self.parent.maybe_throw()

    def revoke(
        self,
        connection: object = None,
        terminate: bool = False,
        signal: object = None,
        **ignored: Any,
    ) -> None:
        """Keep it from running; with `terminate` stop it, should it run."""
        info = self._snapshot()
        if info is None or info.status.is_final:
            return
        if terminate or info.status is not JobStatus.STARTED:
            self.app.headway.job(self.id).cancel()

    def forget(self) -> None:
        if self._snapshot() is not None:
            self.app.headway.job(self.id).delete()

    def _ended(self, timeout: float | None) -> JobInfo:
        try:
            info: JobInfo = self.app.headway.job(self.id).store.wait(self.id, timeout)
        except JobNotFoundError as error:
            raise TimeoutError(
                f"no result of {self.id} is here: there was none, its time is over, "
                "or it is ignored"
            ) from error
        if not info.status.is_final:
            raise TimeoutError("The operation timed out.")
        return info

    def _blamed(self, info: Any) -> Any:
        """Return what is known of the job whose failure is this one's as well."""
        other = info and outcome.blamed(info)
        return (self.app.AsyncResult(other)._snapshot() if other else None) or info  # noqa: SLF001

    def _snapshot(self) -> JobInfo | None:
        try:
            found: JobInfo = self.app.headway.job(self.id).info()
        except JobNotFoundError:
            return None
        return found

    def __getattr__(self, name: str) -> Any:
        if name not in _FIELDS:
            raise missing(type(self).__name__, name, _INSTEAD)
        info = self._snapshot()
        return info and _FIELDS[name](info)

    def __eq__(self, other: object) -> bool:
        return getattr(other, "id", other) == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __str__(self) -> str:
        return self.id

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.id}>"


class EagerResult(AsyncResult):
    """A call that was made here."""

    def __init__(
        self, id: str, value: Any, state: str, traceback: str | None = None
    ) -> None:
        super().__init__(id)
        self._value, self._state, self.traceback = value, state, traceback

    @property
    def state(self) -> str:
        return self._state

    @property
    def result(self) -> Any:
        return self._value

    status, info = state, result

    def get(
        self, timeout: float | None = None, propagate: bool = True, *_: Any, **__: Any
    ) -> Any:
        """Return what it returned.

        Raises:
            Exception: what it raised.
        """
        return self.maybe_throw(propagate)

    wait = get

    def revoke(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: it is over, and kept nowhere."""

    forget = revoke


class GroupResult:
    """The results of a group, asked together."""

    def __init__(
        self, id: Any, results: Any, parent: Any = None, app: Any = None, **_: Any
    ) -> None:
        self.id, self.results, self.parent = id, list(results), parent
        self.children = self.results

    def ready(self) -> bool:
        return all(each.ready() for each in self.results)

    def successful(self) -> bool:
        return all(each.successful() for each in self.results)

    def failed(self) -> bool:
        return any(each.failed() for each in self.results)

    def waiting(self) -> bool:
        return not self.ready()

    def completed_count(self) -> int:
        return sum(each.successful() for each in self.results)

    def get(self, timeout: float | None = None, *args: Any, **kwargs: Any) -> Any:
        """Wait for all; return what they returned, in their order.

        Raises:
            TimeoutError: they have not ended in that time.
            Exception: what one has raised.
        """
        until = None if timeout is None else time.monotonic() + timeout
        found: list[Any] = []
        for each in self.results:
            left = None if until is None else max(until - time.monotonic(), 0.0)
            found.append(each.get(left, *args, **kwargs))
        return found

    join = join_native = get

    def maybe_throw(self, *args: Any, **kwargs: Any) -> None:
        for each in self.results:
            each.maybe_throw(*args, **kwargs)

    throw_of_parents = AsyncResult.throw_of_parents

    def revoke(self, **kwargs: Any) -> None:
        for each in self.results:
            each.revoke(**kwargs)

    def forget(self) -> None:
        for each in self.results:
            each.forget()

    @classmethod
    def restore(cls, id: str, *_: Any, **__: Any) -> NoReturn:
        """Refuse: nothing is kept of a group.

        Raises:
            ConfigurationError: always.
        """
        refuse(f"{cls.__name__}.restore({id!r})", _INSTEAD["save"])

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.results)

    def __getitem__(self, at: int) -> Any:
        return self.results[at]

    def __getattr__(self, name: str) -> Any:
        raise missing(type(self).__name__, name, _INSTEAD)

    def __repr__(self) -> str:
        return f"<GroupResult: {self.id} [{', '.join(map(str, self.results))}]>"


class ResultSet(GroupResult):
    """Results that are asked together, whosever they are."""

    def __init__(self, results: Any, app: Any = None, **_: Any) -> None:
        super().__init__(None, results, app=app)


@contextlib.contextmanager
def allow_join_result() -> Generator[None]:
    """Let a task wait for others for a while."""
    token = _may_wait.set(True)
    try:
        yield
    finally:
        _may_wait.reset(token)


def _refuse_within_task() -> None:
    """Refuse to have a task wait for another: all workers might come to wait.

    Raises:
        RuntimeError: a task runs here.
    """
    running = None if _may_wait.get() else request.top()
    if running and not (running[1].called_directly or running[1].is_eager):
        raise RuntimeError("Never call result.get() within a task!")


__getattr__ = nothing_else("result")
