from __future__ import annotations

from collections.abc import Sequence

import click

from headway.app import App
from headway.cli.environment import prepare, the_app
from headway.queue import Queue


@click.command()
@click.argument("queues", nargs=-1, required=True)
def pause(*, queues: tuple[str, ...]) -> None:
    """Let no worker begin jobs of these queues; those that run go on.

    Jobs can be enqueued all the same. RQ's own workers do not heed it.
    """
    for queue in _named(the_app(prepare()), queues):
        queue.pause()
        click.echo(f"paused {queue.name}")


@click.command()
@click.argument("queues", nargs=-1, required=True)
def resume(*, queues: tuple[str, ...]) -> None:
    """Let workers have the jobs of paused queues again."""
    for queue in _named(the_app(prepare()), queues):
        queue.resume()
        click.echo(f"resumed {queue.name}")


def _named(app: App, names: Sequence[str]) -> list[Queue]:
    """Return the queues, all of them known before the first is touched."""
    return [app.queue(name) for name in names]
