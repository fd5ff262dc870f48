"""The application that is meant where none is named, and the task that runs here.

Celery's API has both as names of its module: this is the only place that keeps them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headway.shims.celery import request
from headway.shims.celery.lacking import refuse

#: All that were made, and the one that is meant.
apps: list[Any] = []
_current: list[Any] = []
#: Functions that were decorated with @shared_task: each application has a task of each.
shared: list[Callable[[Any], Any]] = []


def set_current(app: Any) -> None:
    """Mean this application from now on."""
    _current[:] = [app]


def get_current() -> Any:
    """Return the application.

    Raises:
        ConfigurationError: none was made.
    """
    if not _current:
        refuse("a default application", "make one first: app = Celery('name')")
    return _current[0]


def get_task() -> Any:
    """Return the task that runs here, or None."""
    running = request.top()
    return running and running[0]


class Proxy:
    """Stands for what is found each time that it is asked."""

    def __init__(self, find: Callable[[], Any]) -> None:
        self._find = find

    def __getattr__(self, name: str) -> Any:
        return getattr(self._find(), name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._find()(*args, **kwargs)

    def __bool__(self) -> bool:
        return bool(self._find())

    def __repr__(self) -> str:
        return repr(self._find())


current_app: Any = Proxy(get_current)
current_task: Any = Proxy(get_task)
