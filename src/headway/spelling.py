"""How what was not understood is written instead, ready to be copied."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from difflib import get_close_matches


def meant(name: str, there: Iterable[str]) -> str:
    """Return a question that names what is spelled alike, or nothing."""
    alike = get_close_matches(name, list(there), n=1)
    return f"did you mean {alike[0]!r}? " if alike else ""


def respelled(value: object, *, as_: type[timedelta | datetime]) -> str:
    """Return the line to write where one can be told; else nothing."""
    if as_ is timedelta:
        return _span(value)
    return _moment(value)


def _span(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return f"timedelta(seconds={value})"
    return ""


def _moment(value: object) -> str:
    if isinstance(value, str):
        return _read(value)
    if isinstance(value, datetime) and value.utcoffset() is None:
        return _aware(value)
    return ""


def _read(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return ""
    return _moment(moment) or f"datetime.fromisoformat({text!r})"


def _aware(naive: datetime) -> str:
    call = re.sub(r"^.*?\(", "datetime(", repr(naive.replace(tzinfo=None)))[:-1]
    local, utc = f'{call}, tzinfo=ZoneInfo("Europe/Oslo"))', f"{call}, tzinfo=UTC)"
    return f"{local} for the time in a place, or {utc}"
