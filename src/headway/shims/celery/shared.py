"""Tasks of whichever application there is: what reusable modules define."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headway.shims.celery import current


def shared_task(*args: Any, **options: Any) -> Any:
    """Make a function a task of every application; the current one's is used."""

    def define(function: Callable[..., Any]) -> Any:
        def add(app: Any) -> Any:
            return app.task(**options)(function)

        current.shared.append(add)
        for app in current.apps:
            add(app)
        return current.Proxy(lambda: add(current.get_current()))

    return define(args[0]) if args else define
