"""Which queue `task_routes` sends a task to."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from headway.shims.celery.lacking import refuse

#: Told a call, returns a route, or None where another is to be asked.
Router = Callable[..., Any]


def route_of(routes: Any, name: str, call: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the first route that fits says of a call; empty where none does.

    Raises:
        ConfigurationError: it says what has no meaning here.
    """
    for router in _routers(routes):
        found = _asked(router, name, call)
        if found:
            return _expanded(found)
    return {}


def queues_of(routes: Any) -> Iterator[str]:
    """Yield the queues that routes name; those of a function are not known."""
    for router in _routers(routes):
        for _, route in _pairs(router):
            queue = _expanded(route).get("queue") if route else None
            if queue:
                yield queue_name(queue)


def queue_name(queue: object) -> str:
    """Return the name of a queue, be it a text or kombu's object."""
    return str(getattr(queue, "name", queue))


def _routers(routes: Any) -> list[Any]:
    if not routes:
        return []
    return list(routes) if isinstance(routes, list | tuple) else [routes]


def _asked(router: Any, name: str, call: Mapping[str, Any]) -> Any:
    if isinstance(router, str):
        module, _, attribute = router.replace(":", ".").rpartition(".")
        router = getattr(importlib.import_module(module), attribute)
    if not isinstance(router, Mapping) and hasattr(router, "route_for_task"):
        router = router.route_for_task
    if callable(router):
        given = {"args": (), "kwargs": {}, "options": {}, "task": None, **call}
        return router(name, **given)
    return next((r for pattern, r in _pairs(router) if _fits(pattern, name)), None)


def _pairs(router: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(router, Mapping):
        return list(router.items())
    is_pair = isinstance(router, list | tuple)
    return [(router[0], router[1])] if is_pair else []


def _fits(pattern: Any, name: str) -> bool:
    if isinstance(pattern, re.Pattern):
        return pattern.match(name) is not None
    return fnmatchcase(name, str(pattern))


def _expanded(route: Any) -> dict[str, Any]:
    found = {"queue": route} if isinstance(route, str) else dict(route)
    if isinstance(route, Mapping):
        for word in ("exchange", "routing_key"):
            if word in route and "queue" not in route:
                refuse(f"task_routes with {word}={route[word]!r}", "name the queue")
    return {k: v for k, v in found.items() if k not in ("exchange", "routing_key")}
