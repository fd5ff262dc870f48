"""How one attempt of a job ended: one of three values, never a set of flags."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class Succeeded:
    """The task returned."""

    #: The value that it returned, as JSON.
    encoded: bytes

    @property
    def result(self) -> object:
        """Return the value in JSON's own types."""
        return msgspec.json.decode(self.encoded)


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
