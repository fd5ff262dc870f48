"""The right to run one job for a while."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple


# A NamedTuple and not a dataclass: one is made for each job of the fastest path.
class Lease(NamedTuple):
    """A reserved job, with what is needed to run it as the store wrote it."""

    job_id: str
    #: Its number among all jobs that its child was given; names the execution.
    ordinal: int
    #: How often the job was given to a worker, this time included.
    delivery: int
    queue: str
    data: bytes
    #: In seconds; empty where the job does not say.
    timeout: bytes
    #: In seconds; empty where the job does not say.
    result_ttl: bytes
    meta: bytes
    #: How many attempts of it have failed before; empty for none.
    retried: bytes
    #: All fields of a job that only RQ's own code can finish; else empty.
    fields: dict[bytes, bytes]


class Turn(NamedTuple):
    """What came of one acknowledgement and one reservation, made together."""

    leases: list[Lease]
    suspended: bool = False
    #: Ids whose results were refused: others run these jobs now.
    lost: tuple[str, ...] = ()
    #: Ids that others wait for: not written yet, RQ's own code has to.
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Whose leases they are: one child of one worker, in one life."""

    #: Never used again: a later life of the same child has another.
    child: str
    #: Name of the rq worker it appears as.
    worker: str
    #: How the ids of its executions begin; 16 hexadecimal digits.
    execution_prefix: str

    @classmethod
    def of(cls, child: str) -> Holder:
        """Return the holder of that name."""
        worker, _, prefix = child.rpartition(":")
        return cls(child=child, worker=worker, execution_prefix=prefix)

    def execution_id(self, ordinal: int) -> str:
        """Return the id of the execution that an ordinal numbers."""
        return f"{self.execution_prefix}{ordinal:016x}"


class Leased(NamedTuple):
    """One job in one lease: what is needed to end it, and no more."""

    holder: Holder
    job_id: str
    ordinal: int
    queue: str


#: How a holder came to its end: by itself; by us, for no fault of what it had begun; or
#: nobody knows, but that its lease has run out.
Gone = Literal["dead", "ended", "late"]


class Recovered(NamedTuple):
    """What became of an orphan."""

    leased: Leased
    #: "requeued"; "left" in its lease, for the application to decide; "broken off", and
    #: left as well; or "gone" where it had ended or was deleted.
    fate: str
    #: How many workers it has ended.
    crashes: int

    @property
    def told(self) -> str:
        """Return its fate in words for a person."""
        is_left = self.fate in ("left", "broken off")
        return "not given to another" if is_left else self.fate


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A queue as a worker serves it."""

    name: str
    #: How many of its jobs a child may hold.
    prefetch: int
    #: Its chance among others, where the order is by weight.
    weight: int = 1
