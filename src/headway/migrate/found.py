from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from headway.message import Message
from headway.schedule import Schedule

_OTHERS = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A schedule of another tool, and what it is here."""

    #: As the other tool calls it.
    name: str
    task: str
    #: When it is due, in words.
    when: str
    #: A message is a delayed job that runs once; None cannot be carried over.
    carried: Schedule | Message[Any] | None = None
    #: What was done: "made", "changed" or "as before"; empty for nothing.
    done: str = ""
    #: Why that is so, or what is otherwise here: a line each.
    notes: tuple[str, ...] = ()


def name_for(text: str, taken: Collection[str]) -> str:
    """Return a name that a schedule can have and none of the others has."""
    name = wanted = _OTHERS.sub("-", text).strip("-") or "schedule"
    number = 1
    while name in taken:
        number += 1
        name = f"{wanted}-{number}"
    return name
