from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

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
        _refuse_without_ticks(schedule, app.clock.now())
        if done != "as before" and not dry_run:
            app.schedules.replace(schedule)
    except HeadwayError as error:
        return replace(found, carried=None, notes=(str(error),))
    return replace(found, done=done)


def _done(schedule: Schedule, there: Entry | None) -> str:
    if there is None:
        return "made"
    refuse_others(schedule, there)
    wire = schedule.to_wire()
    # Another file may have one of that name, which is to be told from a change.
    for what, was, said in _compared(there.wire, wire):
        if was != said:
            raise ConfigurationError(
                f"there is a schedule {schedule.name!r} with {what} {was!r}, not "
                f"{said!r}: rename one of them, or remove that one first, by "
                f"app.schedules.remove({schedule.name!r})"
            )
    return "as before" if there.version == version_of(wire) else "changed"


def refuse_others(schedule: Schedule, there: Entry | None) -> None:
    """Refuse to put a schedule in place of one that is another's.

    Raises:
        ConfigurationError: the code declares that, or it is of another task.
    """
    if there is None:
        return
    name, task = schedule.name, there.wire.get("task")
    if there.declared:
        raise ConfigurationError(
            f"schedule {name!r} is declared in {there.declared}, which stays: rename "
            "one of them"
        )
    if task != schedule.message.task:
        raise ConfigurationError(
            f"there is a schedule {name!r} of {task}: rename one of them"
        )


def _compared(
    was: Mapping[str, Any], wire: Mapping[str, Any]
) -> Iterator[tuple[str, object, object]]:
    """Yield what is called otherwise, as it was and is to be."""
    written: dict[str, Any] = json.loads(json.dumps(wire))
    for name in ("args", "kwargs"):
        yield name, was.get(name), written[name]
    old = was.get("options") or {}
    yield "queue", old.get("queue"), written["options"].get("queue")


def _refuse_without_ticks(schedule: Schedule, now: datetime) -> None:
    if schedule.next_after(now) is None:
        raise ConfigurationError(
            f"schedule {schedule.name!r} has no tick after now, {now}: "
            f"{schedule.timing.in_words}"
        )
