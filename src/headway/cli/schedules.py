from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import click

from headway.app import App
from headway.cli import call, timetable
from headway.cli.environment import Here
from headway.cli.schedules_import import import_
from headway.cli.timetable import plain
from headway.cli.timing import moment, timing
from headway.declared_schedules import Found, look_for_schedules
from headway.errors import ConfigurationError
from headway.message import Message
from headway.observe.schedules import unsent
from headway.schedule import Schedule
from headway.schedules import ScheduleInfo
from headway.timetable import KEPT
from headway.wire import client as wire_client

#: How many ticks `show` tells, of those to come and of those that were.
TOLD = 5

_NONE = (
    "no schedules: declare them in schedules.py of the tasks package, as\n"
    '  schedules = [Schedule("nightly", Cron("0 3 * * *"), rebuild.message())]\n'
    "and start `headway scheduler`; or make one now, as\n"
    "  headway schedules add nightly tasks.rebuild --cron '0 3 * * *'"
)

_UNKNOWN = (
    "the code declares {}, and no scheduler has run since: start `headway scheduler`"
)

_as_json = click.option("--json", "as_json", is_flag=True, help="One JSON document.")

_UNREAD = "{} cannot be read ({}: {}): mend it; until then none of it changes"


@click.group(invoke_without_command=True)
@_as_json
@click.pass_context
def schedules(context: click.Context, *, as_json: bool) -> None:
    """List what is sent by itself, look at it, and change it."""
    context.obj = Here()
    command = context.invoked_subcommand
    if command is None:
        return _list(context.obj, as_json=as_json)
    if as_json:
        raise click.UsageError(
            f"--json belongs behind the command: headway schedules {command} --json"
        )
    return None


@schedules.command("list")
@_as_json
@click.pass_obj
def list_(here: Here, *, as_json: bool) -> None:
    """Show each schedule: when it is due next, and how its last job ended."""
    _list(here, as_json=as_json)


schedules.add_command(import_)


def _list(here: Here, *, as_json: bool) -> None:
    infos = here.app.schedules.all()
    if as_json:
        return _print_json([asdict(info) for info in infos])
    found = look_for_schedules(here.app)
    for module, error in found.errors.items():
        said = _UNREAD.format(module, type(error).__name__, error)
        click.echo(plain(said), err=True)
    unknown = [name for name in _declared(found) if name not in _names(infos)]
    if not infos and not unknown:
        return None if found.errors else click.echo(_NONE)
    if infos:
        for line in timetable.table(infos, here.app.clock.now()):
            click.echo(line)
    if unknown:
        click.echo(_UNKNOWN.format(", ".join(unknown)), err=bool(infos))
    return _say_unsent(here)


@schedules.command()
@click.argument("name")
@_as_json
@click.pass_obj
def show(here: Here, *, name: str, as_json: bool) -> None:
    """Tell all of a schedule: what it sends, its next ticks and its last."""
    app = here.app
    info = app.schedules.get(name)
    coming = [] if info.problem else app.schedules.upcoming(name, TOLD)
    ticks = app.schedules.history(name, TOLD)
    if as_json:
        more = {"coming": coming, "history": [asdict(tick) for tick in ticks]}
        return _print_json(asdict(info) | more)
    for line in timetable.portrait(info, coming, app.clock.now()):
        click.echo(line)
    if ticks:
        click.echo("history")
        _echo_history(app, info, ticks, indent="  ")
    return _say_unsent(here)


@schedules.command()
@click.argument("name")
@click.option(
    "--limit",
    type=click.IntRange(1, KEPT),
    default=20,
    show_default=True,
    help="How many ticks, latest first.",
)
@_as_json
@click.pass_obj
def history(here: Here, *, name: str, limit: int, as_json: bool) -> None:
    """Show what became of the ticks of a schedule: its job, or why it was missed."""
    app = here.app
    info, ticks = app.schedules.get(name), app.schedules.history(name, limit)
    if as_json:
        return _print_json([asdict(tick) for tick in ticks])
    if not ticks:
        return click.echo(f"nothing was sent of {name} yet")
    return _echo_history(app, info, ticks)


@schedules.command()
@click.argument("names", nargs=-1, required=True)
@click.pass_obj
def pause(here: Here, *, names: tuple[str, ...]) -> None:
    """Send nothing of these schedules until they are resumed."""
    _each(here.app, names, here.app.schedules.pause, "paused")


@schedules.command()
@click.argument("names", nargs=-1, required=True)
@click.pass_obj
def resume(here: Here, *, names: tuple[str, ...]) -> None:
    """Send these schedules again from now on; what was due meanwhile is missed."""
    _each(here.app, names, here.app.schedules.resume, "resumed")


@schedules.command()
@click.argument("name")
@click.pass_obj
def run(here: Here, *, name: str) -> None:
    """Send the message of a schedule once more, now, and print the job's id."""
    click.echo(here.app.schedules.run_now(name).id)


@schedules.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--declared", is_flag=True, help="Those of code that is gone, too.")
@click.pass_obj
def remove(here: Here, *, names: tuple[str, ...], declared: bool) -> None:
    """Forget schedules that were made at run time; jobs that were sent stay."""
    schedules = here.app.schedules
    act = partial(schedules.remove, declared=declared)
    if len(names) > 1 and not declared:
        # The first of these is refused with its reason, before any other is gone.
        names = tuple(n for n in names if schedules.get(n).declared) or names
    _each(here.app, names, act, "removed")


@schedules.command()
@click.argument("name")
@click.argument("task")
@click.argument("arguments", nargs=-1)
@click.option("--cron", metavar="LINE", help="As '0 3 * * *', read in --zone.")
@click.option("--every", metavar="SPAN", help="As 15m, 1h30m, 2d or 10s.")
@click.option("--at", metavar="TIME", help="Once, as 2030-01-31T09:00+01:00.")
@click.option(
    "--zone", help="Of --cron and of times, as Europe/Oslo.  [default of --cron: UTC]"
)
@click.option("--queue", help="Another queue than the task's own.")
@click.option("--start", metavar="TIME", help="Nothing is sent before.")
@click.option("--end", metavar="TIME", help="Nothing is sent after.")
@click.option(
    "--misfire",
    type=click.Choice(["skip", "once", "all"]),
    default="once",
    show_default=True,
    help="What is sent of ticks that no scheduler was there for.",
)
@click.option(
    "--overlap",
    type=click.Choice(["allow", "skip", "queue", "cancel"]),
    default="allow",
    show_default=True,
    help="What if the job of the tick before has not ended.",
)
@click.option("--replace", is_flag=True, help="In place of the one of this name.")
@click.pass_obj
def add(
    here: Here,
    /,
    *,
    name: str,
    task: str,
    arguments: tuple[str, ...],
    queue: str | None,
    replace: bool,
    **how: Any,  # noqa: ANN401 - the options that say when
) -> None:
    """Have a task sent by itself from now on.

    ARGUMENTS are JSON, as 30 or '"a text"', or named, as keep_days=30. A number below
    zero is named, as shift=-5, or stands at the end, behind --.
    """
    app = here.app
    message = partial(call.message, app, task, arguments, queue)
    schedule = _schedule(name, message, **how)
    if name in _declared(look_for_schedules(app)):
        raise ConfigurationError(
            f"the code declares a schedule {name!r}: change it there, or take another "
            "name"
        )
    if not replace and name in _names(app.schedules.all()):
        raise ConfigurationError(
            f"there is a schedule {name!r}: take another name, or put this one in its "
            "place by --replace"
        )
    (app.schedules.replace if replace else app.schedules.add)(schedule)
    info = app.schedules.get(name)
    said = timetable.next_of(info, app.clock.now())
    click.echo(f"added {name}: {info.timing}; next: {said}")


def _schedule(
    name: str,
    message: Callable[[], Message[Any]],
    *,
    cron: str | None,
    every: str | None,
    at: str | None,
    zone: str | None,
    start: str | None,
    end: str | None,
    misfire: Any,  # noqa: ANN401 - click has made sure
    overlap: Any,  # noqa: ANN401 - click has made sure
) -> Schedule:
    has_times = start is not None or end is not None
    if every is not None and zone is not None and not has_times:
        raise ConfigurationError(
            f"--zone {zone}: an interval has none; it is counted from 1970 in UTC"
        )
    # A line of cron without quotes is wrong first, and its rest no argument.
    when = timing(cron=cron, every=every, at=at, zone=zone)
    return Schedule(
        name,
        when,
        message(),
        start=None if start is None else moment("--start", start, zone),
        end=None if end is None else moment("--end", end, zone),
        misfire=misfire,
        overlap=overlap,
    )


def _each(
    app: App, names: Sequence[str], act: Callable[[str], None], word: str
) -> None:
    if len(names) > 1:  # all of them known before the first is touched
        for name in names:
            app.schedules.get(name)
    for name in names:
        act(name)
        click.echo(f"{word} {name}")


def _echo_history(
    app: App, info: ScheduleInfo, ticks: Sequence[Any], indent: str = ""
) -> None:
    for line in timetable.history(info, ticks, app.clock.now()):
        click.echo(f"{indent}{line}")


def _names(infos: Sequence[ScheduleInfo]) -> set[str]:
    return {info.name for info in infos}


def _declared(found: Found) -> list[str]:
    """Return the names of what the code declares, whether the store has it or not."""
    return [schedule.name for each in found.schedules.values() for schedule in each]


def _say_unsent(here: Here) -> None:
    with closing(wire_client.connect(here.settings.redis_url or "")) as client:
        found = unsent(client)
    if found is not None:
        click.echo(found.in_words, err=True)


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, default=_plain_json, indent=1))


def _plain_json(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return value.total_seconds() if isinstance(value, timedelta) else str(value)
