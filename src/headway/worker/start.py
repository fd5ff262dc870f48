"""What one life of a child begins with."""

from __future__ import annotations

from dataclasses import dataclass

from headway.lease import Holder
from headway.worker.aftermath import Aftermath
from headway.worker.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a child is told when it begins."""

    plan: Plan
    holder: Holder
    #: Jobs of its predecessor whose outcome needs the application to be written.
    aftermath: tuple[Aftermath, ...] = ()
    #: How many jobs it may run; None for any number.
    jobs: int | None = None
    #: RQ's registries are to be tended before anything else.
    maintain: bool = False
    #: Deferred jobs that wait for nobody are to be enqueued before anything else.
    enqueue_met: bool = False
    #: The first child speaks for all where all would say the same.
    is_first: bool = False
    #: It serves queues of a device, which a job can break for all that follow.
    has_device: bool = False
