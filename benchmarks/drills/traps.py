"""Exact points at which a child ends itself, as `kill -9` would.

The product knows nothing of them. Each is a method of a child's, replaced in the
drill's own processes; a job's id says at which point it is to cost its child, and how
often. What it has cost already is in the ledger, since the process that knew is gone.
"""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks.drills.ledger import Ledger
from benchmarks.drills.points import is_due
from headway.wire.fence import FencedPipeline
from headway.worker.one_at_a_time import OneAtATime
from headway.worker.slot import Slot
from headway.worker.supply import Supply

LEDGER = Ledger.of_environment()


class Call(NamedTuple):
    """One call of a method, as a step beside it sees it."""

    owner: Any
    args: Any
    #: It is the transaction that ends a job, and was that before it was run.
    commits: bool
    answer: Any = None


Step = Callable[[Call], object]

#: What this process runs, and what it has noted and not yet sent.
_running: list[str] = ["-"]
_noted: list[str] = []


def spring(point: str, job_id: str) -> None:
    """End this process, if that is the job's point and it has not had its times."""
    times = is_due(job_id, point)
    if times and LEDGER.strikes_of(job_id) < times:
        LEDGER.write("strike", job_id)
        os.kill(os.getpid(), signal.SIGKILL)


def set_up() -> None:
    """Put the points between the steps of a child: some before, some after a method."""
    _around(Supply, "take", after=_taken)
    _around(OneAtATime, "_is_run", before=_run)
    _around(Slot, "begin", before=_spring_running("held"))
    _around(Slot, "begin", after=_spring_running("begun"))
    _around(Supply, "acknowledge", before=_note, after=_spring_noted("noted"))
    _around(Slot, "clear_notes", before=_spring_noted("sent"))
    _around(Slot, "clear_notes", after=_cleared)
    _around(
        FencedPipeline,
        "execute",
        before=_spring_commit("before_commit"),
        after=_spring_commit("after_commit"),
    )


def _nothing(_call: Call) -> None:
    """Leave that side of the method as it is."""


def _around(
    owner: type, name: str, *, before: Step = _nothing, after: Step = _nothing
) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def method(*args: object, **kwargs: object) -> object:
        call = Call(args[0], args[1:], commits=getattr(args[0], "_commits", False))
        before(call)
        answer = original(*args, **kwargs)
        after(call._replace(answer=answer))
        return answer

    setattr(owner, name, method)


def _taken(call: Call) -> None:
    for lease in call.answer:
        spring("reserved", lease.job_id)


def _run(call: Call) -> None:
    _running[0] = call.args[0].job_id


def _note(call: Call) -> None:
    spring("returned", call.args[0].job_id)
    _noted.append(call.args[0].job_id)


def _cleared(call: Call) -> None:
    _spring_noted("cleared")(call)
    _noted.clear()


def _spring_running(point: str) -> Step:
    return lambda _call: spring(point, _running[0])


def _spring_noted(point: str) -> Step:
    return lambda _call: [spring(point, job_id) for job_id in _noted]


def _spring_commit(point: str) -> Step:
    def step(call: Call) -> None:
        if call.commits:
            spring(point, call.owner.owner.lease.job_id)

    return step
