"""What the store does for a worker; an application asks a `Backend`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from headway.lease import Holder, Recovered, Served, Turn


class ChildBroker(Protocol):
    """What the store does for a child, which runs jobs."""

    def reserve(
        self,
        wanted: int,
        order: tuple[Served, ...],
        acknowledging: bytes,
        count: int,
        *,
        wait: float,
    ) -> Turn:
        """Acknowledge what is done and take jobs, in one round trip, or wait for them.

        Raises:
            ConnectionError: the answer was lost; `held` tells what was done.
        """
        ...

    def wait(self, seconds: float) -> None:
        """Return when there may be jobs, or when the seconds are over.

        Raises:
            ConnectionError: the store is away.
        """
        ...

    def release(self, jobs: Sequence[tuple[str, int]]) -> None:
        """Give jobs back unrun, by id and ordinal in the order of their reservation.

        Raises:
            ConnectionError: the answer was lost; it may be asked again.
        """
        ...

    def held(self) -> dict[str, int]:
        """Return the ordinals of the jobs that the lease names, by id.

        Raises:
            ConnectionError: the store is away.
        """
        ...


class SupervisorBroker(Protocol):
    """What the store does for a supervisor, which answers for its children."""

    def acknowledge(self, holder: Holder, packed: bytes, count: int) -> None:
        """Write what a child has done and cannot say itself."""
        ...

    def release(self, holder: Holder, ordinals: Sequence[int]) -> list[str]:
        """Give back jobs that a child has not begun; return their ids."""
        ...

    def renew(self, children: Sequence[str]) -> list[str]:
        """Prolong the leases of children; return those that hold none any more."""
        ...

    def recover(
        self,
        holder: Holder,
        *,
        begun: Sequence[int],
        kept: Sequence[int],
        reason: str,
        now: float,
        crash_limit: int,
    ) -> list[Recovered]:
        """Give back what a dead child held but `kept`; `begun` have crashed it."""
        ...

    def recover_late(
        self, *, reason: str, now: float, crash_limit: int
    ) -> list[Recovered]:
        """Give back what is held by children whose lease has run out."""
        ...

    def nudge(self) -> None:
        """Wake an idle worker for jobs that came without a wake-up."""
        ...
