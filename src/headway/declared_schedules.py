"""The schedules that the code of an application declares."""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from headway.app import App
from headway.errors import ConfigurationError
from headway.schedule import Schedule
from headway.schedules import by_name

log = logging.getLogger("headway.scheduler")


@dataclass(frozen=True, slots=True)
class Found:
    """What `schedules.py` of each tasks package declares, by its module."""

    schedules: dict[str, Sequence[Schedule]] = field(default_factory=dict)
    #: Why a module is left out.
    errors: dict[str, BaseException] = field(default_factory=dict)


def declared_schedules(app: App) -> dict[str, Sequence[Schedule]]:
    """Return what `schedules.py` of each tasks package declares, by its module.

    One that cannot be read is left out: what the store has of it stays as it is.
    """
    found = look_for_schedules(app)
    for name, error in found.errors.items():
        is_told = isinstance(error, ConfigurationError)
        log.error(
            "%s: %s: what it declared before stays as it is",
            name,
            error if is_told else f"it does not import: {error!r}",
            exc_info=None if is_told else error,
        )
    return found.schedules


def look_for_schedules(app: App) -> Found:
    """Return what the code declares, and what of it cannot be read."""
    found = Found()
    for name, declare in _sources(app):
        try:
            schedules = declare()
            by_name({**found.schedules, name: schedules})
            found.schedules[name] = schedules
        # Delayed jobs must be sent all the same, also where the module ends a process.
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it runs
            found.errors[name] = error
    return found


def _sources(app: App) -> Iterator[tuple[str, Callable[[], Sequence[Schedule]]]]:
    for package in app.registry.packages:
        name = f"{package}.schedules"
        yield name, partial(_declared_in, package, name)
    yield from app.declarations.items()


def _declared_in(package: str, name: str) -> Sequence[Schedule]:
    is_package = hasattr(importlib.import_module(package), "__path__")
    if not is_package or importlib.util.find_spec(name) is None:
        return []
    schedules: Any = getattr(importlib.import_module(name), "schedules", None)
    if not isinstance(schedules, Iterable):
        raise ConfigurationError(
            f"schedules is {schedules!r}, expected a list of Schedule(...)"
        )
    found = tuple(schedules)
    for each in found:
        if not isinstance(each, Schedule):
            raise ConfigurationError(
                f"schedules holds {each!r}, expected Schedule(...)"
            )
    return found
