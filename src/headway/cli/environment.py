from __future__ import annotations

import os
import sys
from functools import cached_property

import click
from dotenv import load_dotenv

from headway.app import App, load_app
from headway.errors import ConfigurationError
from headway.observe.log import set_up_logs
from headway.settings import Settings

NO_REDIS = (
    "REDIS_URL is not set: add REDIS_URL=redis://host:6379/0 to the environment or to "
    ".env, or run `headway up`, which starts a development server"
)


def prepare() -> Settings:
    """Read `.env`, put this folder on the path, find running servers, set up logs.

    Raises:
        ConfigurationError: a variable is wrong, or nothing names a Redis.
    """
    settings = settings_here()
    if settings.redis_url is None:
        raise ConfigurationError(NO_REDIS)
    set_up_logs(settings)
    return settings


def settings_here() -> Settings:
    """Read `.env`, put this folder on the path, and find running servers.

    Raises:
        ConfigurationError: a variable is wrong.
    """
    load_dotenv(".env")
    if (folder := os.getcwd()) not in sys.path:  # noqa: PTH109 - sys.path has texts
        sys.path.insert(0, folder)
    settings = Settings.from_environment()
    if settings.redis_url is None:
        attach(settings)
        settings = Settings.from_environment()
    return settings


def attach(settings: Settings) -> None:
    """Use the development servers that another command runs in this folder."""
    if not (settings.data / "services.json").exists():
        return
    from headway.embedded import Services  # an extra: only where its record lies

    found = Services(data=settings.data).found()
    for name, value in found.items():
        os.environ.setdefault(name, value)
    if found:
        click.echo(f"using the development servers in {settings.data}", err=True)


def the_app(settings: Settings) -> App:
    """Import the application and all modules of its tasks packages.

    Raises:
        ConfigurationError: HEADWAY_APP names no application.
    """
    app = load_app(settings.app)
    app.registry.import_all()
    return app


class Here:
    """What commands of a group work on: read at first use, so not for `--help`."""

    @cached_property
    def settings(self) -> Settings:
        """Return the settings, as `prepare` does.

        Raises:
            ConfigurationError: a variable is wrong, or nothing names a Redis.
        """
        return prepare()

    @cached_property
    def app(self) -> App:
        """Return the application, as `the_app` does.

        Raises:
            ConfigurationError: HEADWAY_APP names no application, or no Redis is named.
        """
        return the_app(self.settings)
