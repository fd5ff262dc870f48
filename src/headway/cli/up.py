from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import timedelta
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import click
from dotenv import dotenv_values

from headway.cli.formation import Formation
from headway.cli.interrupts import signals_as_interrupts
from headway.cli.port import why_taken
from headway.cli.procfile import Procfile
from headway.cli.servers import embedded_servers, installed_servers, unnamed_servers
from headway.errors import ConfigurationError, MissingExtraError
from headway.settings import Settings

#: Beyond a worker's own grace: it hands back what it could not finish.
_SPARE = timedelta(seconds=5)


@click.command()
@click.option(
    "--procfile",
    "path",
    type=click.Path(path_type=Path),
    default="Procfile",
    show_default=True,
    help="The file that names the processes.",
)
@click.option("--scale", multiple=True, metavar="NAME=N", help="Start N of them.")
@click.option("--only", metavar="NAMES", help="Start these alone, as web,worker.")
@click.option("--port", type=click.IntRange(1, 65_535), help="The port of web.")
@click.option("--reload", is_flag=True, help="Restart processes when code changes.")
@click.option(
    "--services",
    metavar="NAMES",
    help="Embedded servers to start where no variable names one, as redis,postgres; "
    "or none. Left out: redis, and the others where they are installed.",
)
def up(
    *,
    path: Path,
    scale: tuple[str, ...],
    only: str | None,
    port: int | None,
    reload: bool,
    services: str | None,
) -> None:
    """Run the processes of the Procfile, for development.

    Reads .env; starts an embedded server for each of REDIS_URL, DATABASE_URL and
    NEO4J_URI that is not set. Ctrl-C stops web, scheduler, workers (their jobs are
    waited for) and servers, in this order; a second Ctrl-C stops everything now.
    """
    environment = _environment(path.parent, port)
    plan = partial(
        Formation,
        Procfile.read(path),
        only=None if only is None else _names(only),
        scale=dict(_scaled(scale)),
        grace=Settings.from_environment(environment).grace + _SPARE,
    )
    # Made once only to find mistakes, before servers take seconds to start.
    _refuse_taken_port(plan(environment=environment), environment)
    wanted = unnamed_servers(
        installed_servers() if services is None else _names(services), environment
    )
    if reload and find_spec("watchfiles") is None:
        raise MissingExtraError(
            "--reload needs watchfiles: pip install 'headway[reload]'"
        )
    with contextlib.suppress(KeyboardInterrupt), signals_as_interrupts():
        _run(plan, environment, wanted, path.parent if reload else None)


def _run(
    plan: Callable[..., Formation],
    environment: Mapping[str, str],
    wanted: Collection[str],
    watched: Path | None,
) -> None:
    with (
        embedded_servers(wanted, Path(environment["HEADWAY_DATA"])) as found,
        plan(environment={**environment, **found}) as formation,
    ):
        if "web.1" in formation.names:
            click.echo(f"open {_address(environment)}    (Ctrl-C stops everything)")
        if watched is None:
            formation.wait()
        else:
            _restart_on_change(formation, watched)


def _restart_on_change(formation: Formation, folder: Path) -> None:
    import watchfiles  # an extra

    root = folder.resolve()
    changes = watchfiles.watch(
        root, watch_filter=lambda _, path: _is_code(Path(path).relative_to(root))
    )
    for changed in changes:
        names = sorted({str(Path(path).relative_to(root)) for _, path in changed})
        click.echo(f"{', '.join(names)} changed: restarting, jobs may finish first")
        formation.restart()


def _is_code(path: Path) -> bool:
    hidden = any(part.startswith((".", "__pycache__")) for part in path.parts)
    return path.suffix == ".py" and not hidden


def _environment(folder: Path, port: int | None) -> dict[str, str]:
    """Return `.env` with the real environment over it, and the options over both."""
    written = dotenv_values(folder / ".env")
    environment = {name: value for name, value in written.items() if value is not None}
    environment |= os.environ
    if port is not None:
        environment["PORT"] = str(port)
    settings = Settings.from_environment(environment)
    environment["PORT"] = str(settings.port)
    # Processes run in the Procfile's folder; the data stays in one place.
    environment["HEADWAY_DATA"] = str(settings.data.absolute())
    return environment


def _scaled(pairs: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    for pair in pairs:
        name, _, number = pair.partition("=")
        if not (name and number.isdecimal()):
            raise ConfigurationError(f"--scale {pair!r}: expected NAME=N, as worker=2")
        yield name, int(number)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _host(environment: Mapping[str, str]) -> str:
    return Settings.from_environment(environment).dashboard_host


def _address(environment: Mapping[str, str]) -> str:
    return f"http://{_host(environment)}:{environment['PORT']}"


def _refuse_taken_port(formation: Formation, environment: Mapping[str, str]) -> None:
    webs = [name for name in formation.names if name.startswith("web.")]
    host = _host(environment)
    for offset in range(len(webs)):
        port = int(environment["PORT"]) + offset
        if why := why_taken(host, port):
            raise ConfigurationError(
                f"port {port} of {host} cannot be used by web: {why}; choose another "
                "with --port or PORT"
            )
