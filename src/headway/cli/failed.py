from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cached_property, partial

import click

from headway.app import App
from headway.cli.environment import Here
from headway.cli.timetable import plain
from headway.errors import (
    HeadwayError,
    JobNotFoundError,
    JobStateError,
    StoreError,
)
from headway.job import JobInfo, JobStatus

#: What one command looks at, at most.
MOST = 10_000
_ENDED = (JobStatus.FAILED, JobStatus.STOPPED, JobStatus.CANCELED)


@click.group()
@click.pass_context
def failed(context: click.Context) -> None:
    """List the failed jobs, run them again, or forget them."""
    context.obj = Here()


def _selection(command: click.decorators.FC) -> click.decorators.FC:
    queue = click.option("--queue", help="Only of this queue.")
    every = click.option(
        "--all",
        "every",
        is_flag=True,
        help=f"All failed jobs; {MOST} of each queue at once.",
    )
    return click.argument("job_ids", nargs=-1)(every(queue(command)))


@failed.command("list")
@click.option("--queue", help="Only of this queue.")
@click.option(
    "--limit",
    type=click.IntRange(1, MOST),
    default=50,
    show_default=True,
    help="How many of each queue, latest first.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_(here: Here, *, queue: str | None, limit: int, as_json: bool) -> None:
    """Show failed jobs, latest first in each queue, with their reason."""
    jobs = list(_failed(here.app, queue, limit))
    for job in jobs:
        click.echo(json.dumps(asdict(job), default=str) if as_json else _line(job))
    if not jobs and not as_json:
        click.echo("no failed jobs")


@failed.command()
@_selection
@click.pass_obj
def requeue(
    here: Here, *, job_ids: tuple[str, ...], queue: str | None, every: bool
) -> None:
    """Run failed jobs again, with all their attempts."""
    ids = _chosen(here.app, job_ids, queue, every=every)
    _each(ids, _Again(here.app, ids), "requeued")


@failed.command()
@_selection
@click.pass_obj
def delete(
    here: Here, *, job_ids: tuple[str, ...], queue: str | None, every: bool
) -> None:
    """Forget failed jobs."""
    ids = _chosen(here.app, job_ids, queue, every=every)
    _each(ids, partial(_delete, here.app), "deleted")


class _Again:
    """Requeues jobs: with a node all of its workflow, and so others of them as well."""

    def __init__(self, app: App, ids: list[str]) -> None:
        self._app = app
        self._ids = ids

    @cached_property
    def _had_ended(self) -> set[str]:
        return {job_id for job_id in self._ids if self._has_ended(job_id)}

    def __call__(self, job_id: str) -> None:
        had_ended = job_id in self._had_ended
        try:
            self._app.job(job_id).requeue()
        except JobStateError:
            if not had_ended or self._has_ended(job_id):
                raise

    def _has_ended(self, job_id: str) -> bool:
        try:
            return self._app.job(job_id).status in _ENDED
        except JobNotFoundError:
            return False


def _delete(app: App, job_id: str) -> None:
    job = app.job(job_id)
    if (status := job.status) not in (JobStatus.FAILED, JobStatus.STOPPED):
        raise JobStateError(
            f"job {job_id} is {status}: only failed jobs are forgotten here"
        )
    job.delete()


def _failed(app: App, queue: str | None, limit: int) -> Iterator[JobInfo]:
    queues = [app.queue(queue)] if queue else app.queues
    for each in queues:
        yield from app.backend(each.engine).failed(each.name, limit)


def _chosen(
    app: App, job_ids: tuple[str, ...], queue: str | None, *, every: bool
) -> list[str]:
    if bool(job_ids) is (every or queue is not None):
        raise click.UsageError("name job ids, or choose them by --queue NAME or --all")
    return list(job_ids) or [job.id for job in _failed(app, queue, MOST)]


def _each(ids: list[str], act: Callable[[str], None], word: str) -> None:
    refused = 0
    for number, job_id in enumerate(ids):
        try:
            act(job_id)
        except StoreError:  # it would say so for each of them, after seconds
            click.echo(f"{number - refused} {word}")
            raise
        except HeadwayError as error:
            refused += 1
            click.echo(str(error), err=True)
    click.echo(f"{len(ids) - refused} {word}")
    if refused:
        raise SystemExit(1)


def _line(job: JobInfo) -> str:
    reason = (job.error or "no reason was recorded").strip().rsplit("\n", 1)[-1]
    ended = f"{job.ended_at:%Y-%m-%d %H:%M:%S}" if job.ended_at else "-" * 19
    line = plain(f"{job.id}  {job.queue:8}  {ended}  {job.description}")
    return f"{line}\n    {plain(reason)}"
