"""What Celery's beat is told to send: an application's `beat_schedule`, or a dict.

Celery need not be installed: what the module holds is looked at by its attributes.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
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
#: What an entry says that is carried over, or told of where it is not.
_KNOWN = ("task", "schedule", "args", "kwargs", "options", "relative")
#: Stands for the zone of the machine, which Celery takes where UTC is not wanted.
_LOCAL = object()
_DAY = timedelta(days=1)
#: The fields of a crontab as a line has them: attribute, first, last, and one after.
_FIELDS = (
    ("minute", 0, 60),
    ("hour", 0, 24),
    ("day_of_month", 1, 32),
    ("month_of_year", 1, 13),
    ("day_of_week", 0, 7),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What beat is told, and by whom."""

    entries: Mapping[str, Any]
    #: The application, or None where there are only schedules.
    celery: Any = None
    #: The zone that is said beside the schedules; None: none is.
    zone: object = None


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
        raise _failed(f"{name} cannot be imported", error) from error
    told = _told(module, attribute)
    found: list[Found] = []
    taken: set[str] = set()
    for title, entry in told.entries.items():
        if not isinstance(entry, Mapping):
            why = (f"expected a dict with task and schedule, not {entry!r}",)
            found.append(Found(name=str(title), task="", when="", notes=why))
            continue
        made = name_for(str(title), taken)
        taken.add(made)
        found.append(_Entry(app, told, entry, zone).found(str(title), made))
    return found


def _told(module: ModuleType, attribute: str) -> _Told:
    """Return the application's schedules, or else those that a dict holds."""
    names = [attribute] if attribute else list(vars(module))
    applications = [each for each in _values(module, names) if _is_application(each)]
    for celery in applications:
        told = _finalized(celery)
        if told.entries:
            return told
    for found in _values(module, [attribute] if attribute else _NAMES):
        if isinstance(found, Mapping) and found:
            entries = cast("Mapping[str, Any]", found)
            return _Told(entries=entries, zone=_said_zone(module))
    if applications:
        raise ConfigurationError(
            f"{module.__name__}: its Celery application has no schedules; where others "
            f"add them, name a module that imports those"
        )
    raise ConfigurationError(
        f"{module.__name__} holds no Celery application with a beat_schedule, and no "
        f"dict named {' or '.join(_NAMES)}; name it as {module.__name__}:app"
    )


def _values(module: ModuleType, names: Collection[str]) -> list[Any]:
    return [getattr(module, name, None) for name in names]


def _is_application(found: object) -> bool:
    """Tell whether it is configured as Celery's applications are.

    A proxy of Flask's, as `current_app`, raises for whatever it is asked here.
    """
    if hasattr(type(found), "conf") and hasattr(type(found), "add_periodic_task"):
        return True
    with contextlib.suppress(Exception):
        return hasattr(getattr(found, "conf", None), "beat_schedule")
    return False


def _finalized(celery: Any) -> _Told:  # noqa: ANN401 - looked at by its attributes
    """Return an application's schedules, once all that may add some is imported."""
    try:
        if loader := getattr(celery, "loader", None):
            loader.import_default_modules()
        if finalize := getattr(celery, "finalize", None):
            finalize()
        entries = getattr(celery.conf, "beat_schedule", None)
        zone = getattr(celery, "timezone", UTC)
    except Exception as error:  # whatever its modules raise, or its settings
        raise _failed(
            f"{celery!r} cannot be made ready, as beat does", error
        ) from error
    found = cast("Mapping[str, Any]", entries) if isinstance(entries, Mapping) else {}
    return _Told(entries=found, celery=celery, zone=zone)


def _failed(what: str, error: Exception) -> ConfigurationError:
    return ConfigurationError(f"{what}: {type(error).__name__}: {error}")


def _said_zone(module: ModuleType) -> object:
    """Return the zone that Celery's settings in a module say; None: they say none."""
    said = [getattr(module, name, None) for name in ("CELERY_TIMEZONE", "timezone")]
    for zone in said:
        if zone and isinstance(zone, str | tzinfo):  # not Django's module of that name
            return zone
    for name in ("CELERY_ENABLE_UTC", "enable_utc"):
        if (in_utc := getattr(module, name, None)) is not None:
            return UTC if in_utc else _LOCAL
    return None


def _name_of(zone: object) -> str:
    """Return the name of the zone that Celery reads lines in.

    Raises:
        ConfigurationError: it has none that others know.
    """
    if zone is None or zone == UTC:
        return "UTC"
    if zone is _LOCAL or type(zone).__name__ == "LocalTimezone":
        return machine_zone()
    name = zone if isinstance(zone, str) else _key_of(zone)
    if not name:
        raise ConfigurationError(
            f"its zone is {zone!r}, which has no name: say by --zone which it is, as "
            "Europe/Oslo"
        )
    return name


def _key_of(zone: object) -> str:
    """Return the name of a zone as zoneinfo has it, or pytz."""
    return str(getattr(zone, "key", None) or getattr(zone, "zone", None) or "")


class _Entry:
    """One entry of a beat's schedules."""

    def __init__(
        self, app: App, told: _Told, entry: Mapping[str, Any], zone: str | None
    ) -> None:
        self._app, self._told, self._entry, self._given = app, told, entry, zone
        self._notes: list[str] = []

    def found(self, title: str, name: str) -> Found:
        """Return what it is here, under a name."""
        task = str(self._entry.get("task", ""))
        try:
            schedule = self._schedule(name)
        except (HeadwayError, TypeError) as error:
            when = str(self._entry.get("schedule", ""))
            return Found(name=title, task=task, when=when, notes=(str(error),))
        return Found(
            name=title,
            task=task,
            when=schedule.timing.in_words,
            carried=schedule,
            notes=tuple(self._notes),
        )

    def _schedule(self, name: str) -> Schedule:
        entry = self._entry
        timing = self._timing(entry.get("schedule"))
        options, notes = _options(entry.get("options") or {})
        self._notes += notes
        self._notes += [
            f"its {key}={value!r} is left out"
            for key, value in entry.items()
            if key not in _KNOWN
        ]
        routes = getattr(getattr(self._told.celery, "conf", None), "task_routes", None)
        if routes and "queue" not in options:
            self._notes.append("task_routes is not read: its queue is that of the task")
        task = self._app.resolve(str(entry.get("task"))).using(**options)
        message = task.message(
            *(entry.get("args") or ()), **(entry.get("kwargs") or {})
        )
        return Schedule(name, timing, message)

    def _timing(self, schedule: object) -> Timing:
        match schedule:
            case bool():
                pass
            case int() | float():
                return self._every(timedelta(seconds=schedule), schedule)
            case timedelta():
                return self._every(schedule, schedule)
            case object(day_of_week=_, month_of_year=_):
                return Cron(_line(schedule), zone=self._zone(schedule))
            case object(event=str(event), lat=latitude, lon=longitude):
                return Solar(event, float(latitude), float(longitude))
            case object(run_every=timedelta() as interval):
                return self._every(interval, schedule)
            case _:
                pass
        raise ConfigurationError(
            f"{schedule!r} is a {type(schedule).__name__}: known are seconds, "
            "timedelta, crontab, schedule and solar"
        )

    def _every(self, interval: timedelta, schedule: object) -> Timing:
        if self._entry.get("relative") or getattr(schedule, "relative", False):
            if interval == _DAY:
                return Cron("0 0 * * *", zone=self._zone(schedule))
            self._notes.append(
                "relative is left out: its interval counts from 1970 in UTC"
            )
        return Every(seconds=interval.total_seconds())

    def _zone(self, schedule: object) -> str:
        """Return the zone of a schedule: its own, what was given, the application's."""
        told = self._told.zone
        own = getattr(schedule, "__dict__", {}).get("tz")
        if own is not None and own != told:
            return _name_of(own)
        if self._given is None and told is None:
            self._notes.append("read in UTC, as no timezone is said; or give --zone")
        return self._given or _name_of(told)


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
