"""`beat_schedule` as schedules of Headway's: `headway scheduler` sends what is due."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from headway.errors import ConfigurationError, HeadwayError
from headway.migrate.found import name_for
from headway.schedule import Schedule
from headway.shims.celery.lacking import nothing_else
from headway.shims.celery.schedules import timing_of

_KNOWN = frozenset(("task", "schedule", "args", "kwargs", "options", "relative"))


def schedules_of(app: Any) -> list[Schedule]:
    """Return what the application's beat would send.

    Raises:
        ConfigurationError: naming the entry that cannot be.
    """
    return list(_schedules(app))


def _schedules(app: Any) -> Iterator[Schedule]:
    taken: set[str] = set()
    for title, entry in app.conf.beat_schedule.items():
        name = name_for(str(title), taken)
        taken.add(name)
        try:
            yield _schedule(app, name, entry)
        except (HeadwayError, KeyError, TypeError) as error:
            raise ConfigurationError(f"beat_schedule[{title!r}]: {error}") from error


def _schedule(app: Any, name: str, entry: Mapping[str, Any]) -> Schedule:
    unknown = ", ".join(sorted(entry.keys() - _KNOWN))
    if unknown:
        raise ConfigurationError(f"{unknown}: leave it out")
    options = dict(entry.get("options") or {})
    message = app.message(
        entry["task"], entry.get("args") or (), entry.get("kwargs") or {}, options
    )
    is_relative = bool(entry.get("relative"))
    timing = timing_of(entry["schedule"], app.conf.in_zone, relative=is_relative)
    return Schedule(name, timing, message)


__getattr__ = nothing_else("beat")
