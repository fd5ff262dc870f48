"""What Celery's beat is told to send: an application's `beat_schedule`, or a dict.

Celery need not be installed: what the module holds is looked at by its attributes.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any, cast

from headway.app import App
from headway.cron import Cron
from headway.errors import ConfigurationError, HeadwayError
from headway.migrate.crontab_line import refuse_both_days
from headway.migrate.found import Found, name_for
from headway.migrate.machine_zone import machine_zone
from headway.options import Options
from headway.schedule import Schedule
from headway.solar import Solar
from headway.timing import Every, Timing

#: Names that a module gives to its schedules where it holds no application.
_NAMES = ("beat_schedule", "CELERYBEAT_SCHEDULE", "CELERY_BEAT_SCHEDULE")
#: The fields of a crontab as a line has them: attribute, first, last, and one after.
_FIELDS = (
    ("minute", 0, 60),
    ("hour", 0, 24),
    ("day_of_month", 1, 32),
    ("month_of_year", 1, 13),
    ("day_of_week", 0, 7),
)


def read(app: App, module_name: str, zone: str | None) -> list[Found]:
    """Return what a module's beat is told, lines of cron in its application's zone.

    `zone` is taken in place of that.

    Raises:
        ConfigurationError: the module does not import, or has nothing of the kind.
    """
    name, _, attribute = module_name.partition(":")
    try:
        module = importlib.import_module(name)
    except Exception as error:  # whatever the module raises
        raise ConfigurationError(
            f"{name} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    celery, entries = _entries(module, attribute)
    zone = zone or _zone(celery)
    found: list[Found] = []
    taken: set[str] = set()
    for title, entry in entries.items():
        if not isinstance(entry, Mapping):
            why = (f"expected a dict with task and schedule, not {entry!r}",)
            found.append(Found(name=str(title), task="", when="", notes=why))
            continue
        made = name_for(str(title), taken)
        taken.add(made)
        found.append(_found(app, str(title), made, entry, zone))
    return found


def _entries(module: ModuleType, attribute: str) -> tuple[Any, Mapping[str, Any]]:
    """Return the application, where there is one, and its schedules by name."""
    names = [attribute] if attribute else list(vars(module))
    for name in names:
        found = getattr(module, name, None)
        entries = getattr(getattr(found, "conf", None), "beat_schedule", None)
        if isinstance(entries, Mapping):
            return found, cast("Mapping[str, Any]", entries)
    for name in [attribute] if attribute else _NAMES:
        entries = getattr(module, name, None)
        if isinstance(entries, Mapping):
            return None, cast("Mapping[str, Any]", entries)
    raise ConfigurationError(
        f"{module.__name__} holds no Celery application with a beat_schedule, and no "
        f"dict named {' or '.join(_NAMES)}; name it as {module.__name__}:app"
    )


def _zone(celery: object) -> str:
    """Return the zone that Celery reads lines in: UTC unless it is told otherwise."""
    zone = getattr(celery, "timezone", UTC)
    if zone is UTC:
        return "UTC"
    return str(getattr(zone, "key", "")) or machine_zone()


def _found(
    app: App, title: str, name: str, entry: Mapping[str, Any], zone: str
) -> Found:
    task, when = str(entry.get("task", "")), str(entry.get("schedule", ""))
    try:
        schedule, notes = _schedule(app, name, entry, zone)
    except (HeadwayError, TypeError) as error:
        return Found(name=title, task=task, when=when, notes=(str(error),))
    return Found(
        name=title,
        task=task,
        when=schedule.timing.in_words,
        carried=schedule,
        notes=tuple(notes),
    )


def _schedule(
    app: App, name: str, entry: Mapping[str, Any], zone: str
) -> tuple[Schedule, list[str]]:
    timing = _timing(entry.get("schedule"), zone)
    options, notes = _options(entry.get("options") or {})
    task = app.resolve(str(entry.get("task"))).using(**options)
    message = task.message(*(entry.get("args") or ()), **(entry.get("kwargs") or {}))
    return Schedule(name, timing, message), notes


def _timing(schedule: object, zone: str) -> Timing:
    match schedule:
        case bool():
            pass
        case int() | float():
            return Every(seconds=schedule)
        case timedelta():
            return Every(seconds=schedule.total_seconds())
        case object(day_of_week=_, month_of_year=_):
            return Cron(_line(schedule), zone=zone)
        case object(event=str(event), lat=latitude, lon=longitude):
            return Solar(event, float(latitude), float(longitude))
        case object(run_every=timedelta() as interval):
            return Every(seconds=interval.total_seconds())
        case _:
            pass
    raise ConfigurationError(
        f"{schedule!r} is a {type(schedule).__name__}: known are seconds, timedelta, "
        "crontab, schedule and solar"
    )


def _line(crontab: object) -> str:
    words = [
        _field({int(each) for each in getattr(crontab, name)}, low, end)
        for name, low, end in _FIELDS
    ]
    line = " ".join(words)
    refuse_both_days(line, words)
    return line


def _field(meant: Collection[int], low: int, end: int) -> str:
    """Return how a line names these numbers of those from `low` on."""
    for step in range(1, (end - low) // 2 + 1):
        if sorted(meant) == list(range(low, end, step)):
            return "*" if step == 1 else f"*/{step}"
    return ",".join(map(str, sorted(meant)))


def _options(said: Mapping[str, Any]) -> tuple[Options, list[str]]:
    options, notes = Options(), list[str]()
    for name, value in said.items():
        match name, value:
            case _, None:
                pass
            case "queue", _:
                options["queue"] = str(getattr(value, "name", value))
            case "expires", int() | float():
                options["expires"] = timedelta(seconds=value)
            case "expires", timedelta() | datetime():
                options["expires"] = value
            case ("time_limit", int() | float()):
                options["timeout"] = timedelta(seconds=value)
            case _:
                notes.append(f"its option {name}={value!r} is left out")
    return options, notes
