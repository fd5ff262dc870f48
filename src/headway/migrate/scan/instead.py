"""What is written instead: a rule's text, filled with what stands in the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from headway.migrate.scan.cron_line import cron_line

#: A time as RQ writes it.
_SPAN = re.compile(r"(?i)(\d+)([dhms])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
#: Neither the pattern of a route nor a router.
_QUEUE = re.compile(r"[\w-]+")


def filled(text: str, value: ast.expr | None, node: ast.AST) -> str:
    """Put what stands in the code into what is to be written instead."""
    func = node.func if isinstance(node, ast.Call) else node
    inner = func.value if isinstance(func, ast.Attribute) else func
    owner = inner if isinstance(inner, ast.expr) else ast.Name("f")
    match value:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            pass
        case ast.Constant(value=str(path)):
            name = path.rpartition(".")[2]
        case _:
            name = "f"
    if value and "timedelta" in (span := _timespan(value)):
        text = re.sub(r"timedelta\(\w+=\{\}\)", lambda _: span, text)
    words = {
        "{f}": _owner(owner),
        "{task}": _owner(_task_of(owner)),
        "{call}": _short(func),
        "{name}": name,
        "{cron}": cron_line(node),
        "{arq cron}": cron_line(node, by_arq=True),
        "{queues}": ", ".join(f"Queue({each!r})" for each in _queues(value)) or "...",
        "{}": _short(value) if value else "...",
    }
    for word, written in words.items():
        text = text.replace(word, written)
    return text


def _owner(node: ast.expr) -> str:
    """Return what has an attribute, in brackets where it needs them."""
    text = ast.unparse(ast.Attribute(value=node, attr="", ctx=ast.Load()))[:-1]
    return text if len(text) < 50 else "..."  # noqa: PLR2004 - too long to repeat


def _task_of(node: ast.expr) -> ast.expr:
    """Return the task of a signature, where that is made on the spot."""
    found: ast.expr = ast.Name("f")
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        found = node = node.func.value
    return ast.Name("f") if isinstance(found, ast.Call) else found


def _timespan(value: ast.expr) -> str:
    """Return a value; RQ's "1h" as a timedelta."""
    text = str(getattr(value, "value", ""))
    if isinstance(value, ast.Constant) and (span := _SPAN.fullmatch(text)):
        return f"timedelta({_UNITS[span[2].lower()]}={span[1]})"
    return _short(value)


def _queues(value: ast.AST | None) -> list[str]:
    """Return the queues that Celery's routes or list of queues name."""
    match value:
        case ast.Constant(value=str(name)):
            return [name] if _QUEUE.fullmatch(name) else []
        case ast.Call(args=[first, *_]):
            return _queues(first)
        case ast.Call(keywords=keywords):
            return [q for k in keywords if k.arg == "name" for q in _queues(k.value)]
        case ast.Dict():
            said = dict(items(value))
            is_route = bool(said.keys() & {"queue", "exchange", "routing_key"})
            routes = [said.get("queue")] if is_route else [*said.values()]
            return list(dict.fromkeys(q for each in routes for q in _queues(each)))
        case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
            return list(dict.fromkeys(q for each in parts for q in _queues(each)))
        case _:
            return []


def _short(node: ast.AST) -> str:
    text = ast.unparse(node)
    return text if len(text) < 50 else "..."  # noqa: PLR2004 - too long to repeat


def items(node: ast.Dict) -> Iterator[tuple[str, ast.expr]]:
    """Yield what a dict has under names that are written out."""
    for key, value in zip(node.keys, node.values, strict=True):
        if isinstance(key, ast.Constant):
            yield str(key.value), value
