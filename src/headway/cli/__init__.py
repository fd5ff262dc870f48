"""The `headway` command. Each command is imported when it is asked for."""

from __future__ import annotations

import importlib
from typing import Any

import click
from redis.exceptions import RedisError

from headway.errors import HeadwayError

#: Command -> module and attribute.
_HOMES = {
    "dashboard": "headway.cli.dashboard:dashboard",
    "doctor": "headway.cli.doctor:doctor",
    "failed": "headway.cli.failed:failed",
    "migrate": "headway.cli.migrate:migrate",
    "pause": "headway.cli.pause:pause",
    "resume": "headway.cli.pause:resume",
    "scheduler": "headway.cli.scheduler:scheduler",
    "schedules": "headway.cli.schedules:schedules",
    "up": "headway.cli.up:up",
    "worker": "headway.cli.worker:worker",
    "workflows": "headway.cli.workflows:workflows",
}


class _Refusal(click.ClickException):
    """What the caller can mend: one line, and exit code 2."""

    exit_code = 2


class _Commands(click.Group):
    """Commands by name, and one clear line for what Headway raises on purpose."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return sorted(_HOMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _HOMES:
            return None
        module, _, attribute = _HOMES[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own
        try:
            return super().invoke(ctx)
        except HeadwayError as error:
            raise _Refusal(str(error)) from error
        except RedisError as error:
            raise _Refusal(f"Redis does not do as asked: {error}") from error


@click.group(cls=_Commands)
@click.version_option(package_name="headway")
def main() -> None:
    """Background jobs that start on RQ and are never stuck there."""
