from __future__ import annotations

import logging
import os
import secrets
import socket

import click

from headway.cli.environment import prepare, the_app
from headway.observe.log import log_events
from headway.wire import client as wire_client
from headway.worker import Worker

log = logging.getLogger("headway.worker")


@click.command()
@click.argument("queues", nargs=-1)
@click.option("--burst", is_flag=True, help="Stop when the queues are empty.")
@click.option("--name", help="A name of your own; otherwise host and process id.")
@click.option("--max-jobs", type=click.IntRange(1), help="Stop after that many jobs.")
@click.option(
    "--with-scheduler",
    is_flag=True,
    help="Also move RQ's delayed and repeating jobs when they are due.",
)
def worker(
    *,
    queues: tuple[str, ...],
    burst: bool,
    name: str | None,
    max_jobs: int | None,
    with_scheduler: bool,
) -> None:
    """Run jobs of QUEUES, the first one first; of all queues if none is named.

    SIGTERM or Ctrl-C: the running job is finished, then the worker stops.
    """
    settings = prepare()
    app = the_app(settings)
    served = [app.queue(queue).name for queue in queues or [q.name for q in app.queues]]
    log_events(app)
    url = settings.redis_url or ""
    wire_client.wait_until_up(url, say=log.warning)
    client = wire_client.connect(url, patience=wire_client.WORKER)
    Worker(served, name=name or _own_name(), connection=client).work(
        burst=burst,
        max_jobs=max_jobs,
        with_scheduler=with_scheduler,
        logging_level=None,
    )


def _own_name() -> str:
    """Return a name that says where the worker is, and that no other boot has had."""
    host = socket.gethostname().partition(".")[0]
    return f"{host}-{os.getpid()}-{secrets.token_hex(2)}"
