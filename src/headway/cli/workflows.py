from __future__ import annotations

from typing import get_args

import click

from headway.app import App
from headway.cli.environment import Here
from headway.cli.timetable import aligned, plain
from headway.when import from_now
from headway.workflows import WorkflowKind, WorkflowLine


@click.group(invoke_without_command=True)
@click.pass_context
def workflows(context: click.Context) -> None:
    """List the workflows, and look at one."""
    context.obj = Here()
    if context.invoked_subcommand is None:
        context.invoke(list_)


@workflows.command("list")
@click.option(
    "--kind",
    type=click.Choice(get_args(WorkflowKind)),
    help="Only these; failed are those that were canceled, too.  [default: all]",
)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@click.pass_obj
def list_(here: Here, *, kind: WorkflowKind | None, limit: int) -> None:
    """Show the workflows of each kind, newest first."""
    kinds = (kind,) if kind else get_args(WorkflowKind)
    lines = [line for each in kinds for line in here.app.workflows(each, limit=limit)]
    if not lines:
        return click.echo("no workflows")
    for shown in aligned([_cells(here.app, line) for line in lines]):
        click.echo(shown)
    return None


@workflows.command()
@click.argument("workflow_id", metavar="ID")
@click.pass_obj
def show(here: Here, *, workflow_id: str) -> None:
    """Draw the tree of a workflow: each job with its state, and why it failed."""
    for line in str(here.app.workflow(workflow_id).tree()).splitlines():
        click.echo(plain(line))


def _cells(app: App, line: WorkflowLine) -> list[str]:
    begun = from_now(line.created_at, app.clock.now()) if line.created_at else ""
    ended = f"{line.progress.done:.0f} of {line.progress.total:.0f}"
    failed = line.failed
    why = f"{failed.task}: {failed.error or failed.status}" if failed else ""
    return [line.id, line.status, ended, begun, line.task, why]
