"""Values as Celery's JSON has them: no annotation is asked, a type travels along."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from headway.errors import ArgumentError

#: A datetime is a date as well: the first that fits is taken.
_WRITE: dict[type, tuple[str, Callable[[Any], object]]] = {
    datetime: ("datetime", datetime.isoformat),
    date: ("date", date.isoformat),
    time: ("time", time.isoformat),
    Decimal: ("decimal", str),
    UUID: ("uuid", lambda value: {"hex": value.hex}),
}
_READ: dict[str, Callable[[Any], object]] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "decimal": Decimal,
    "uuid": lambda value: UUID(**value),
    "bytes": str.encode,
    "base64": base64.b64decode,
}


def written(value: object, owner: str) -> Any:
    """Return a value in JSON's own types, tuples as lists.

    Raises:
        ArgumentError: it has no form there.
    """
    try:
        return json.loads(json.dumps(value, default=_write))
    except (TypeError, ValueError, RecursionError) as error:
        raise ArgumentError(
            f"{owner}: {value!r:.80} cannot be sent: {error}"
        ) from error


def read(value: Any) -> Any:
    """Return what `written` was given, tuples as lists."""
    if isinstance(value, list):
        return [read(each) for each in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"__type__", "__value__"} and value["__type__"] in _READ:
        return _READ[value["__type__"]](value["__value__"])
    return {key: read(each) for key, each in value.items()}


def _write(value: object) -> object:
    if isinstance(value, bytes):
        try:
            return _typed("bytes", value.decode())
        except UnicodeDecodeError:
            return _typed("base64", base64.b64encode(value).decode())
    for kind, (name, write) in _WRITE.items():
        if isinstance(value, kind):
            return _typed(name, write(value))
    if (own := getattr(value, "__json__", None)) is not None:
        return own()
    raise TypeError(f"{type(value).__qualname__} has no form in JSON")


def _typed(name: str, value: object) -> dict[str, object]:
    return {"__type__": name, "__value__": value}
