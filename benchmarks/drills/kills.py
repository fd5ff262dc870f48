"""`kill -9` of children, of workers, of hosts; at exact points and at any moment."""

from __future__ import annotations

import signal

from benchmarks.drills.points import FETCH_POINTS, STOCK_POINTS
from benchmarks.drills.trial import Trial
from benchmarks.fleet import strike

#: How many of the kills are at exact points, and how many of the others two at once.
EXACT, TOGETHER = 0.5, 0.2
_KILLS = (1, 2, 3)


def child_kill(trial: Trial) -> None:
    """Kill children that run jobs, some times in a row."""
    trial.use_queues(trial.dice.choice((1, 2, 4)))
    crew = trial.crew(children=3)
    trial.warm_up()
    for _kill in range(trial.dice.choice(_KILLS)):
        trial.work(trial.dice.uniform(0.1, 0.6))
        if not trial.is_stock and trial.dice.random() < EXACT:
            trial.load.send_victim(most=3)
            continue
        prey = crew.prey()
        wanted = 2 if trial.dice.random() < TOGETHER else 1
        chosen = trial.dice.sample(prey, min(wanted, len(prey)))
        trial.struck(strike(chosen, signal.SIGKILL))
    trial.work(0.3)


def parent_kill(trial: Trial) -> None:
    """Kill a worker's supervisor; another may run beside it, or is started later."""
    trial.use_queues(2)
    crew = trial.crew(is_kept=False)
    if trial.dice.random() < 0.5:  # noqa: PLR2004 - one of two
        trial.crew()
    trial.warm_up()
    trial.work(trial.dice.uniform(0.1, 0.8))
    trial.kill(crew, crew.parents())
    trial.work(trial.dice.uniform(0.0, 1.0))
    crew.is_kept = True
    trial.work(0.5)


def host_kill(trial: Trial, *, is_gone: bool, lease: int) -> None:
    """Kill all processes of a host at once, the scheduler too.

    The host is up again a moment later, or never: then another is there.
    """
    trial.use_queues(2)
    trial.lease = lease
    options = () if trial.is_stock else ("--with-scheduler",)
    trial.load.has_delays = not trial.is_stock
    crew = trial.crew(is_kept=False, host="lost", options=options)
    if is_gone:
        trial.crew(host="other", options=options)
    trial.warm_up()
    trial.work(trial.dice.uniform(0.1, 0.8))
    trial.kill(crew, crew.tree())
    trial.work(trial.dice.uniform(0.1, 1.0))
    crew.is_kept = not is_gone
    trial.work(0.5)


def fetch_window(trial: Trial, *, queues: int) -> None:
    """Kill what takes jobs while it does: at an exact point, or at full speed."""
    trial.use_queues(queues)
    trial.load.short, trial.load.share_of_long = (0.0, 1.0), 0.0
    crew = trial.crew(is_kept=False)
    trial.warm_up()
    crew.is_kept = True
    trial.work(trial.dice.uniform(0.0, 0.4))
    if trial.dice.random() < EXACT:
        points = STOCK_POINTS if trial.is_stock else FETCH_POINTS
        victim = trial.load.victim(trial.dice.choice(points))
        trial.load.send_as("work", victim)
    else:
        trial.kill(crew, crew.tree())
    trial.work(1.0)
