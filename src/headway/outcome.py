"""How one attempt of a job ended: one of three values, never a set of flags."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Succeeded:
    """The task returned; `result` is its value in JSON's own types."""

    result: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """The task raised, and its rule gives it another attempt."""

    error: BaseException
    delay: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The task raised for the last time."""

    error: BaseException


Outcome = Succeeded | Retried | Failed
