"""What other libraries' words are here: rules.md, read into a value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

#: From least to most work.
VERDICTS = ("maps", "by hand", "not there")
_BRACES = re.compile(r"\{([^{}]+,[^{}]+)\}")
_ABSENT = re.compile(r"(.+)\(!(\w+)\)")


@dataclass(frozen=True, slots=True)
class Rule:
    """A row: what is looked for, and what to write instead."""

    library: str
    #: Empty for an option: that is of the kind of what it is given to.
    kind: str
    verdict: str
    #: Whether it runs unchanged through `headway.shims.celery`.
    shim: bool
    instead: str
    why: str


class Rules:
    """All rows, found by their keys."""

    def __init__(self) -> None:
        self.libraries: set[str] = set()
        #: What is called -> the options whose absence says something.
        self.absent: dict[str, list[str]] = {}
        self._exact: dict[str, Rule] = {}
        self._patterns: list[tuple[re.Pattern[str], Rule]] = []
        self._named: dict[str, dict[str, str]] = {"same": {}, "gives": {}}
        self.find = cache(self._find)
        self.home = cache(self._home)
        text = Path(__file__).with_name("rules.md").read_text(encoding="utf-8")
        for title, cells in _rows(text):
            self._add(title, cells)

    def given_by(self, path: str) -> str | None:
        """Return what a call gives: what the tables say; a class gives itself."""
        itself = path.rpartition(".")[2][:1].isupper()
        return self._named["gives"].get(path) or (path if itself else None)

    def joined(self, path: str) -> str:
        """Return what two with a bar between are, the first of which is known."""
        return self._named["gives"].get(f"or {path}", path)

    def decorates(self, path: str) -> bool:
        """Tell whether what is called so makes a task of a function."""
        given = self._named["gives"].get(path, "")
        return given.endswith((".Task", ".Actor", ".Function"))

    def option(self, base: str, name: str, value: str) -> Rule | None:
        """Return the rule of an option: of its value or of any, here or anywhere."""
        keys = [
            f"{owner}({said})"
            for owner in (base, base.partition(".")[0])
            for said in (f"{name}={value}", name)
        ]
        exact = (self._exact[key] for key in keys if key in self._exact)
        return next(exact, None) or next(filter(None, map(self.find, keys)), None)

    def _find(self, key: str) -> Rule | None:
        matching = (r for pattern, r in self._patterns if pattern.fullmatch(key))
        return self._exact.get(key) or next(matching, None)

    def _home(self, path: str) -> str:
        """Return the one name of what has several."""
        for alias, name in self._named["same"].items():
            if f"{path}.".startswith(f"{alias.rstrip('.')}.") and path != alias[:-1]:
                return self._home(name + path[len(alias) :])
        return path

    def _add(self, title: str, cells: list[str]) -> None:
        if len(cells) == 2:  # noqa: PLR2004 - a name, and what is said of it
            for each in _keys(cells[1]):
                self._named[title].setdefault(each, cells[0])
            return
        kind, keys, how, instead, why = cells
        self.libraries.add(title)
        verdict, _, shim = how.partition(", ")
        rule = Rule(title, kind, verdict, bool(shim), instead, why)
        for key in _keys(keys):
            if absent := _ABSENT.fullmatch(key):
                self.absent.setdefault(absent[1], []).append(absent[2])
            if "*" in key:
                pattern = re.compile(re.escape(key).replace(r"\*", ".*"))
                self._patterns.append((pattern, rule))
            else:
                self._exact[key] = rule


def _rows(text: str) -> Iterator[tuple[str, list[str]]]:
    title = ""
    for line in text.splitlines():
        if line.startswith("## "):
            title = line[3:]
        elif line.startswith("| ") and not line.startswith(("| kind |", "| = |")):
            cells = line.replace("`", "")[1:-1].split("|")
            yield title, [cell.strip() for cell in cells]


def _keys(cell: str) -> Iterator[str]:
    """Yield the keys of a cell: `a.{b,c}` is a.b and a.c."""
    if braces := _BRACES.search(cell):
        for word in braces[1].split(","):
            yield from _keys(cell[: braces.start()] + word + cell[braces.end() :])
    else:
        yield from cell.split(", ")
