"""Whatever has a name for users is named on some page."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest

import headway
from headway import JobInfo, JobStatus, Options, errors, events
from headway.cli import main
from headway.cli.reference import (
    OF_THE_APPLICATION,
    OTHERS,
    pages,
    settings_variables,
)
from headway.settings import REDIS_NAMES, Settings
from headway.testing import plugin
from tests.docs.project import ROOT

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
TEXT = "\n".join(page.read_text() for page in PAGES)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
IMAGE = re.compile(r'<img src="([^"]+)"')
CODE = re.compile(r"```.*?```", re.DOTALL)
VARIABLE = re.compile(r"[A-Z][A-Z0-9]+(_[A-Z0-9]+)+|PORT")


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from commands(child, f"{path} {name}")


def classes(module: object, base: type) -> list[str]:
    found = inspect.getmembers(module, inspect.isclass)
    return [name for name, kind in found if issubclass(kind, base)]


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", CODE.sub("", page.read_text()), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", title.lower()) for title in titles]
    return {title.replace(" ", "-") for title in plain}


@pytest.mark.parametrize("path", [path for path, _ in commands(main, "headway")])
def test_every_command_is_named(path):
    assert f"## {path}\n" in (DOCS / "reference/cli.md").read_text()


def test_every_option_of_a_command_is_named():
    for path, command in commands(main, "headway"):
        for parameter in command.params:
            for option in parameter.opts:
                if option.startswith("--"):
                    assert option in TEXT, f"{path} {option}"


@pytest.mark.parametrize("name", classes(errors, errors.HeadwayError))
def test_every_error_is_named(name):
    assert f"`{name}`" in TEXT


@pytest.mark.parametrize("name", classes(events, events.Event))
def test_every_event_is_named(name):
    assert name in (DOCS / "reference/events.md").read_text()


@pytest.mark.parametrize("name", headway.__all__)
def test_every_public_name_is_named(name):
    assert re.search(rf"\b{name}\b", TEXT)


@pytest.mark.parametrize("name", Options.__annotations__)
def test_every_option_of_a_task_is_named(name):
    assert f"| `{name}` |" in (DOCS / "reference/options.md").read_text()


@pytest.mark.parametrize("name", [field.name for field in fields(JobInfo)])
def test_every_field_of_a_snapshot_is_named(name):
    assert f"`{name}`" in (DOCS / "reference/options.md").read_text()


@pytest.mark.parametrize("status", JobStatus)
def test_every_status_is_named(status):
    assert f"| `{status}` |" in (DOCS / "explanation/state-machine.md").read_text()


def test_every_fixture_of_the_testing_kit_is_named():
    names = [name for name in vars(plugin) if name.startswith("headway_")]
    page = (DOCS / "how-to/testing.md").read_text()
    assert names
    assert all(f"`{name}`" in page for name in names)


class Asked(dict[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get(self, name, default=None):
        self.names.add(name)
        return default


def test_every_setting_is_named():
    asked = Asked()
    Settings.from_environment(asked)
    named = {variable.name for variable in settings_variables()}
    assert asked.names - named == set(REDIS_NAMES) - named
    assert all(name in TEXT for name in REDIS_NAMES)


def read_variables(*folders: str) -> set[str]:
    """Return the variables that code asks an environment for, found in its text."""
    names: set[str] = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            asks = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            if asks and node.func.attr in ("get", "getenv", "text", "number"):
                first = node.args[0] if node.args else None
                value = getattr(first, "value", None)
                if isinstance(value, str) and VARIABLE.fullmatch(value):
                    names.add(value)
    return names


def test_every_variable_that_the_code_reads_is_named():
    not_for_users = {"PYTHONPATH"}
    read = read_variables("src", "tasks", "dashboard") - not_for_users
    page = (DOCS / "reference/settings.md").read_text()
    assert len(read) > 5
    assert [name for name in sorted(read) if f"`{name}`" not in page] == []


@pytest.mark.parametrize(
    "variable",
    [*settings_variables(), *OTHERS, *OF_THE_APPLICATION],
    ids=lambda variable: variable.name,
)
def test_every_variable_on_the_page_is_read_by_the_code(variable):
    code = (ROOT / "src/headway/cli/reference.py", ROOT / "tasks", ROOT / "src")
    texts = [p.read_text() for c in code[1:] for p in c.rglob("*.py") if p != code[0]]
    assert any(f'"{variable.name}"' in text for text in texts)


@pytest.mark.parametrize("name", pages())
def test_the_generated_pages_are_what_scripts_docs_would_write(name):
    written = (DOCS / "reference" / name).read_text()
    assert written == pages()[name], "run scripts/docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for path, anchor in LINK.findall(CODE.sub("", page.read_text())):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), f"{path}#{anchor}"
    for path in IMAGE.findall(page.read_text()):
        assert (page.parent / path).exists(), path


@pytest.mark.parametrize("contents", ["README.md", "llms.txt"])
def test_the_contents_name_every_page(contents):
    listed = {path for path, _ in LINK.findall((DOCS / contents).read_text())}
    missing = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")} - listed
    assert missing <= {"README.md"}
    assert all((DOCS / path).exists() for path in listed)
