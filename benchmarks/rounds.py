"""Contestants by turns, some rounds of all of them: a noisy minute meets everybody."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from redis.exceptions import RedisError

from benchmarks.contestants import Contestant
from benchmarks.environments import CannotRunError
from benchmarks.report import Row, best, median_ratio, short

#: What takes a contestant out; anything else is a mistake of the benchmark.
_FAILURES = (CannotRunError, OSError, RedisError, subprocess.SubprocessError)
#: A measurement of one contestant: names and figures, the smaller the better.
Measure = Callable[[Contestant], dict[str, float]]


@dataclass(slots=True)
class Rounds:
    """Figures by contestant and round; who failed once is out."""

    contestants: list[Contestant]
    figures: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @classmethod
    def play(
        cls, title: str, contestants: Sequence[Contestant], rounds: int, run: Measure
    ) -> Rounds:
        """Measure all contestants in turn, that many times."""
        played = cls(list(contestants))
        for number in range(1, rounds + 1):
            for contestant in list(played.contestants):
                played._turn(f"{title} {number}/{rounds}", contestant, run)
        return played

    def _turn(self, title: str, contestant: Contestant, run: Measure) -> None:
        name = contestant.name
        try:
            figures = run(contestant)
        except _FAILURES as error:
            self.problems.append(f"{title} {name}: {error}")
            self.contestants.remove(contestant)
            self.figures.pop(name, None)
            print(f"{title} {name}: {error}", file=sys.stderr)
            return
        self.figures.setdefault(name, []).append(figures)
        told = " ".join(f"{key}={short(value)}" for key, value in figures.items())
        print(f"{title} {name}: {told}", file=sys.stderr, flush=True)

    def column(self, key: str) -> dict[str, list[float]]:
        """Return one figure of everybody who has it, round by round."""
        return {
            name: [each[key] for each in rounds]
            for name, rounds in self.figures.items()
            if all(key in each for each in rounds)
        }

    def median(self, name: str, key: str) -> float:
        """Return a figure of one contestant."""
        return statistics.median(each[key] for each in self.figures[name])

    def ours(self, key: str) -> str | None:
        """Return the name of our best set-up."""
        return best(self.column(key), by=self._names(ours=True).__contains__)

    def fastest_peer(self, key: str) -> str | None:
        """Return the name of the best set-up of all peers."""
        return best(self.column(key), by=self._names(ours=False).__contains__)

    def ratio(self, key: str, peer: str | None, own: str | None) -> float | None:
        """Return how much better ours is: above 1 is better; None for lack of one."""
        return self.against(key, peer, key, own)

    def against(
        self, key: str, peer: str | None, own_key: str, own: str | None
    ) -> float | None:
        """Return how much better our one figure is than their other."""
        theirs, ours = self.column(key), self.column(own_key)
        if peer not in theirs or own not in ours:
            return None
        return median_ratio(theirs[peer], ours[own])

    def rows(self, titles: Mapping[str, str], *, settings: bool = True) -> list[Row]:
        """Return everybody's medians under these titles, the best first."""
        rows: list[Row] = []
        for contestant in self.contestants:
            row: Row = {"contestant": contestant.name}
            for key, title in titles.items():
                if contestant.name in self.column(key):
                    row[title] = self.median(contestant.name, key)
            if settings:
                row["settings"] = contestant.setup.settings
            rows.append(row)
        first = next(iter(titles.values()))
        return sorted(rows, key=lambda row: float(row[first]))

    def peer_of(self, name: str) -> str:
        """Return the package whose set-up it is."""
        return next(each.peer for each in self.contestants if each.name == name)

    def _names(self, *, ours: bool) -> set[str]:
        return {each.name for each in self.contestants if each.is_ours is ours}
