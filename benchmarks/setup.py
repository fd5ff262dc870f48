"""How a contestant's workers are started, and in which scenarios."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """One way to run the workers of a peer."""

    name: str
    #: A program of the peer's environment and its arguments.
    command: tuple[str, ...]
    #: What its author would want to know, for the table.
    settings: str
    #: drain live latency schedule threads asyncio mixed cpu memory scale overhead
    uses: tuple[str, ...]
    #: How often the command is started.
    copies: int = 1
    #: The processes that run tasks, all copies together.
    processes: int = 1
    #: Whether every job has a process of its own.
    forks: bool = False
    #: The part of the jobs that a slow one gets; its times are scaled to all jobs.
    share: float = 1.0
    #: Of a scheduler: where it keeps its jobs, and the key that is there when it is up.
    scheduled: str = ""
    signs_in: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
