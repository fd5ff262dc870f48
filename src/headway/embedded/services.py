from __future__ import annotations

import os
import time
from collections.abc import Generator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from headway.embedded.folder import described, prepare
from headway.embedded.lock import locked
from headway.embedded.owner import Owned, Ownership
from headway.embedded.record import Record
from headway.errors import EmbeddedServerError

NAMES = frozenset({"redis", "postgres", "bolt"})
_START_SECONDS = 120.0
_STOP_SECONDS = 45.0
_POLL = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The development servers of one data folder, shared by all who name it."""

    data: Path
    #: A port for a server by its name; without, a free one, kept over restarts.
    ports: Mapping[str, int] = field(default_factory=dict[str, int])

    @contextmanager
    def running(self, names: AbstractSet[str]) -> Generator[dict[str, str]]:
        """Have those servers up for the block, and give what to set to use them.

        Servers that are up already are shared, and go on when the block ends;
        the others are started, and stopped at the end, or when this process dies.
        Who shares servers when their owner goes starts them again and owns them.

        Raises:
            EmbeddedServerError: when one cannot start, with the end of its log.
        """
        self._refuse_unknown(names)
        prepare(self._data)
        ownership = Ownership(
            partial(self._start_missing, names),
            partial(Record(self._data).were_left, names),
        )
        process = os.getpid()
        try:
            yield self._environment(names)
        finally:
            # A forked child that leaves this block owns nothing.
            if os.getpid() == process:
                ownership.end()

    def found(self) -> dict[str, str]:
        """Return what to set to use the servers that are up now; {} when none is."""
        return self._environment(NAMES)

    @property
    def _data(self) -> Path:
        return self.data.expanduser().resolve()

    def _refuse_unknown(self, names: AbstractSet[str]) -> None:
        if unknown := sorted((set(names) | set(self.ports)) - set(NAMES)):
            raise EmbeddedServerError(
                f"no development server is called {', '.join(unknown)}: "
                f"there are {', '.join(sorted(NAMES))}"
            )

    def _start_missing(self, names: AbstractSet[str]) -> Owned | None:
        """Start a keeper for those that nobody keeps; None when all are kept.

        Raises:
            EmbeddedServerError: when one cannot start.
        """
        try:
            with locked(self._data / "start.lock", seconds=_START_SECONDS):
                missing = self._missing(names)
                return Owned.start(self._data, missing) if missing else None
        except OSError as error:
            raise EmbeddedServerError(described(self._data, error)) from error

    def _missing(self, names: AbstractSet[str]) -> dict[str, int | None]:
        """Return the servers to start, each with the port asked for.

        One that is being stopped by its keeper just now is waited for.

        Raises:
            EmbeddedServerError: when its keeper takes too long.
        """
        record = Record(self._data)
        deadline = time.monotonic() + _STOP_SECONDS
        while True:
            missing = set(names) - set(record.serving())
            leaving = sorted(name for name in missing if record.is_kept(name))
            if not leaving:
                return {name: self.ports.get(name) for name in sorted(missing)}
            if time.monotonic() > deadline:
                raise EmbeddedServerError(
                    f"{', '.join(leaving)} in {self._data}: still stopping after "
                    f"{_STOP_SECONDS:g} s; {self._data / 'keeper.log'} may say why"
                )
            time.sleep(_POLL)

    def _environment(self, names: AbstractSet[str]) -> dict[str, str]:
        return {
            variable: value
            for name, entry in Record(self._data).serving().items()
            if name in names
            for variable, value in entry.environment.items()
        }
