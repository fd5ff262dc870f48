"""What a worker is to do, settled before it starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from headway.lease import Served

Order = Literal["default", "round_robin", "random", "weighted"]
ORDERS: tuple[Order, ...] = ("default", "round_robin", "random", "weighted")

#: How many workers a job may end before it is failed.
CRASH_LIMIT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a worker, or a child of it, has done enough."""

    burst: bool = False
    #: Jobs of the whole worker.
    jobs: int | None = None
    idle: timedelta | None = None
    jobs_per_child: int | None = None
    #: In mebibytes of resident memory at its highest.
    memory_per_child: int | None = None
    #: A child that has more mebibytes is ended, whatever it runs.
    memory_limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What every child of a worker is told."""

    #: The application, as `module:attribute`.
    app: str
    name: str
    queues: tuple[Served, ...]
    order: Order = "default"
    #: Plain tasks that run at once in a child; 1 is the main thread alone.
    threads: int = 1
    #: `async def` tasks that run at once in a child.
    concurrency: int = 1
    lease: timedelta = timedelta(seconds=30)
    limits: Limits = field(default_factory=Limits)
    #: What `rq worker` would hand to its own worker: result ttl, exception handlers.
    rq_options: dict[str, Any] = field(default_factory=dict[str, Any])
    #: Each job's begin and end as a log line.
    log_events: bool = False

    @property
    def runs_many(self) -> bool:
        """Tell whether a child runs more than one job at once."""
        return self.threads > 1 or self.concurrency > 1
