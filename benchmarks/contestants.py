"""Who takes part, as each describes itself from within its own environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.environments import PINS, ROOT, CannotRunError, programs
from benchmarks.marks import Marks
from benchmarks.setup import Setup

OURS = "headway"
PEERS = sorted(path.stem for path in PINS.glob("*.txt"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """One set-up of one peer, and what the driver needs to know of the peer."""

    peer: str
    setup: Setup
    programs: Path
    #: The command that counts the jobs waiting in Redis.
    queue: tuple[str, ...]
    #: The keys of results, or the command that counts them.
    stored: str | tuple[str, ...]
    #: The command that counts acknowledged jobs, where the clock waits for these too.
    finished: tuple[str, ...] | None
    #: Whether it has a way of its own to send many.
    bulk: bool

    @property
    def name(self) -> str:
        """The name of its set-up."""
        return self.setup.name

    @property
    def is_ours(self) -> bool:
        """Whether it is Headway, on whichever engine."""
        return self.peer.startswith(OURS)

    def command(self) -> list[str]:
        """Return what starts its workers."""
        program, *rest = self.setup.command
        return [str(self.programs / program), *rest]

    def producer(self, way: str, task: str, first: int, count: int) -> list[str]:
        """Return what sends jobs as its users would."""
        python = str(self.programs / "python")
        module = ("-m", "benchmarks.peer", self.peer)
        jobs = (task, str(first), str(count))
        return [python, *module, way, *jobs, self.setup.name]

    def environment(self, redis: str, marks: Marks, *, results: bool) -> dict[str, str]:
        """Return the environment of its processes, and of nothing else."""
        return {
            **_environment(self.programs, redis, marks, results=results),
            **self.setup.environment,
        }


def contestants(peers: Iterable[str]) -> tuple[list[Contestant], list[str]]:
    """Return all set-ups of the peers, and why some peers cannot take part."""
    found: list[Contestant] = []
    problems: list[str] = []
    for peer in peers:
        try:
            found += _described(peer)
        except CannotRunError as error:
            problems.append(f"{peer}: {error}")
    for problem in problems:
        print(f"bench: {problem}", file=sys.stderr)
    return found, problems


def of_use(found: Iterable[Contestant], use: str) -> list[Contestant]:
    """Return those that take part in a scenario."""
    return [each for each in found if use in each.setup.uses]


def one_each(found: Sequence[Contestant]) -> list[Contestant]:
    """Return one set-up a peer, for what does not concern workers."""
    return list({each.peer: each for each in reversed(found)}.values())[::-1]


def _described(peer: str) -> list[Contestant]:
    folder = programs(peer)
    with TemporaryDirectory() as scratch:
        marks = Marks.make(Path(scratch, "marks"), 1)
        ran = subprocess.run(
            [str(folder / "python"), "-m", "benchmarks.peer", peer, "describe"],
            cwd=ROOT,
            env=_environment(folder, "redis://127.0.0.1:1/0", marks, results=False),
            capture_output=True,
            text=True,
            check=False,
        )
    if ran.returncode:
        raise CannotRunError(ran.stderr.strip()[-1000:])
    told: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return [
        Contestant(
            peer=peer,
            setup=Setup(**_as_tuples(setup)),
            programs=folder,
            queue=tuple(told["queue"]),
            stored=_as_tuple(told["stored"]),
            finished=_as_tuple(told["finished"]),
            bulk=told["bulk"],
        )
        for setup in told["setups"]
    ]


def _as_tuples(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _as_tuple(field) for name, field in value.items()}


def _as_tuple(value: Any) -> Any:  # noqa: ANN401 - whatever JSON made of it
    return tuple(value) if isinstance(value, list) else value


def _environment(
    folder: Path, redis: str, marks: Marks, *, results: bool
) -> dict[str, str]:
    return {
        "PATH": f"{folder}:{os.environ.get('PATH', '')}",
        "HOME": os.environ.get("HOME", "/"),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "PYTHONPATH": str(ROOT),
        "REDIS_URL": redis,
        "RQ_REDIS_URL": redis,
        "BENCH_REDIS": redis,
        "BENCH_MARKS": str(marks.path),
        "BENCH_RESULTS": "yes" if results else "no",
    }
