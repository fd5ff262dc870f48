from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any, cast

import click

from headway.app import App
from headway.cli.environment import prepare, the_app
from headway.errors import ConfigurationError, MissingExtraError
from headway.settings import Settings

if TYPE_CHECKING:
    from flask import Flask

OWN = "dashboard:create_app"


@click.command()
@click.option("--host", help="Where to listen; HEADWAY_DASHBOARD_HOST, or 127.0.0.1.")
@click.option("--port", type=click.IntRange(1, 65_535), help="PORT, or 9181.")
@click.option(
    "--view",
    default=OWN,
    show_default=True,
    metavar="MODULE:FUNCTION",
    help="Makes the view, called with host=...; a plain one where there is none.",
)
def dashboard(*, host: str | None, port: int | None, view: str) -> None:
    """Serve the web view of queues, workers and failures.

    Without sign-in on 127.0.0.1 only; see HEADWAY_DASHBOARD_USERS and HEADWAY_SECRET.
    """
    settings = prepare()
    app = the_app(settings)
    if importlib.util.find_spec("flask") is None:
        raise MissingExtraError(
            "the dashboard needs Flask and others: pip install 'headway[dashboard]'"
        )
    from headway.dashboard import serve

    host = host or settings.dashboard_host
    made, port = _made(app, settings, view, host), port or settings.port
    click.echo(f"open http://{host}:{port}    (Ctrl-C stops it)")
    serve(made, host=host, port=port)


def _made(app: App, settings: Settings, view: str, host: str) -> Flask:
    module_name, _, function = view.partition(":")
    if view == OWN and importlib.util.find_spec(module_name) is None:
        return _plain(app, settings, host)
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigurationError(
            f"--view {view}: {module_name} cannot be imported: {error}"
        ) from error
    made: Any = getattr(module, function, None)
    if not callable(made):
        raise ConfigurationError(f"--view {view}: {module_name} has no {function}()")
    return cast("Flask", made(host=host))


def _plain(app: App, settings: Settings, host: str) -> Flask:
    from headway.dashboard import Options, create_app, read_users
    from headway.wire import client as wire_client

    options = Options.for_host(
        host,
        users=read_users(settings.dashboard_users),
        secret=settings.secret,
        queues=tuple(queue.name for queue in app.queues),
        job=app.job,
        schedules=app.schedules,
        parameters=app.registry.parameters,
    )
    return create_app(wire_client.connect(settings.redis_url or ""), options)
