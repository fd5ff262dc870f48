"""Commands that a test cannot run for real: whether what they name is there."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Callable, Sequence

import click
from rq.cli.cli import main as rq

from headway.cli import main as headway
from tests.docs.project import ROOT

EXTRAS = re.compile(r"headway\[([\w,-]+)\]")
ASSIGNMENT = re.compile(r"\w+=.*")


def mistakes(command: str) -> str:
    """Return what is wrong with a command that is not run, or an empty text."""
    words = shlex.split(command, comments=True)
    while words and ASSIGNMENT.fullmatch(words[0]):
        words = words[1:]
    check = CHECKS.get(words[0]) if words else None
    if words and words[0].lstrip("./").startswith("scripts/"):
        check = _script
    return check(words) if check else ""


def _headway(words: Sequence[str]) -> str:
    return _parsed(headway, words)


def _rq(words: Sequence[str]) -> str:
    return _parsed(rq, words)


def _parsed(command: click.Command, words: Sequence[str]) -> str:
    """Read a command line as click would, and run nothing."""
    name, *rest = words
    try:
        with click.Context(click.Command("docs")) as parent:
            while isinstance(command, click.Group) and rest and rest[0][0] != "-":
                found = command.get_command(parent, rest[0])
                if found is None:
                    return f"{name}: no command {rest[0]!r}"
                command, (name, *rest) = found, rest
            command.make_context(name, list(rest), parent=parent)
    except click.exceptions.Exit:
        return ""  # --help and --version
    except click.ClickException as error:
        return error.format_message()
    return ""


def _script(words: Sequence[str]) -> str:
    path = ROOT / words[0]
    return "" if path.is_file() and path.stat().st_mode & 0o111 else f"no {words[0]}"


def _pip(words: Sequence[str]) -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    there = project["optional-dependencies"]
    named = [extra for found in EXTRAS.findall(" ".join(words)) for extra in
             found.split(",")]  # fmt: skip
    return ", ".join(f"no extra {extra!r}" for extra in named if extra not in there)


CHECKS: dict[str, Callable[[Sequence[str]], str]] = {
    "headway": _headway,
    "rq": _rq,
    "pip": _pip,
}
