"""What Celery raises, and what its tasks raise to say what is to become of them."""

from __future__ import annotations

import builtins
import sys
from datetime import datetime
from typing import Any

from rq.timeouts import JobTimeoutException

from headway.shims.celery.lacking import nothing_else

#: What a worker raises into a task whose time is over, so that `except` finds it.
SoftTimeLimitExceeded = JobTimeoutException


class CeleryError(Exception):
    """Base of what Celery raises."""


class TaskPredicate(CeleryError):
    """Raised by a task to say what is to become of it."""


class Retry(TaskPredicate):
    """Raised by `self.retry`: the task runs again later."""

    def __init__(
        self,
        message: str | None = None,
        exc: BaseException | None = None,
        when: float | datetime | None = None,
        is_eager: bool = False,
        sig: Any = None,
        wait: float = 0.0,
    ) -> None:
        super().__init__(message, exc, when)
        self.message, self.exc, self.when = message, exc, when
        self.is_eager, self.sig = is_eager, sig
        #: Seconds from now on.
        self.wait = wait

    def humanize(self) -> str:
        """Say when, as in a sentence."""
        is_time = isinstance(self.when, datetime)
        return f"at {self.when}" if is_time else f"in {self.when}s"

    def __str__(self) -> str:
        if self.message:
            return self.message
        why = f": {self.exc!r}" if self.exc else ""
        return f"Retry {self.humanize()}{why}"


RetryTaskError = Retry


class Ignore(TaskPredicate):
    """Raised by a task whose state is to stay as the task has set it."""


class Reject(TaskPredicate):
    """Raised by a task that is to be kept as failed, or to wait in its queue again."""

    def __init__(self, reason: object = None, requeue: bool = False) -> None:
        super().__init__(reason, requeue)
        self.reason, self.requeue = reason, requeue


class ImproperlyConfigured(CeleryError):
    """Raised when settings are wrong."""


class TaskError(CeleryError):
    """Base of what is raised because of a task."""


class NotRegistered(KeyError, TaskError):
    """Raised when there is no task of that name."""

    def __str__(self) -> str:
        return f"{self.args[0]!r} is not registered: is its module imported?"


class TimeoutError(TaskError):
    """Raised when a result is not there in time."""


class MaxRetriesExceededError(TaskError):
    """Raised when a task has no retry left."""

    def __init__(self, *args: object, **kwargs: Any) -> None:
        self.task_args = kwargs.pop("task_args", [])
        self.task_kwargs = kwargs.pop("task_kwargs", {})
        super().__init__(*args)


class TaskRevokedError(TaskError):
    """Raised for the result of a task that was revoked, or has expired."""


class ChordError(TaskError):
    """Raised for the result of a chord when a task of its header has failed."""


class TimeLimitExceeded(Exception):
    """Says of a failed task that it has run too long."""


class WorkerLostError(Exception):
    """Says of a failed task that its worker has died."""


def rebuilt(name: str, module: str, args: list[Any]) -> Exception:
    """Return an exception like one that was raised in another process.

    Its class is looked for among the modules that are imported: what is stored is no
    reason to import anything.
    """
    found: Any = getattr(sys.modules.get(module, builtins), name, None)
    if not (isinstance(found, type) and issubclass(found, Exception)):
        found = type(name, (Exception,), {"__module__": module})
    try:
        made: Exception = found(*args)
    except Exception:  # noqa: BLE001 - it wants other arguments than it keeps
        return Exception(f"{name}: {args}")
    return made


__getattr__ = nothing_else("exceptions")
