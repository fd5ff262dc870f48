"""What the second brain lives in while it runs: its servers and its processes."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Generator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

import psycopg
from dotenv import dotenv_values
from neo4j.exceptions import DriverError, Neo4jError
from redis import Redis
from redis.exceptions import RedisError

from headway.cli.formation import Formation
from headway.cli.procfile import Procfile
from headway.cli.servers import unnamed_servers
from headway.embedded import Services
from headway.errors import ConfigurationError
from headway.settings import Settings
from tasks import graph
from tasks.brain import database

ROOT = Path(__file__).resolve().parents[2]
#: What a worker needs, beyond its own grace, to hand back what it could not finish.
SPARE = timedelta(seconds=5)
LONGEST_TEST = 5
#: Beside the one of the gpu queue.
WORKERS = 2
#: They log each attempt to reconnect; the commands say it once.
NOISY = ("psycopg.pool", "neo4j")


def enter(port: int | None) -> Settings:
    """Take `.env` into the environment, and check all of it.

    Raises:
        ConfigurationError: naming every variable that is wrong.
    """
    for name, value in dotenv_values(ROOT / ".env").items():
        os.environ.setdefault(name, value or "")
    if port is not None:
        os.environ["PORT"] = str(port)
    settings = Settings.from_environment()
    os.environ["PORT"] = str(settings.port)
    data = settings.data if settings.data.is_absolute() else ROOT / settings.data
    os.environ["HEADWAY_DATA"] = str(data)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return Settings.from_environment()


@contextlib.contextmanager
def servers(settings: Settings, names: set[str]) -> Generator[Mapping[str, str]]:
    """Have servers of our own up for the block, where no variable names another.

    Raises:
        EmbeddedServerError: one does not start.
    """
    own = set(unnamed_servers(names, os.environ))
    if not own:
        yield {}
        return
    with Services(data=settings.data).running(own) as found:
        os.environ.update(found)
        yield found


def refuse_silent(names: set[str]) -> None:
    """Try the servers that the environment names, before anything is started.

    Raises:
        ConfigurationError: one of them does not answer.
    """
    tests = {"redis": _test_redis, "postgres": _test_postgres, "bolt": _test_bolt}
    for name in sorted(names - set(unnamed_servers(names, os.environ))):
        tests[name]()


def redis() -> Redis:
    """Return a client of the Redis that the environment names."""
    url = Settings.from_environment().redis_url or ""
    return Redis.from_url(url, socket_timeout=LONGEST_TEST)


def _test_redis() -> None:
    try:
        redis().ping()
    except RedisError as error:
        url = Settings.from_environment().redis_url or ""
        raise _silent("REDIS_URL", url, error) from error


def _test_postgres() -> None:
    try:
        psycopg.connect(database.address(), connect_timeout=LONGEST_TEST).close()
    except psycopg.Error as error:
        raise _silent("DATABASE_URL", database.address(), error) from error


def _test_bolt() -> None:
    try:
        graph.verify()
    except (DriverError, Neo4jError, ValueError) as error:
        raise _silent("NEO4J_URI", os.environ["NEO4J_URI"], error) from error


def _silent(name: str, url: str, error: Exception) -> ConfigurationError:
    """Say which server does not answer, and where: without its password."""
    try:
        place = urlsplit(url).netloc.rpartition("@")[2] or url
    except ValueError:
        place = "an address that cannot be read"
    why = " ".join(str(error).split())[:200]
    return ConfigurationError(
        f"{name} names {place}, which cannot be used: {why}; "
        "start it, correct the address, or unset it to have a server of our own"
    )


@contextlib.contextmanager
def processes(settings: Settings, *, web: bool, output: TextIO) -> Generator[Formation]:
    """Run the processes of the Procfile for the block; jobs may end before it does.

    Raises:
        ConfigurationError: for a mistake in the Procfile.
    """
    procfile = Procfile.read(ROOT / "Procfile")
    formation = Formation(
        procfile,
        environment=os.environ,
        only=[name for name in procfile.commands if web or name != "web"],
        scale={"worker": WORKERS},
        grace=settings.grace + SPARE,
        output=output,
    )
    with formation:
        yield formation
