"""Chords of a hundred, while workers are killed: each join fires, and none twice.

A chord whose node has ended three workers has failed, as it is to; it is retried, as a
person would, and its join counts like any other.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from benchmarks.drills.crew import Crew
from benchmarks.drills.trial import QUEUES, Order, Trial, made
from benchmarks.environments import CannotRunError
from benchmarks.fleet import strike
from headway import JobStatus, Workflow

ENGINES = ("rq", "celery")
SIZE = 100
#: How many chords are under way at once.
_AT_ONCE = 6
#: Between two kills, in seconds, and in jobs that have ended: a worker that is killed
#: before it has begun tells nothing. And how many of these are of a whole worker.
_BETWEEN, _ENDED, _WHOLE = (0.1, 0.8), 10, 0.15
#: Without an end of any chord for so long, in seconds, one is lost.
_PATIENCE = 120.0
_LOOK, _SAY_EVERY = 0.02, 20


@dataclass(slots=True)
class Found:
    """What the drill came to."""

    trials: int
    joins: int = 0
    doubles: int = 0
    kills: Counter[str] = field(default_factory=Counter[str])
    retried: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Return how many joins have not fired."""
        return self.trials - self.joins

    def last_line(self) -> str:
        """Return the line for machines."""
        is_good = not (self.lost or self.doubles or self.problems)
        said = {
            "drill": "workflow",
            "trials": self.trials,
            "joins": self.joins,
            "lost": self.lost,
            "doubles": self.doubles,
            "verdict": "pass" if is_good else "fail",
        }
        return " ".join(f"{key}={value}" for key, value in said.items())


def drill(*, seed: int, ledger: str, trials: int, engine: str) -> Found:
    """Send so many chords, and kill workers meanwhile; say what became of the joins.

    Raises:
        CannotRunError: the workers did not start.
    """
    order = Order(
        number=2, seed=f"{seed} workflow", ledger=ledger, kind="headway", play=id
    )
    with made(order) as trial:
        return Stage(trial, engine, trials).play()


class Stage:
    """The workers, the chords, and what is done to them."""

    def __init__(self, trial: Trial, engine: str, trials: int) -> None:
        os.environ["HEADWAY_ENGINE"] = engine
        # Here, since they read in the environment where their server is.
        self._tasks = importlib.import_module("benchmarks.drills.tasks")
        self._trial, self._found = trial, Found(trials=trials)
        trial.use_queues(1)
        self._crews: list[Crew] = [
            trial.crew(children=3, engine=engine) for _ in range(2)
        ]
        self._open: list[Workflow[int]] = []
        self._sent = 0

    def play(self) -> Found:
        """Do all of it."""
        self._warm_up()
        struck = ended = time.monotonic()
        pause, seen = 0.0, 0
        while self._sent < self._found.trials or self._open:
            self._send()
            now = time.monotonic()
            if now > struck + pause and self._ended() >= seen + _ENDED:
                self._kill()
                seen = self._ended()
                struck, pause = now, self._trial.dice.uniform(*_BETWEEN)
            if self._gather():
                ended = now
            if now > ended + _PATIENCE:
                self._found.problems += [str(flow.tree()) for flow in self._open]
                break
            self._trial.mend()
            time.sleep(_LOOK)
        return self._found

    def _warm_up(self) -> None:
        """Wait until workers take jobs.

        Raises:
            CannotRunError: none has in a minute.
        """
        job = self._tasks.part.enqueue(0)
        deadline = time.monotonic() + 60
        while job.status is not JobStatus.FINISHED:
            if time.monotonic() > deadline:
                raise CannotRunError("no worker began to work in 60 s")
            time.sleep(_LOOK)

    def _send(self) -> None:
        while self._sent < self._found.trials and len(self._open) < _AT_ONCE:
            self._sent += 1
            self._open.append(self._tasks.chord_of(SIZE).enqueue())

    def _kill(self) -> None:
        dice = self._trial.dice
        crew = dice.choice(self._crews)
        whole = dice.random() < _WHOLE
        prey = crew.parents() if whole else crew.prey()
        if prey and strike([dice.choice(prey)], signal.SIGKILL):
            self._found.kills["worker" if whole else "child"] += 1

    def _gather(self) -> bool:
        over = [flow for flow in self._open if flow.status.is_final]
        for flow in over:
            if flow.status is JobStatus.FINISHED:
                self._open.remove(flow)
                self._count(flow)
            elif flow.tree().has_ended:
                self._found.retried += 1
                flow.retry()
        return bool(over)

    def _count(self, flow: Workflow[int]) -> None:
        found = self._found
        *_, join = flow.tree().nodes
        info = flow.job(join).info()
        ends = sum(
            line.what == "end" and line.job_id == join
            for line in self._trial.ledger.lines()
        )
        found.joins += 1
        # A worker that is killed as it ends the join costs one more run of it, no more.
        found.doubles += max(0, ends - 1 - len(info.crashes) - info.superseded)
        found.doubles += self._results(join) - 1
        if flow.result(timeout=0) != sum(range(SIZE)):
            found.problems.append(f"{flow.id} returned {flow.result(timeout=0)}")
        if found.joins % _SAY_EVERY == 0:
            print(f"drill: {found.joins} of {found.trials} chords", file=sys.stderr)

    def _ended(self) -> int:
        client: Any = self._trial.server.client
        return int(client.zcard(f"rq:finished:{QUEUES[0]}"))

    def _results(self, job_id: str) -> int:
        client: Any = self._trial.server.client
        return int(client.xlen(f"rq:results:{job_id}"))
