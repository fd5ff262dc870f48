"""Workers that stand still: the whole process, or all its threads but one."""

from __future__ import annotations

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
    trial.freeze(frozen, lease * trial.dice.uniform(1.2, 2.0))
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
    trial.struck(holding.pids())
