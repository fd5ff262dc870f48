"""`app.conf`: Celery's settings, and what is made of them.

A setting that Headway has no need of changes nothing, as those of the broker's
connection; one that would be missed is refused when it is set. Any other is kept for
the application itself.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from typing import Any

from headway.migrate.machine_zone import machine_zone
from headway.shims.celery.lacking import refuse

#: What is there when nothing is said; None where it is not here.
DEFAULTS: dict[str, Any] = {
    "beat_schedule": {},
    "enable_utc": True,
    "result_expires": 86400,
    "task_default_queue": "celery",
}

#: A value that is refused, and what there is instead.
_REFUSED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "task_default_rate_limit": (bool, "serve those tasks by a worker of few children"),
    "task_default_priority": (
        lambda v: v not in {None, 0, 9},
        "name queues, in their order, in task_queues",
    ),
    "task_annotations": (bool, "say it where the task is defined"),
    "task_serializer": (lambda v: v != "json", "arguments travel as JSON"),
    "result_serializer": (lambda v: v != "json", "results are kept as JSON"),
    "accept_content": (
        lambda v: not set(v) <= {"json", "application/json"},
        "arguments travel as JSON",
    ),
    "beat_scheduler": (bool, "`headway scheduler` keeps schedules in Redis"),
    "task_protocol": (lambda v: v != 2, "jobs are RQ's own"),  # noqa: PLR2004
}


class Conf(dict[str, Any]):
    """The settings, as attributes and as a dict."""

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__(DEFAULTS)
        self._changed = changed

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.get(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
        else:
            self[name] = value

    def __setitem__(self, name: str, value: Any) -> None:
        is_refused, instead = _REFUSED.get(name, (None, ""))
        if is_refused is not None and is_refused(value):
            refuse(f"{name}={value!r}", instead)
        super().__setitem__(name, value)
        self._changed()

    def update(self, *others: Any, **more: Any) -> None:
        """Take over settings.

        Raises:
            ConfigurationError: one of them is refused.
        """
        for name, value in dict(*others, **more).items():
            self[name] = value

    def take(self, source: Any, namespace: str | None) -> None:
        """Take over those of an object, a dict, or a module by its name.

        Raises:
            ConfigurationError: one of them is refused.
            ImportError: there is no such module.
        """
        found = _found(source) if isinstance(source, str) else source
        named = found if isinstance(found, Mapping) else _attributes(found)
        prefix = f"{namespace}_" if namespace else ""
        for name, value in named.items():
            if name.startswith("__") or not name.startswith(prefix):
                continue
            self[name.removeprefix(prefix).lower()] = value

    @property
    def in_zone(self) -> str:
        """Return the name of the zone that times without one are in."""
        zone = self.timezone or ("UTC" if self.enable_utc else machine_zone())
        return str(getattr(zone, "key", None) or getattr(zone, "zone", None) or zone)

    @property
    def redis_url(self) -> str | None:
        """Return the broker where it is Redis, and REDIS_URL does not say another."""
        url = self.broker_url or self.result_backend
        is_redis = isinstance(url, str) and url.startswith(("redis:", "rediss:"))
        return url if is_redis and "REDIS_URL" not in os.environ else None


def _found(name: str) -> Any:
    module, _, attribute = name.partition(":")
    found = importlib.import_module(module)
    return getattr(found, attribute) if attribute else found


def _attributes(found: object) -> dict[str, Any]:
    # Django's settings answer to dir() alone.
    return {name: getattr(found, name, None) for name in dir(found) if name.strip("_")}
