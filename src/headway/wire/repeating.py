"""What a repeated job keeps of its rule, and how its next run begins.

RQ's own fields, `repeats_left` and `repeat_intervals`, say how often and after how many
whole seconds: any RQ worker repeats such a job, and RQ's tools show it. What RQ has no
place for is in `meta["headway"]["repeat"]`; a job without it is one of RQ's producers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypedDict

from headway.repeat import LONGEST_EVERY

if TYPE_CHECKING:
    from headway.message import Terms
    from headway.wire.job_hash import Extras


class RepeatWire(TypedDict, total=False):
    """A rule as it travels with its job; times in seconds."""

    every: float
    until_failure: bool
    #: A run is not begun when it is late by more.
    expires: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """The rule of a job that was sent by us."""

    #: In seconds.
    every: float
    until_failure: bool
    #: In seconds.
    expires: float | None

    def begin_anew(self, extras: Extras, due: datetime) -> None:
        """Change what is kept of a job so that its next run begins as its first did.

        The reasons of failures stay, and the log until the next run says something:
        they are for a person.
        """
        extras.pop("progress", None)
        extras.pop("checkpoint", None)
        if "log" in extras:
            extras["log_is_old"] = True
        # A person may have run it although it had expired, which is for one run.
        if self.expires is not None:
            extras["expires_at"] = (due + timedelta(seconds=self.expires)).isoformat()


def fields(terms: Terms) -> dict[str, str | int]:
    """Return RQ's own fields of a job that repeats."""
    if terms.repeat is None:
        return {}
    # RQ takes 0 for "at once", and it is no earlier than was asked for.
    seconds = math.ceil(terms.repeat.every.total_seconds())
    return {
        "repeats_left": terms.repeat.times,
        "repeat_intervals": json.dumps([seconds]),
    }


def wire(terms: Terms) -> RepeatWire | None:
    """Return what RQ has no field for."""
    if terms.repeat is None:
        return None
    written = RepeatWire(
        every=terms.repeat.every.total_seconds(),
        until_failure=terms.repeat.until_failure,
    )
    if terms.expires is not None:
        written["expires"] = terms.expires.total_seconds()
    return written


def repeated(extras: Extras) -> Repeated | None:
    """Return the rule of a job, where it has one of ours that can be read."""
    written: Any = extras.get("repeat")
    if not isinstance(written, Mapping):
        return None
    every, expires = _time(written.get("every")), _time(written.get("expires"))
    if every is None:
        return None
    return Repeated(
        every=every,
        until_failure=written.get("until_failure") is True,
        expires=expires,
    )


def _time(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return value if 0 < value <= LONGEST_EVERY.total_seconds() else None
