"""The web view: who may look, who may press, and what the application tells of itself.

Served by `headway dashboard`, or by any WSGI server that knows factories, as
`gunicorn 'dashboard:create_app()'` or `waitress-serve --call dashboard:create_app`.
"""

from __future__ import annotations

from flask import Flask
from neo4j.exceptions import DriverError, Neo4jError

import headway.dashboard
from headway.dashboard import Fact, Options, Panel, read_users
from headway.errors import ConfigurationError
from headway.settings import Settings
from queues import app
from tasks import graph
from tasks.brain import runs


def create_app(host: str = "0.0.0.0") -> Flask:  # noqa: S104 - the strict assumption
    """Make the view; on 127.0.0.1 without users, anybody of this machine may press.

    Who is named in HEADWAY_DASHBOARD_USERS as `name:password` may look and press, as
    `name:password:view` only look.
    """
    settings = Settings.from_environment()
    options = Options.for_host(
        host,
        users=read_users(settings.dashboard_users),
        secret=settings.secret,
        title="Second brain",
        queues=tuple(queue.name for queue in app.queues),
        panels=(last_ingest,),
        job=app.job,
        schedules=app.schedules,
        parameters=app.registry.parameters,
    )
    return headway.dashboard.create_app(settings.redis_url, options)


def last_ingest() -> Panel | None:
    """Tell what the newest ingest came to; nothing before the first."""
    run = runs.latest()
    if run is None:
        return None
    return Panel(
        title="Last ingest",
        at=run.started,
        facts=(
            Fact(name="Documents", value=f"{run.done - run.failed} of {run.found}"),
            Fact(name="Chunks", value=f"{runs.chunks(run.id):,}"),
            Fact(name="Links", value=_links(run.source)),
            Fact(name="Failed", value=str(run.failed), bad=run.failed > 0),
        ),
        note=f"{run.source}: {run.new} new, {run.changed} changed, "
        f"{run.unchanged} unchanged",
    )


def _links(source: str) -> str:
    # The graph may be away while Postgres is there: the other figures still count.
    try:
        return f"{graph.count(source):,}"
    except (ConfigurationError, DriverError, Neo4jError):
        return "unknown"
