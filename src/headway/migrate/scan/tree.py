"""A folder of code, read file by file; nothing of it is imported."""

from __future__ import annotations

import ast
import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from headway.migrate.scan.names import Names, Scope, bound
from headway.migrate.scan.rules import Rules
from headway.migrate.scan.sites import Finding, Sites

#: Package -> the library that it is, or is made for.
_PACKAGES = {
    **{name: name for name in ("celery", "rq", "dramatiq", "arq", "huey")},
    **dict.fromkeys(("django_rq", "flask_rq2", "rq_scheduler"), "rq"),
    "django_huey": "huey",
}
_IMPORTED = re.compile(
    rf"^\s*(?:from|import)\s+({'|'.join(_PACKAGES)})\b".encode(), re.MULTILINE
)
#: A library in the text, or what may be a wrapper of its decorator.
_NAMED = re.compile(
    rb"(?i)celery|dramatiq|huey|\b(?:a|django_|flask_)?rq|@[\w.]*(?:task|job|actor)\b"
)
#: What is called on tasks, in files that name no library.
_CALLED = re.compile(
    rb"\.(?:delay|apply\w*|enqueue\w*|send\w*|si?|schedule|message\w*)\(|\bctx\b"
)
#: Where Arq's workers are given their functions.
_GIVEN_TO_ARQ = re.compile(r"(?i)functions|cron_?jobs")
_SKIPPED = re.compile(r"\..*|node_modules|site-packages|__pycache__")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that was found in a folder."""

    #: How many files of Python there are.
    files: int
    findings: list[Finding]
    #: Files that could not be read, and why.
    unread: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Module:
    tree: ast.Module
    scope: Scope


def scan(root: Path) -> Report:
    """Read a folder or a file, and report what it uses of other libraries."""
    tree = _Tree(root)
    findings = sorted(tree.findings())
    return Report(files=len(tree.paths), findings=findings, unread=tree.unread)


class _Tree:
    def __init__(self, root: Path) -> None:
        self.unread: dict[str, str] = {}
        self._root, self._used = root, set[str]()
        self._names = Names(Rules(), self._imported)
        self._loaded: dict[str, _Module | None] = {}
        #: Dotted name, with the folder itself in front -> file.
        self.paths = {self._dotted(path): path for path in sorted(_files(root))}
        self._by_last: dict[str, list[str]] = {}
        for name in self.paths:
            last = name.removesuffix(".__init__").rpartition(".")[2]
            self._by_last.setdefault(last, []).append(name)

    def findings(self) -> Iterator[Finding]:
        """Visit each file in which something may be found."""
        named = [m for each in self.paths if (m := self._load(each)) is not None]
        arq = {name for module in named for name in _given_to_arq(module)}
        # A task of Huey is sent by a plain call: there is no telling by a word.
        called = None if "huey" in self._used else _CALLED
        for name, path in self.paths.items() if self._used else ():
            if module := self._load(name) or self._open(name, called):
                sites = Sites(str(path), self._names, module.scope, self._used, arq)
                sites.visit(module.tree)
                yield from sites.found

    def _load(self, name: str) -> _Module | None:
        """Return a module that names a library, or a package that hands names on."""
        if name not in self._loaded:
            is_package = self.paths[name].name == "__init__.py"
            self._loaded[name] = self._open(name, None if is_package else _NAMED)
        return self._loaded[name]

    def _open(self, name: str, holding: re.Pattern[bytes] | None) -> _Module | None:
        path, text = self.paths[name], b""
        try:
            text = path.read_bytes()
            if str(path) in self.unread or (holding and not holding.search(text)):
                return None
            with warnings.catch_warnings(action="ignore"):
                tree = ast.parse(text, path.name)
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
            if not text or (holding or _NAMED).search(text):
                self.unread[str(path)] = str(error) or type(error).__name__
            return None
        scope = Scope(module=name).inner(tree.body)
        self._used |= {_PACKAGES[name.decode()] for name in _IMPORTED.findall(text)}
        return _Module(tree=tree, scope=scope)

    def _imported(self, name: str, importer: str) -> Scope | None:
        """Return a module of this tree by the name that another imports it by."""
        if name.partition(".")[0] in _PACKAGES:
            return None
        end = name if name.startswith("/") else f".{name}"
        there = self._by_last.get(name.rpartition(".")[2], [])
        alike = [each for each in there if each.endswith((end, f"{end}.__init__"))]
        # Of several, the one that is nearest to who imports it.
        alike.sort(key=lambda each: len(os.path.commonprefix([each, importer])))  # noqa: RUF071 - not paths
        module = self._load(alike[-1]) if alike else None
        return module.scope if module else None

    def _dotted(self, path: Path) -> str:
        inside = path.relative_to(self._root) if path != self._root else Path(path.name)
        parts = inside.with_suffix("").parts
        # The slash keeps a folder that is called as a library from being taken for it.
        return ".".join([f"/{self._root.resolve().name}", *parts])


def _files(root: Path) -> Iterator[Path]:
    """Yield what is read: no links, and nothing that others have installed."""
    if root.is_file():
        yield root
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = [
            each
            for each in folders
            if not _SKIPPED.fullmatch(each)
            and not (here / each / "pyvenv.cfg").exists()
        ]
        paths = (here / name for name in names if name.endswith(".py"))
        yield from (each for each in paths if each.is_file() and not each.is_symlink())


def _given_to_arq(module: _Module) -> Iterator[str]:
    """Yield the names in the lists of functions that a worker is given."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Module | ast.ClassDef):
            for name, value in bound(node.body, module.scope):
                if isinstance(value, ast.expr) and _GIVEN_TO_ARQ.search(name):
                    yield from (getattr(each, "id", "") for each in ast.walk(value))
