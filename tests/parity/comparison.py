"""Two snapshots side by side: what differs, without what is meant to differ."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from tests.parity.snapshot import Near, Snapshot, Value

#: Job ids are `<scenario>--<part>`, so that a path tells whose it is.
SCENARIO = re.compile(r"(?P<scenario>[a-z0-9_]+)--")
SHARED = "shared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One path at which two runs left something else."""

    path: str
    #: None: there is nothing.
    stock: Value | None
    ours: Value | None

    def __str__(self) -> str:
        return f"{self.path}\n    stock {self.stock!r}\n    ours  {self.ours!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meant:
    """A difference that is wanted, and why."""

    path: str
    why: str
    #: What ours must be for the difference to be the one that is meant.
    ours: str = ".*"
    stock: str = ".*"
    #: How both are read for the difference to be one of writing alone.
    read: Callable[[bytes], object] | None = None

    def covers(self, difference: Difference) -> bool:
        """Tell whether the difference is this one."""
        if self.read is not None and not self._is_read_alike(difference):
            return False
        return bool(
            re.fullmatch(self.path, difference.path)
            and re.fullmatch(self.stock, str(difference.stock), re.DOTALL)
            and re.fullmatch(self.ours, str(difference.ours), re.DOTALL)
        )

    def _is_read_alike(self, difference: Difference) -> bool:
        assert self.read is not None
        values = difference.stock, difference.ours
        return all(isinstance(value, bytes) for value in values) and (
            self.read(values[0]) == self.read(values[1])
        )


def differences(stock: Snapshot, ours: Snapshot) -> list[Difference]:
    """Return every path whose values are not the same, in order."""
    return [
        Difference(path=path, stock=stock.get(path), ours=ours.get(path))
        for path in sorted({*stock, *ours})
        if not _same(stock.get(path), ours.get(path))
    ]


def unexplained(found: list[Difference], meant: tuple[Meant, ...]) -> list[Difference]:
    """Return the differences that no entry covers."""
    return [one for one in found if not any(entry.covers(one) for entry in meant)]


def of_scenario(snapshot: Snapshot, scenario: str) -> Snapshot:
    """Return what belongs to one scenario; `shared` is what belongs to none."""
    return {path: value for path, value in snapshot.items() if owner(path) == scenario}


def owner(path: str) -> str:
    """Return the scenario whose job a path names."""
    match = SCENARIO.search(path)
    return match["scenario"] if match else SHARED


def _same(one: Value | None, other: Value | None) -> bool:
    if isinstance(one, Near) and isinstance(other, Near):
        return one.is_as(other)
    return one == other
