from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from headway.app import App
from headway.cli.environment import Here
from headway.cli.timetable import aligned, plain
from headway.local_time import zone_of
from headway.migrate.found import Found
from headway.migrate.keep import keep
from headway.migrate.machine_zone import machine_zone
from headway.schedule import Schedule

_WANTED = {
    "rq-scheduler": "nothing more: its jobs are in Redis",
    "rq-cron": "the file that `rq cron` is given",
    "celery-beat": "the module that holds the Celery application, or its schedules",
}


@click.command("import")
@click.option(
    "--from", "tool", type=click.Choice(list(_WANTED)), required=True, help="Whose."
)
@click.argument("source", required=False)
@click.option("--zone", help="Read lines of cron in this zone, as Europe/Oslo.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.pass_obj
def import_(
    here: Here, *, tool: str, source: str | None, zone: str | None, dry_run: bool
) -> None:
    """Take over the schedules of another tool.

    SOURCE is the file that `rq cron` is given, or the module of the Celery
    application. What rq-scheduler has is in Redis, and is taken from it also while it
    runs; the others must be stopped. Doing it again changes nothing.
    """
    if (source is None) is not (tool == "rq-scheduler"):
        raise click.UsageError(f"--from {tool}: expected {_WANTED[tool]}")
    if zone is not None:
        zone_of("--zone", zone)
    found = _found(here.app, tool, source or "", zone, dry_run=dry_run)
    for line in _table(found):
        click.echo(line)
    click.echo(_sum(found, dry_run=dry_run))
    if any(not each.done for each in found):
        raise SystemExit(1)


def _found(
    app: App, tool: str, source: str, zone: str | None, *, dry_run: bool
) -> list[Found]:
    if tool == "celery-beat":
        from headway.migrate import celery_beat

        return keep(app, celery_beat.read(app, source, zone), dry_run=dry_run)
    if tool == "rq-cron":
        from headway.migrate import rq_cron

        zone = zone or _said_aloud(machine_zone(), _BEFORE_3)
        return keep(app, rq_cron.read(app, source, zone), dry_run=dry_run)
    from headway.migrate.rq_scheduler import RQSchedulerJobs

    jobs = RQSchedulerJobs(app, zone or _said_aloud(machine_zone()))
    return jobs.read() if dry_run else jobs.take()


def _said_aloud(zone: str, more: str = "") -> str:
    told = f"lines of cron are read in {zone}, this machine's zone; --zone names "
    click.echo(f"{told}another{more}", err=True)
    return zone


#: What is to be known of `rq cron`.
_BEFORE_3 = " (RQ before 3 has read them in UTC: --zone UTC)"


def _table(found: Sequence[Found]) -> Iterator[str]:
    rows = [
        (_name(each), each.when, each.task, each.done or "not made") for each in found
    ]
    for each, line in zip(found, aligned(rows), strict=True):
        yield line
        yield from (f"    {plain(note)}" for note in each.notes)


def _name(found: Found) -> str:
    made = found.carried
    return made.name if isinstance(made, Schedule) else found.name


def _sum(found: Sequence[Found], *, dry_run: bool) -> str:
    done = [each.done or "not made" for each in found]
    words = [f"{done.count(word)} {word}" for word in dict.fromkeys(done)]
    told = ", ".join(words) or "nothing was found"
    return f"{told}; nothing was changed (--dry-run)" if dry_run else told
