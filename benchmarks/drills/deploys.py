"""SIGTERM, as platforms send it at each deploy, in the forms that they have."""

from __future__ import annotations

import signal
import time

from benchmarks.drills.crew import Crew
from benchmarks.drills.trial import Trial
from benchmarks.fleet import strike

#: To the parent alone; to all processes, as Heroku does; more than once.
FORMS = ("parent", "all", "twice", "all twice")
#: Seconds that running jobs have to end; most are short, some take seconds.
GRACES = (0, 1, 2, 4)
#: How long beyond the grace a platform is to wait until it kills, in seconds.
_PLATFORM = 4.0
_OLD = "old"


def deploy(trial: Trial) -> None:
    """Tell workers to stop while others are started, and see what they leave."""
    trial.use_queues(trial.dice.choice((1, 2, 4)))
    trial.load.long, trial.load.share_of_long = (500.0, 4000.0), 0.15
    grace = trial.dice.choice(GRACES)
    options = () if trial.is_stock else ("--name", _OLD)
    old = trial.crew(is_kept=False, grace=grace, options=options)
    trial.warm_up()
    trial.work(trial.dice.uniform(0.0, 1.0))
    is_rolling = trial.dice.random() < 0.5  # noqa: PLR2004 - one of two
    if is_rolling:
        trial.crew()
    family, grace_ends_at = old.tree(), time.monotonic() + grace
    _tell(trial, old)
    while not _has_ended(old) and time.monotonic() < grace_ends_at + _PLATFORM:
        trial.work(0.02)
    in_time = _has_ended(old)
    strike(old.tree(), signal.SIGKILL)
    trial.ended(family, min(grace_ends_at, time.monotonic()))
    if not in_time:
        trial.problems.append(f"it did not end within its grace of {grace} s")
    elif any(old.codes(0.0)):
        trial.problems.append(f"it ended with {old.codes(0.0)}")
    if not trial.is_stock:
        _see_that_nothing_is_held(trial)
    if not is_rolling:
        trial.crew()
    trial.work(0.3)


def _tell(trial: Trial, old: Crew) -> None:
    form = trial.dice.choice(FORMS)
    everyone = old.tree() if form.startswith("all") else old.parents()
    strike(everyone, signal.SIGTERM)
    if form.endswith("twice"):
        trial.work(trial.dice.uniform(0.0, 1.5))
        strike(everyone, signal.SIGTERM)


def _has_ended(crew: Crew) -> bool:
    return all(code is not None for code in crew.codes(0.0))


def _see_that_nothing_is_held(trial: Trial) -> None:
    """See that all went back before the worker's end, and not later."""
    for key in trial.server.client.scan_iter(f"headway:lease:{_OLD}*"):
        trial.problems.append(f"{key.decode()} was there when its worker had ended")
