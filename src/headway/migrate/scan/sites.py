"""The places of one file where another library is used, and what they are here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from headway.migrate.scan.instead import filled, items
from headway.migrate.scan.names import Binding, Function, Names, Scope, bound, dotted
from headway.migrate.scan.rules import VERDICTS, Rule


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Finding:
    """A place, and what to write there instead."""

    path: str
    line: int
    library: str
    kind: str
    #: "maps", "by hand" or "not there".
    verdict: str
    found: str
    instead: str
    #: Why that is so, and what goes otherwise under the same word.
    why: tuple[str, ...]
    #: Whether it runs unchanged through `headway.shims.celery`.
    shim: bool
    #: False: known by the name of a method alone.
    certain: bool


#: Options and their values; the first argument has no name.
Options = Sequence[tuple[str, ast.expr]]
#: What is given to these is the task's own.
_PASSING_ON = (".delay", ".s", ".si", ".send", ".message", ".call_local", "huey.Task")
#: What is called so on something unknown is taken for a method of one of these.
_TELLING = re.compile(
    "delay|apply_async|delay_on_commit|si|send_task|send_with_options"
    "|enqueue|enqueue_call|enqueue_in|enqueue_at|enqueue_job"
)
_OWNERS = "celery.Task celery.Celery rq.Queue rq.Function dramatiq.Actor arq.ArqRedis"


class Sites(ast.NodeVisitor):
    """Walks through a file and notes what it finds."""

    def __init__(
        self, path: str, names: Names, scope: Scope, used: set[str], arq: set[str]
    ) -> None:
        self.found: set[Finding] = set()
        self._path, self._names, self._scope = path, names, scope
        #: Libraries that are used anywhere, and functions that Arq's worker is given.
        self._used, self._arq = used, arq

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        for _, each in bound([node], self._scope):
            if isinstance(each, tuple):
                keys = (f"import {each[0]}", f"import {each[0]}.{each[1]}")
                any(self._note(node, key) for key in keys)

    visit_ImportFrom = visit_Import

    def visit_FunctionDef(self, node: Function) -> None:
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        first = arguments[0].arg if arguments else ""
        known: dict[str, Binding] = {
            each.arg: each.annotation for each in arguments if each.annotation
        }
        for each in node.decorator_list:
            path = self._names.decorator(each, self._scope)
            name = dotted(each.func if isinstance(each, ast.Call) else each)
            key = f"{path or '@' + name.rpartition('.')[2]}()"
            found = f"@{ast.unparse(each)}"
            self._note(each, key, _options(each), found, certain=bool(path))
            self._visit_within(each)
            if path == "celery.Celery.task" and first == "self":
                known[first] = "celery.Task"
        if node.name in self._arq and first == "ctx":
            self._note(node, "arq.function()", found=f"async def {node.name}(ctx)")
            known[first] = "arq.ctx"
        self._visit_in(self._scope.inner(node.body, known), [node.args, *node.body])

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        known = {
            name: value
            for method in node.body
            for name, value in bound(getattr(method, "body", ()), self._scope)
            if name.startswith("self.")
        }
        for base in node.bases:
            path = self._names.path(base, self._scope)
            if self._note(node, f"class {path}", found=f"class {node.name}"):
                known["self"] = path
        if "WorkerSettings" in node.name:
            names = bound(node.body, self._scope)
            options = [(n, v) for n, v in names if isinstance(v, ast.expr)]
            self._note(node, "arq.Worker()", options, f"class {node.name}")
        inner = self._scope.inner(node.body, known)
        self._visit_in(inner, [*node.decorator_list, *node.body])

    def _visit_in(self, scope: Scope, nodes: Iterable[ast.AST]) -> None:
        outer, self._scope = self._scope, scope
        for each in nodes:
            self.visit(each)
        self._scope = outer

    def visit_Call(self, node: ast.Call) -> None:
        path = self._names.path(node.func, self._scope)
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if path == "celery.Celery.conf.update":
            dicts = [each for each in node.args if isinstance(each, ast.Dict)]
            said = [item for each in dicts for item in items(each)]
            for name, value in (*_options(node), *said):
                found = f"{name}={ast.unparse(value)}"
                self._note(value, f"conf {name}", [("", value)], found)
        elif path:
            self._note(node, f"{path}()", _options(node))
        elif _TELLING.fullmatch(method):
            keys = (f"{owner}.{method}()" for owner in _OWNERS.split())
            any(self._note(node, key, _options(node), certain=False) for key in keys)
        self._visit_within(node)

    def _visit_within(self, node: ast.expr) -> None:
        """Go on behind the name of what is called: that is no mention of it."""
        func = node.func if isinstance(node, ast.Call) else node
        owner = func if isinstance(func, ast.Call) else getattr(func, "value", None)
        if owner is not None:
            self.visit(owner)
        if isinstance(node, ast.Call):
            for each in (*node.args, *node.keywords):
                self.visit(each)

    def visit_Attribute(self, node: ast.expr) -> None:
        if not self._note(node, self._names.path(node, self._scope)):
            self.generic_visit(node)

    visit_Subscript = visit_Attribute

    def visit_Name(self, node: ast.Name) -> None:
        path = self._names.path(node, self._scope)
        if path.endswith(f".{node.id}"):  # not what it was assigned to
            self._note(node, path)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self._note(node, f"or {self._names.path(node, self._scope)}")
        self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> None:
        said = dict(items(node))
        if {"task", "schedule"} <= said.keys():
            self._note(node, "celery.beat()", [("", said["task"])])
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._note(node, f"conf {self._setting(target)}", [("", node.value)])
        self.generic_visit(node)

    def _setting(self, target: ast.expr) -> str:
        """Return a setting as its library calls it; nothing for what may be none."""
        name, module = dotted(target), self._scope.module
        if isinstance(target, ast.Attribute):
            owner = self._names.path(target.value, self._scope)
            return target.attr if owner == "celery.Celery.conf" else ""
        if name.startswith("CELERY"):
            return name.removeprefix("CELERY_").lower()
        return name if name.isupper() or module.endswith("celeryconfig") else ""

    def _note(
        self,
        node: ast.expr | ast.stmt,
        key: str,
        options: Options = (),
        found: str = "",
        *,
        certain: bool = True,
    ) -> bool:
        """Note a place if there is a rule for it; tell whether there is."""
        base = self._names.rules.home(key.removesuffix("()"))
        rule = self._names.rules.find(base + "()" * key.endswith("()"))
        if rule is None or rule.library not in self._used:
            return False
        first = next((value for name, value in options if not name), None)
        called = options if key.endswith("()") else ()
        parts = [(rule, first), *self._parts(base, called)]
        texts = [filled(r.instead, value, node) for r, value in parts if r.instead]
        finding = Finding(
            path=self._path,
            line=node.lineno,
            library=rule.library,
            kind=rule.kind,
            verdict=max((r.verdict for r, _ in parts), key=VERDICTS.index),
            found=found or ast.unparse(node),
            instead="; ".join(dict.fromkeys(texts)),
            why=tuple(dict.fromkeys(r.why for r, _ in parts if r.why)),
            shim=all(r.shim for r, _ in parts),
            certain=certain,
        )
        self.found.add(finding)
        return True

    def _parts(
        self, base: str, options: Options
    ) -> Iterator[tuple[Rule, ast.expr | None]]:
        """Yield the rules of the options that are given, and of those that are not."""
        rules = self._names.rules
        if not base.endswith(_PASSING_ON):
            for name, value in options:
                text = getattr(value, "value", None)
                said = name or ("'name'" if isinstance(text, str) else "")
                written = "[...]" if _is_list(value) else ast.unparse(value)
                if said and (rule := rules.option(base, said, written)):
                    yield rule, value
        given = {name for name, _ in options}
        for name in rules.absent.get(base, ()):
            if name not in given and (rule := rules.find(f"{base}(!{name})")):
                yield rule, None


def _options(node: ast.expr) -> list[tuple[str, ast.expr]]:
    if not isinstance(node, ast.Call):
        return []
    named = [(each.arg or "**", each.value) for each in node.keywords]
    return [*(("", each) for each in node.args[:1]), *named]


def _is_list(value: ast.expr) -> bool:
    return isinstance(value, ast.List | ast.Tuple)
