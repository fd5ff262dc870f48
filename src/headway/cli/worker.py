from __future__ import annotations

import logging
import os
import secrets
import socket
from datetime import timedelta
from typing import Any

import click
from click.core import ParameterSource

from headway.cli.engines import OPTIONS, become, by_engine, serve_side_by_side
from headway.cli.environment import prepare
from headway.settings import Settings
from headway.wire import client as wire_client
from headway.worker.declaration import declared
from headway.worker.plan import ORDERS, Limits, Order, Plan
from headway.worker.serve import serve

log = logging.getLogger("headway.worker")


@click.command()
@click.argument("queues", nargs=-1)
@click.option(
    "--children",
    type=click.IntRange(1, 1024),
    help="Processes that run jobs. Otherwise HEADWAY_CHILDREN, WEB_CONCURRENCY, or "
    "one for each core.",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 512),
    default=1,
    help="Jobs at once in each child, for tasks that wait: each in a thread.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 1024),
    default=1,
    help="Jobs of `async def` tasks at once in each child, on one event loop.",
)
@click.option(
    "--engine",
    type=click.Choice(["rq", *OPTIONS]),
    help="Serve queues that name no engine by this one, as with HEADWAY_ENGINE.",
)
@click.option("--burst", is_flag=True, help="Stop when the queues are empty.")
@click.option("--name", help="A name of your own; otherwise host and process id.")
@click.option("--max-jobs", type=click.IntRange(1), help="Stop after that many jobs.")
@click.option(
    "--max-idle-time",
    type=click.IntRange(1),
    help="Stop after so many seconds without a job.",
)
@click.option(
    "--max-jobs-per-child",
    type=click.IntRange(1),
    help="Replace a child after that many jobs.",
)
@click.option(
    "--max-memory-per-child",
    type=click.IntRange(16),
    metavar="MIB",
    help="Replace a child that has grown beyond so much memory.",
)
@click.option(
    "--memory-limit",
    type=click.IntRange(16),
    metavar="MIB",
    help="End a child that has more memory, and what it runs with it.",
)
@click.option(
    "--lease",
    type=click.IntRange(3, 3600),
    default=30,
    show_default=True,
    metavar="SECONDS",
    help="How long the jobs of a host that is lost are waited for.",
)
@click.option(
    "--dequeue-strategy",
    "-ds",
    type=click.Choice(ORDERS),
    default="default",
    help="Which queue is next: the most urgent, each in turn, any, or by weight.",
)
@click.option(
    "--gpu-share",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    help="The part of a GPU that each child of a device queue takes.",
)
@click.option(
    "--with-scheduler",
    is_flag=True,
    help="Also be a scheduler, in a process of its own; delayed jobs are sent of the "
    "queues that it serves.",
)
def worker(
    *,
    queues: tuple[str, ...],
    children: int | None,
    threads: int,
    concurrency: int,
    engine: str | None,
    burst: bool,
    name: str | None,
    max_jobs: int | None,
    max_idle_time: int | None,
    max_jobs_per_child: int | None,
    max_memory_per_child: int | None,
    memory_limit: int | None,
    lease: int,
    dequeue_strategy: Order,
    gpu_share: float,
    with_scheduler: bool,
) -> None:
    """Run jobs of QUEUES, the first one first; of all queues if none is named.

    SIGTERM or Ctrl-C: the running jobs are finished, then the worker stops. Those that
    take longer than HEADWAY_GRACE seconds go back to their queue.

    Where Celery, Dramatiq or Arq serves the queues, this becomes that engine's own
    worker, and refuses what it has no word for. Queues of several engines are served
    side by side, by a worker for each.
    """
    settings = prepare()
    if engine is not None:
        os.environ["HEADWAY_ENGINE"] = engine
    served = declared(settings.app, queues)
    names = by_engine(served)
    if len(names) > 1:
        serve_side_by_side(names, _given(), settings)
        return
    if (chosen := next(iter(names))) in OPTIONS:
        become(chosen, names[chosen], _given(), settings)
    plan = Plan(
        app=settings.app,
        name=name or _own_name(),
        queues=(),
        order=dequeue_strategy,
        threads=threads,
        concurrency=concurrency,
        lease=timedelta(seconds=lease),
        limits=Limits(
            burst=burst,
            jobs=max_jobs,
            idle=timedelta(seconds=max_idle_time) if max_idle_time else None,
            jobs_per_child=max_jobs_per_child,
            memory_per_child=max_memory_per_child,
            memory_limit=memory_limit,
        ),
        log_events=True,
    )
    url = settings.redis_url or ""
    wire_client.wait_until_up(url, say=log.warning)
    client = wire_client.connect(url, patience=wire_client.WORKER)
    serve(
        plan,
        served,
        client,
        settings=settings,
        children=children or _children(settings),
        gpu_share=gpu_share,
        most_devices=children,
        with_scheduler=with_scheduler,
    )


def _given() -> dict[str, Any]:
    """Return the options that were given, by name."""
    context = click.get_current_context()
    return {
        name: value
        for name, value in context.params.items()
        if name not in ("queues", "engine")
        and context.get_parameter_source(name) is not ParameterSource.DEFAULT
    }


def _children(settings: Settings) -> int:
    return settings.children or settings.web_concurrency or os.cpu_count() or 1


def _own_name() -> str:
    """Return a name that says where the worker is, and that no other boot has had."""
    host = socket.gethostname().partition(".")[0]
    return f"{host}-{os.getpid()}-{secrets.token_hex(2)}"
