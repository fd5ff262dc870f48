from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from headway.app import App
from headway.errors import ConfigurationError, HeadwayError
from headway.migrate.found import Found
from headway.schedule import Schedule, version_of
from headway.timetable import Entry


def keep(app: App, found: Sequence[Found], *, dry_run: bool) -> list[Found]:
    """Have an application keep the schedules that were found; tell what was done.

    Doing it again changes nothing. With `dry_run` it is only told.

    Raises:
        StoreError: the store does not answer.
    """
    entries = [
        e for timetable in app.schedules.timetables() for e in timetable.entries()
    ]
    there = {entry.name: entry for entry in entries}
    return [_kept(app, each, there, dry_run=dry_run) for each in found]


def _kept(app: App, found: Found, there: dict[str, Entry], *, dry_run: bool) -> Found:
    schedule = found.carried
    if not isinstance(schedule, Schedule):
        return found
    try:
        done = _done(schedule, there.get(schedule.name))
        if done != "as before" and not dry_run:
            app.schedules.replace(schedule)
    except HeadwayError as error:
        return replace(found, carried=None, notes=(str(error),))
    return replace(found, done=done)


def _done(schedule: Schedule, there: Entry | None) -> str:
    if there is None:
        return "made"
    if there.declared:
        raise ConfigurationError(
            f"schedule {schedule.name!r} is declared in {there.declared}: it is there"
        )
    if there.wire.get("task") != schedule.message.task:
        raise ConfigurationError(
            f"there is a schedule {schedule.name!r} of {there.wire.get('task')}: "
            "rename one of them"
        )
    same = there.version == version_of(schedule.to_wire())
    return "as before" if same else "changed"
