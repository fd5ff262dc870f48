"""What the store does for a worker; an application asks a `Backend`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from headway.lease import Gone, Holder, Lease, Leased, Recovered, Served, Turn


class ChildBroker(Protocol):
    """What the store does for a child, which runs jobs."""

    def reserve(
        self,
        wanted: int,
        order: tuple[Served, ...],
        notes: bytes = b"",
        *,
        wait: float = 0.0,
    ) -> Turn:
        """Acknowledge what is noted and take jobs, in one round trip, or wait for them.

        Raises:
            ConnectionError: the answer was lost; `resume` tells what was done.
        """
        ...

    def success(
        self,
        lease: Lease,
        *,
        ttl: int,
        value: bytes,
        began: float,
        ended: float,
        shown: bool,
    ) -> bytes:
        """Return the acknowledgement of a job that returned, to be noted.

        `value` is what it returned as JSON, empty for None; times are seconds since
        1970.
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

    def resume(self) -> dict[str, int]:
        """Give up what was asked before; return the ordinals of what is held, by id.

        Raises:
            ConnectionError: the answer was lost; it may be asked again.
        """
        ...


class SupervisorBroker(Protocol):
    """What the store does for a supervisor, which answers for its children."""

    def acknowledge(self, holder: Holder, notes: bytes) -> list[str]:
        """Write what a child has noted; return those that others wait for, as is."""
        ...

    def release(self, holder: Holder, ordinals: Sequence[int]) -> list[str]:
        """Give back jobs that a child has not begun; return their ids."""
        ...

    def held(self, holder: Holder) -> dict[int, tuple[str, str]]:
        """Return id and queue of the jobs that a child holds, by ordinal."""
        ...

    def show(
        self, holder: Holder, begun: Sequence[tuple[int, float]], now: float
    ) -> None:
        """Show running jobs in RQ's registries, by ordinal and second of begin."""
        ...

    def renew(self, children: Sequence[str]) -> list[str]:
        """Prolong the leases of children; return those that others have recovered."""
        ...

    def sign(self, children: Sequence[str], process: str, machine: str) -> None:
        """Write down which process, on which machine, answers for children."""
        ...

    def neighbours(self, machine: str) -> list[tuple[Holder, str]]:
        """Return the holders of leases on a machine, each with its process."""
        ...

    def late(self) -> list[tuple[Holder, str]]:
        """Return the holders whose lease has run out, each with its process."""
        ...

    def forget(self, holder: Holder, machine: str) -> None:
        """Forget a holder that is gone, and of whose jobs none is left."""
        ...

    def unregister(self, worker: str, process: str) -> None:
        """Take the record of a worker that is gone out of the lists of workers."""
        ...

    def recover(
        self,
        holder: Holder,
        *,
        begun: Sequence[int] | None,
        story: str,
        crash_limit: int,
        kept: Sequence[int] = (),
        gone: Gone = "dead",
    ) -> list[Recovered]:
        """Give back what a holder has but `kept`; those it had begun have crashed it.

        Where nobody knows which these are, it is all of them. Where it was ended, they
        have not crashed it. What may not run twice is left to the application.
        """
        ...

    def bury(self, leased: Leased, *, reason: str, now: float) -> None:
        """Put a job that nobody can end otherwise among the failed ones."""
        ...

    def misused(self) -> dict[str, str]:
        """Return the queues whose key holds something else than jobs, and what."""
        ...

    def nudge(self) -> None:
        """Wake an idle worker for jobs that came without a wake-up."""
        ...
