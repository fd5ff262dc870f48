"""The schedulers that a drill is done to: which of them are up, and which one leads."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.drills.crew import Crew, Setup
from benchmarks.drills.timed.app import IDLE, TIMED

_APP = "benchmarks.drills.timed.app:app"
#: One in so many is that of a worker.
_OF_WORKERS = 3
_STARTED, _LEADS = b"scheduler started", b"this scheduler leads"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Alone(Setup):
    """How a scheduler that is no worker's is started."""

    def command(self) -> list[str]:
        """Return the command line."""
        return [str(Path(sys.executable).with_name("headway")), "scheduler"]


@dataclass(slots=True, kw_only=True)
class Watchman:
    """One scheduler, through all its lives, by what it writes into its log."""

    crew: Crew
    log: Path
    #: Whether it is frozen, or cut off from the store.
    is_held: bool = False
    #: Something is to be done to it, or was and is not over.
    is_struck: bool = False
    _read: int = 0
    _has_started: bool = False
    #: When it was last heard to lead, in the order in which such things were heard.
    heard_to_lead: int = 0

    @property
    def is_up(self) -> bool:
        """Tell whether it serves, as far as it has said."""
        return self._has_started and not self.is_held and bool(self.crew.tree())

    def listen(self, now: int) -> None:
        """Read what it has said; `now` numbers such moments."""
        with self.log.open("rb") as log:
            log.seek(self._read)
            said = log.read()
        self._read += len(said)
        self._has_started |= _STARTED in said
        if _LEADS in said:
            self.heard_to_lead = now

    def forget(self) -> None:
        """Take note that it has ended: it is up when it says so again."""
        self._has_started = False


def watchman(number: int, url: str, folder: Path) -> Watchman:
    """Start a scheduler; one in three is that of a worker."""
    log = folder / f"scheduler-{number}.log"
    log.touch()
    kind = Setup if number % _OF_WORKERS == 0 else _Alone
    setup = kind(
        kind="headway",
        queues=(IDLE,),
        url=url,
        log=log,
        app=_APP,
        children=1,
        options=("--with-scheduler",),
        host=f"host-{number}",
    )
    return Watchman(crew=Crew(setup), log=log)


def runner(url: str, log: Path) -> Crew:
    """Start the worker that runs what is sent."""
    setup = Setup(
        kind="headway", queues=(TIMED,), url=url, log=log, app=_APP, children=4
    )
    return Crew(setup)
