"""Redis restarted, killed, cut off, full: workers wait, and go on."""

from __future__ import annotations

import signal
import time

from benchmarks.drills.crew import Crew
from benchmarks.drills.proxy import State
from benchmarks.drills.trial import Trial
from benchmarks.report import percentile

#: `enqueue` says within this that it cannot, in seconds; and for a busy machine.
_REFUSES = 2.0 + 1.0
#: The long cuts are few: one in so many.
_LONG_CUTS = 12


def redis_restart(trial: Trial) -> None:
    """Have the server stop as it should, and start again a while later."""
    _server_ends(trial, signal.SIGTERM)


def redis_kill(trial: Trial) -> None:
    """Kill the server; what it has confirmed is on its disk."""
    _server_ends(trial, signal.SIGKILL)


def redis_cut(trial: Trial) -> None:
    """Cut the network between all and the store, in any of the ways it fails."""
    crew = _ready(trial, url=trial.proxy.url)
    for _cut in range(trial.dice.choice((1, 1, 2))):
        is_long = trial.dice.randrange(_LONG_CUTS) == 0
        seconds = trial.dice.uniform(*((20.0, 60.0) if is_long else (1.0, 5.0)))
        states: tuple[State, ...] = ("cut", "held", "torn")
        state = trial.dice.choice(states)
        trial.proxy.turn(state)
        trial.senders_proxy.turn(state)
        trial.struck(crew.pids())
        trial.work(seconds)
        trial.struck(crew.pids())
        trial.senders_proxy.turn("open")
        trial.proxy.turn("open")
        trial.ledger.write("back", pid=0)
        _see_that_it_goes_on(trial)
    _look_at_refusals(trial)


def worker_cut(trial: Trial) -> None:
    """Cut one of two workers off for longer than its lease; it goes on meanwhile."""
    trial.lease = 3
    crew = _ready(trial, url=trial.proxy.url)
    trial.crew(host="other")
    trial.warm_up()
    states: tuple[State, ...] = ("cut", "held")
    trial.load.long, trial.load.share_of_long = (500.0, 8000.0), 0.2
    trial.work(1.0)
    trial.proxy.turn(trial.dice.choice(states))
    trial.struck(crew.pids())
    trial.work(trial.lease + trial.dice.uniform(0.0, 4.0))
    trial.struck(crew.pids())
    trial.proxy.turn("open")
    trial.work(1.0)


def redis_full(trial: Trial) -> None:
    """Let the store's memory be full for a while; it says so and evicts nothing."""
    crew = _ready(trial)
    trial.struck(crew.pids())
    trial.fill_store(trial.dice.uniform(0.5, 3.0))
    _see_that_it_goes_on(trial)
    _look_at_refusals(trial)


def _ready(trial: Trial, **how: object) -> Crew:
    trial.use_queues(trial.dice.choice((1, 2, 4)))
    trial.load.has_families = False  # RQ's own `enqueue` does not try again
    crew = trial.crew(**how)
    trial.warm_up()
    trial.work(trial.dice.uniform(0.1, 0.8))
    return crew


def _server_ends(trial: Trial, number: signal.Signals) -> None:
    crew = _ready(trial)
    for _time in range(trial.dice.choice((1, 1, 2))):
        trial.struck(crew.pids())
        trial.stop_store(number, trial.dice.uniform(0.0, 4.0))
        _see_that_it_goes_on(trial)
    _look_at_refusals(trial)


def _see_that_it_goes_on(trial: Trial) -> None:
    """Wait until somebody works again."""
    since = time.monotonic()
    while time.monotonic() < since + trial.lease:
        trial.work(0.1)
        if trial.ledger.begun_since(since):
            return


def _look_at_refusals(trial: Trial) -> None:
    refused = trial.load.refused
    if refused and percentile(refused, 100) > _REFUSES:
        trial.problems.append(
            f"enqueue took {percentile(refused, 100):.1f} s to say that it could not"
        )
