from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NoReturn


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledJob:
    """A schedule or a delayed job, with what rq-scheduler's users ask of a job."""

    id: str
    func_name: str
    args: tuple[object, ...]
    kwargs: Mapping[str, object]
    #: The name of its queue; empty where the task says it.
    origin: str
    #: When it is due next.
    due: datetime
    description: str = ""
    #: Its `cron_string`, or its `interval`.
    meta: Mapping[str, object] = field(default_factory=dict[str, object])
    cancel_by: Callable[[object], None] = field(repr=False, compare=False)

    def get_id(self) -> str:
        """Return its id."""
        return self.id

    def cancel(self) -> None:
        """Send it no more."""
        self.cancel_by(self)

    def delete(self) -> None:
        """Send it no more."""
        self.cancel_by(self)

    def __getattr__(self, name: str) -> NoReturn:
        """Say what to ask instead.

        Raises:
            AttributeError: always.
        """
        raise AttributeError(
            f"a scheduled job has no {name!r} here: ask app.job(id), or "
            "app.schedules.get(id); see docs/how-to/from-rq-scheduler.md"
        )
