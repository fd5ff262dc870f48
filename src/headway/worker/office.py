"""What all duties of a supervisor share."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from headway.broker import SupervisorBroker
from headway.clock import Clock
from headway.worker.contact import Contact
from headway.worker.identity import Identity
from headway.worker.plan import Plan

if TYPE_CHECKING:
    from redis import Redis


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """The plan, the store, and the time."""

    plan: Plan
    client: Redis
    broker: SupervisorBroker
    contact: Contact
    clock: Clock
    #: This process, as others of this machine can tell whether it lives.
    identity: Identity
    _next: dict[str, float] = field(default_factory=dict[str, float])

    @property
    def now(self) -> float:
        """Return the monotonic second."""
        return self.clock.monotonic()

    @property
    def seconds(self) -> float:
        """Return the seconds since 1970."""
        return self.clock.now().timestamp()

    @property
    def lease(self) -> float:
        """Return how long a lease is, in seconds."""
        return self.plan.lease.total_seconds()

    def is_due(self, duty: str, every: float) -> bool:
        """Tell whether a duty's time has come; the next is then about that far."""
        now = self.now
        if now < self._next.get(duty, 0.0):
            return False
        # Workers that were started together need not ask together.
        self._next[duty] = now + every * random.uniform(0.9, 1.0)  # noqa: S311 - no secret
        return True

    def put_off(self, duty: str, seconds: float) -> None:
        """Have a duty's time come after that, and not at once."""
        self._next[duty] = self.now + seconds
