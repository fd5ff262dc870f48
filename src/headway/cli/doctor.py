from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict

import click

from headway.app import load_app
from headway.cli.environment import NO_REDIS, settings_here
from headway.errors import ConfigurationError
from headway.observe.doctor import Doctor, Finding, look_at_application, problem
from headway.wire import client as wire_client

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


@click.command()
@click.option("--strict", is_flag=True, help="Exit 1 where anything is found.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def doctor(*, strict: bool, as_json: bool) -> None:
    """Look for what could cost jobs: in Redis, the workers and the application.

    It changes nothing. Each finding comes with what mends it.
    """
    found: list[Finding] = []
    for finding in _findings():
        found.append(finding)
        if not as_json:
            _say(finding)
    counts = Counter(finding.level for finding in found)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in found], indent=1))
    else:
        problems, warnings = counts["problem"], counts["warning"]
        click.echo(
            f"doctor: {counts['ok']} ok, {warnings} warnings, {problems} problems"
        )
    if strict and counts["problem"] + counts["warning"]:
        raise SystemExit(1)


def _findings() -> Iterator[Finding]:
    try:
        settings = settings_here()
    except ConfigurationError as error:
        yield problem("environment", str(error))
        return
    app, about = look_at_application(lambda: load_app(settings.app))
    yield from about
    if settings.redis_url is None:
        yield problem("environment", NO_REDIS)
        return
    client = wire_client.connect(settings.redis_url)
    try:
        yield from Doctor(client, settings.redis_url, app).look()
    finally:
        client.close()


def _say(finding: Finding) -> None:
    level = click.style(f"{finding.level:8}", fg=_COLOURS[finding.level])
    click.echo(f"{level} {finding.about:12} {finding.found}")
    if finding.mend:
        click.echo(f"{'':21} -> {finding.mend}")
