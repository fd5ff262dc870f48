"""Workers that stand still: the whole process, or all its threads but one."""

from __future__ import annotations

import functools
import signal
import time
from collections.abc import Callable

from benchmarks.drills.crew import strike
from benchmarks.drills.trial import Trial

#: How long the interpreter's lock is held, in leases.
_HELD = 3


def freeze(trial: Trial, *, lease: int) -> None:
    """Stop all processes of a worker beyond its lease, and let them go on then."""
    trial.use_queues(2)
    trial.lease = lease
    trial.load.short, trial.load.share_of_long = (20.0, 200.0), 0.1
    frozen = trial.crew(host=trial.dice.choice(("here", "other")))
    trial.crew()
    trial.warm_up()
    trial.work(trial.dice.uniform(0.1, 0.6))
    family = frozen.tree()
    strike(family, signal.SIGSTOP)
    trial.struck([process.pid for process in family])
    until = time.monotonic() + lease * trial.dice.uniform(1.2, 2.0)
    while time.monotonic() < until:
        trial.work(0.2)
    strike(family[::-1], signal.SIGCONT)
    trial.work(1.0)


def hold_the_interpreter(trial: Trial, *, lease: int) -> None:
    """Run jobs that keep the interpreter's lock for leases; another worker is there."""
    trial.use_queues(1)
    trial.lease = lease
    holding = trial.crew(host=trial.dice.choice(("here", "other")))
    trial.crew()
    trial.warm_up()
    trial.load.send("hold_the_interpreter", lease * _HELD * 1000.0)
    trial.work(trial.dice.uniform(1.0, 2.0))
    trial.struck([process.pid for process in holding.tree()])


def freezes(lease: int) -> Callable[[Trial], None]:
    """Return the drill for that lease, in seconds."""
    return functools.partial(freeze, lease=lease)


def holds(lease: int) -> Callable[[Trial], None]:
    """Return the drill for that lease, in seconds."""
    return functools.partial(hold_the_interpreter, lease=lease)
