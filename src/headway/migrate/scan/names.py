"""What names stand for, in one file and through imports into others.

What is known of a value is the dotted path of its class: `q` is `rq.Queue` after
`q = Queue()`, and `q.enqueue` is `rq.Queue.enqueue`. A function that a library has made
a task is `celery.Task`, wherever it is imported. Nothing is run, so what is decided
at run time is not known.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

from headway.migrate.scan.rules import Rules

Function = ast.FunctionDef | ast.AsyncFunctionDef
#: Names are followed that far; one that is made of itself has no end.
_FAR = 40
#: What a name is bound to: a node; a module that is imported, and what of it (nothing:
#: all of it); or a path that is known already.
Binding = ast.AST | tuple[str, str] | str
Bindings = Mapping[str, Binding]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scope:
    """The names of a module, a class or a function."""

    #: The dotted name of the module's file; a package's ends with `__init__`.
    module: str
    names: Bindings = field(default_factory=dict)
    outer: Scope | None = None

    def inner(self, body: Iterable[ast.AST], more: Bindings | None = None) -> Scope:
        """Return the scope of what stands within."""
        names = {**dict(bound(body, self)), **(more or {})}
        return Scope(module=self.module, names=names, outer=self)

    def find(self, name: str) -> tuple[Binding, Scope] | None:
        """Return what a name is bound to, and where."""
        if name in self.names:
            return self.names[name], self
        return self.outer.find(name) if self.outer else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """A function or class of the code that is read; without a node, a module."""

    scope: Scope
    node: ast.AST | None = None


def statements(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield what runs in one scope, in order."""
    for node in body:
        yield node
        if not isinstance(node, Function | ast.ClassDef):
            for part in ("body", "handlers", "orelse", "finalbody", "cases"):
                if isinstance(inner := getattr(node, part, None), list):
                    yield from statements(inner)


def bound(body: Iterable[ast.AST], scope: Scope) -> Iterator[tuple[str, Binding]]:
    """Yield the names that are bound in one scope; `self.queue` is one, too."""
    for node in statements(body):
        match node:
            case ast.Import(names=aliases):
                for each in aliases:
                    name = each.asname or each.name.partition(".")[0]
                    yield name, (each.name if each.asname else name, "")
            case ast.ImportFrom(names=aliases):
                module = _absolute(node, scope)
                for each in aliases:
                    is_all = each.name == "*"
                    name = f"*{module}" if is_all else each.asname or each.name
                    yield name, (module, each.name)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name, node
            case ast.Assign(targets=targets, value=value):
                yield from ((dotted(each), value) for each in targets)
            case ast.AnnAssign(target=target, value=value, annotation=annotation):
                yield dotted(target), value or annotation
            case _:
                pass


def dotted(node: ast.expr) -> str:
    """Return names with dots between as they are written; nothing for others."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name) if owner := dotted(value):
            return f"{owner}.{name}"
        case _:
            return ""


def _absolute(node: ast.ImportFrom, scope: Scope) -> str:
    if not node.level:
        return node.module or ""
    kept = scope.module.split(".")[: -node.level]
    return ".".join([*kept, *filter(None, [node.module])])


class Names:
    """Finds out what an expression stands for."""

    def __init__(
        self, rules: Rules, module: Callable[[str, str], Scope | None]
    ) -> None:
        self.rules = rules
        #: Finds a module of the tree by its name and that of the importer.
        self._module = module
        self._stars = cache(self._all_from)

    def path(self, node: ast.AST, scope: Scope) -> str:
        """Return the path of what is a library's; nothing for what is not."""
        return self._known(self._target(node, scope, 0))

    def decorator(self, node: ast.expr, scope: Scope) -> str:
        """Return the path of a decorator; what wraps one is as good."""
        return self._known(self._decorator(node, scope, 0))

    def _known(self, found: str | Own | None) -> str:
        path = found if isinstance(found, str) else ""
        return path if path.partition(".")[0] in self.rules.libraries else ""

    def _target(  # noqa: C901, PLR0911, PLR0912 - a table of kinds of nodes
        self, node: ast.AST | None, scope: Scope, far: int
    ) -> str | Own | None:
        """Return what an expression, or the node that binds a name, stands for."""
        if far > _FAR:
            return None
        far += 1
        match node:
            case ast.Name(id=name):
                return self._named(name, scope, far)
            case ast.Attribute(value=value, attr=name):
                known = self._named(dotted(node), scope, far)
                return known or self._of(self._target(value, scope, far), name, far)
            case ast.Call(func=func, args=args):
                target = self._target(func, scope, far)
                if target == "functools.partial" and args:
                    return self._target(args[0], scope, far)
                return self._called(target, far)
            case ast.Subscript(value=value, slice=ast.Constant(value=str(key))):
                if self._target(value, scope, far) == "arq.ctx":
                    return self.rules.home(f"arq.ctx[{key}]")
                return None
            case ast.Await(value=value) | ast.NamedExpr(value=value):
                return self._target(value, scope, far)
            case ast.BinOp(left=left, op=ast.BitOr()):
                path = self._target(left, scope, far)
                return self.rules.joined(path) if isinstance(path, str) else path
            case ast.Constant(value=str(text)) if text.isidentifier():
                return self._named(text, scope, far)  # an annotation
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                for each in node.decorator_list:
                    path = self._decorator(each, scope, far)
                    if path and self.rules.decorates(path):
                        return self.rules.given_by(path)
                return Own(scope=scope, node=node)
            case ast.ClassDef(bases=bases):
                return self._first(bases, scope, far) or Own(scope=scope, node=node)
            case _:
                return None

    def _named(self, name: str, scope: Scope, far: int) -> str | Own | None:
        match scope.find(name) if name and far < _FAR else None:
            case str(path), _:
                return path
            case (str(module), str(attribute)), where:
                if own := self._module(module, where.module):
                    target: str | Own = Own(scope=own)
                elif own := self._module(f"{module}.{attribute}", where.module):
                    return Own(scope=own)
                else:
                    target = self.rules.home(module)
                return self._of(target, attribute, far + 1) if attribute else target
            case ast.AST() as node, where:
                return self._target(node, where, far)
            case _:
                return self._of_all(name, scope, far + 1)

    def _of_all(self, name: str, scope: Scope, far: int) -> str | Own | None:
        """Return what a name stands for that came by `from ... import *`."""
        while scope.outer and scope.outer.outer:  # the outermost is empty
            scope = scope.outer
        seen, waiting = {scope.module}, list(self._stars(scope))
        for each in waiting:
            if name in each.names:
                return self._named(name, each, far)
            if each.module not in seen:
                seen.add(each.module)
                waiting += self._stars(each)
        return None

    def _all_from(self, scope: Scope) -> list[Scope]:
        """Return the modules of this tree of which one imports all names."""
        stars = [name[1:] for name in scope.names if name.startswith("*")]
        found = (self._module(name, scope.module) for name in stars)
        return [each for each in found if each]

    def _of(self, target: str | Own | None, name: str, far: int) -> str | Own | None:
        """Return what an attribute stands for."""
        match target:
            case str(path):
                return self.rules.home(f"{path}.{name}")
            case Own(scope=scope, node=None) if name in scope.names:
                return self._named(name, scope, far)
            case Own(scope=scope, node=None):
                package = scope.module.removesuffix(".__init__")
                own = self._module(f"{package}.{name}", scope.module)
                return Own(scope=own) if own else None
            case _:
                return None

    def _called(self, target: str | Own | None, far: int) -> str | Own | None:
        """Return what a call gives."""
        if isinstance(target, str):
            return self.rules.given_by(target)
        if target is None or not isinstance(target.node, Function):
            return None
        node, inside = target.node, target.scope.inner(target.node.body)
        ends = [each for each in statements(node.body) if isinstance(each, ast.Return)]
        return self._first((node.returns, *(each.value for each in ends)), inside, far)

    def _first(
        self, nodes: Iterable[ast.AST | None], scope: Scope, far: int
    ) -> str | None:
        targets = (self._known(self._target(each, scope, far)) for each in nodes)
        return next(filter(None, targets), None)

    def _decorator(self, node: ast.expr, scope: Scope, far: int) -> str | None:
        func = node.func if isinstance(node, ast.Call) else node
        target = self._target(func, scope, far + 1)
        if not isinstance(target, Own) or not isinstance(target.node, Function):
            return target if isinstance(target, str) else None
        inside = target.scope.inner(target.node.body)
        for call in ast.walk(ast.Module(target.node.body, [])):
            if isinstance(call, ast.Call) and far < _FAR:
                path = self._target(call.func, inside, far + 1)
                if isinstance(path, str) and self.rules.decorates(path):
                    return path
        return None
