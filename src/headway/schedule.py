"""What runs by itself: a message and when to send it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from headway.errors import ConfigurationError
from headway.message import Message
from headway.options import JOB_ID
from headway.timing import Timing


@dataclass(frozen=True, slots=True)
class Schedule:
    """A message that is sent by itself at the moments of a timing."""

    name: str
    timing: Timing
    message: Message[Any]

    def __post_init__(self) -> None:
        """Refuse a name that could not be part of a job's id, and options of no use.

        Raises:
            ConfigurationError: naming it.
        """
        if not JOB_ID.fullmatch(self.name):
            raise ConfigurationError(
                f"Schedule({self.name!r}): expected letters, digits, _ and - only"
            )
        # The jobs of a schedule bear an id and a unique key made from their tick.
        options = self.message.options
        if options.get("unique") or "job_id" in options:
            raise ConfigurationError(
                f"Schedule({self.name!r}): each tick has a job_id and a unique key of "
                f"its own; send {self.message.task} without: "
                ".using(unique=False).message(...), and no job_id"
            )

    def job_id(self, tick: datetime) -> str:
        """Return the id of the one job of a tick, whoever sends it."""
        return f"cron-{self.name}-{tick.astimezone(UTC):%Y%m%dT%H%M%SZ}"
