"""A call of a task, as a command line spells it: its name, and arguments as JSON."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from headway.app import App
from headway.errors import (
    ArgumentError,
    ConfigurationError,
    TaskNotAllowedError,
    UnknownTaskError,
)
from headway.message import Message
from headway.spelling import meant
from headway.task import DefinedTask

_KEYWORD = re.compile(r"([^\W\d]\w*)=(.*)", re.DOTALL)


def message(
    app: App, name: str, words: Sequence[str], queue: str | None
) -> Message[Any]:
    """Return the call, checked as one that code makes.

    Raises:
        ConfigurationError: there is no such task or queue, or an argument is no JSON.
        ArgumentError: the arguments do not fit the task.
    """
    task = _task(app, name)
    if queue is not None:
        task = task.using(queue=queue)
    args, kwargs = _arguments(words)
    # What does not fit is refused below, in words for one who calls.
    with suppress(ArgumentError):
        # A date, a path or a dataclass is spelled as it travels.
        args, kwargs = task.signature.read(args, kwargs)
    return task.message(*args, **kwargs)


def _task(app: App, name: str) -> DefinedTask[Any, Any]:
    try:
        return app.resolve(name)
    except (UnknownTaskError, TaskNotAllowedError) as error:
        known = app.registry.names()
        same = [each for each in known if each.rpartition(".")[2] == name]
        alike = f"did you mean {same[0]!r}?" if same else meant(name, known).rstrip()
        # What does not import has a cause, and the one to mend.
        if not alike or error.__cause__ is not None:
            raise
        raise ConfigurationError(f"no task {name!r}: {alike}") from error


def _arguments(words: Sequence[str]) -> tuple[list[Any], dict[str, Any]]:
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for word in words:
        if named := _KEYWORD.fullmatch(word):
            kwargs[named[1]] = _read(named[2], f"{named[1]}=")
        else:
            args.append(_read(word))
    return args, kwargs


def _read(text: str, name: str = "") -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        quoted = shlex.quote(name + json.dumps(text, ensure_ascii=False))
        raise ConfigurationError(
            f"argument {name}{text} is no JSON; a text has quotes: {quoted}"
        ) from error
