"""What a scenario hands back: rows for people, a line for machines, what failed."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Row = dict[str, str | float | int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line asked for; None leaves it to the scenario."""

    peers: tuple[str, ...]
    jobs: int | None = None
    rounds: int | None = None
    append_only: bool = False
    json: Path | None = None


@dataclass(slots=True, kw_only=True)
class Report:
    """What a scenario found."""

    name: str
    #: The last line, in order.
    line: dict[str, str | float] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    #: Who could not run, or did not run each job exactly once.
    problems: list[str] = field(default_factory=list)

    def last_line(self) -> str:
        """Return the line with which each scenario ends."""
        told = {"bench": self.name, **self.line}
        return " ".join(f"{name}={short(value)}" for name, value in told.items())


def short(value: str | float) -> str:
    """Return a number with the digits that mean something."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) or abs(value) >= 100:  # noqa: PLR2004
        return f"{value:.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"  # noqa: PLR2004


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, ["---"] * len(names)]
    lines += [[short(row.get(name, "-")) for name in names] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def median_ratio(theirs: Sequence[float], ours: Sequence[float]) -> float:
    """Return the median of the rounds' ratios: each round met the same machine."""
    return statistics.median(
        their / our for their, our in zip(theirs, ours, strict=True)
    )


def best(
    figures: Mapping[str, Sequence[float]], *, by: Callable[[str], bool]
) -> str | None:
    """Return the name with the smallest median among some."""
    found = {
        name: statistics.median(all_) for name, all_ in figures.items() if by(name)
    }
    return min(found, key=lambda name: found[name]) if found else None


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the smallest value that so many percent do not exceed."""
    place = -(-len(values) * percent // 100) - 1
    return sorted(values)[place]
