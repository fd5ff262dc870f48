"""Who ran which job, and when: in Postgres, which no worker's store can change.

A row for each begin, end, commit and strike, of all trials. A row is there when the
call returns, so that a process which is killed then has left it.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple

import psycopg

from benchmarks.environments import CannotRunError
from headway.embedded.folder import last_lines
from headway.embedded.port import choose
from headway.embedded.postgres import Postgres

#: "end": its work is done. "commit": written in one transaction with what the job does.
#: "strike": something happened to that process. "away", "back": so is the store.
What = Literal["begin", "end", "commit", "raise", "strike", "away", "back"]

_START = 30.0
_CREATE = """\
CREATE TABLE entries (
    id bigserial PRIMARY KEY,
    trial integer NOT NULL,
    what text NOT NULL,
    job text NOT NULL,
    pid integer NOT NULL,
    parent integer NOT NULL,
    at double precision NOT NULL
);
CREATE INDEX ON entries (trial, at)"""
_INSERT = """\
INSERT INTO entries (trial, what, job, pid, parent, at)
VALUES (%s, %s, %s, %s, %s, %s)"""
_SELECT = """\
SELECT what, job, pid, at, parent FROM entries WHERE trial = %s ORDER BY at, id"""


class Line(NamedTuple):
    """What happened to a process, and to the job that it ran."""

    what: What
    #: "-" where it happened from outside, whatever the process ran.
    job_id: str
    pid: int
    #: Monotonic seconds, the same clock for all processes of a machine.
    at: float
    #: The supervisor of a process that says something of itself; 0 for others.
    parent: int = 0


class Ledger:
    """The rows of one trial, for those who write and for the one who reads."""

    def __init__(self, url: str, trial: int) -> None:
        self._url = url
        self._trial = trial
        self._pid = 0
        self._connection: psycopg.Connection | None = None

    @classmethod
    def of_environment(cls) -> Ledger:
        """Return that of the trial that this process belongs to."""
        return cls(os.environ["DRILL_LEDGER"], int(os.environ["DRILL_TRIAL"]))

    @property
    def connection(self) -> psycopg.Connection:
        """Return this process's own connection; each statement stands for itself."""
        if self._connection is None or self._pid != os.getpid():
            self._pid = os.getpid()  # a fork may not use its parent's
            self._connection = psycopg.connect(self._url, autocommit=True)
        return self._connection

    def write(
        self,
        what: What,
        job_id: str = "-",
        pid: int | None = None,
        at: float | None = None,
    ) -> None:
        """Add a row; this process and this moment are meant where none is named."""
        moment = time.monotonic() if at is None else at
        whose = (pid, 0) if pid is not None else (os.getpid(), os.getppid())
        row = (self._trial, what, job_id, *whose, moment)
        self.connection.execute(_INSERT, row)

    def lines(self) -> list[Line]:
        """Read all rows of the trial, in the order in which they happened."""
        rows = self.connection.execute(_SELECT, (self._trial,)).fetchall()
        return [Line(*row) for row in rows]

    def strikes_of(self, job_id: str) -> int:
        """Return how many processes the job has cost."""
        asked = (
            "SELECT count(*) FROM entries "
            "WHERE trial = %s AND what = 'strike' AND job = %s"
        )
        row = self.connection.execute(asked, (self._trial, job_id)).fetchone()
        return int(row[0]) if row else 0

    def last_of(self, pids: Sequence[int]) -> dict[int, float]:
        """Return when these processes have written last."""
        asked = (
            "SELECT pid, max(at) FROM entries "
            "WHERE trial = %s AND pid = ANY(%s) GROUP BY pid"
        )
        return dict(self.connection.execute(asked, (self._trial, list(pids))))

    def begun_since(self, moment: float) -> bool:
        """Tell whether a job has begun since that moment."""
        asked = (
            "SELECT 1 FROM entries "
            "WHERE trial = %s AND what = 'begin' AND at > %s LIMIT 1"
        )
        found = self.connection.execute(asked, (self._trial, moment)).fetchone()
        return found is not None

    def workers(self) -> set[int]:
        """Return the processes that have begun a job."""
        asked = "SELECT DISTINCT pid FROM entries WHERE trial = %s AND what = 'begin'"
        return {pid for (pid,) in self.connection.execute(asked, (self._trial,))}


class _Server(Postgres):
    """One that many processes write into, and that need not outlive the machine."""

    __slots__ = ()

    def command(self) -> list[str]:
        settings = ("max_connections=500", "fsync=off", "synchronous_commit=off")
        options = [part for setting in settings for part in ("-c", setting)]
        return [*Postgres.command(self), *options]


@contextmanager
def ledger_server() -> Iterator[str]:
    """Run a Postgres with an empty ledger, and give its address.

    Raises:
        CannotRunError: it did not start.
    """
    with TemporaryDirectory(prefix="ledger-") as name:
        server = _Server(folder=Path(name), port=choose("postgres"))
        server.prepare()
        with (
            server.log.open("ab") as log,
            subprocess.Popen(
                [*server.account(), *server.command()],
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C is for us: trials leave it first
            ) as process,
        ):
            try:
                _wait(server, process)
                url = server.environment()["DATABASE_URL"]
                with psycopg.connect(url) as connection:
                    connection.execute(_CREATE)
                yield url
            finally:
                process.send_signal(server.stop_signal)


def _wait(server: Postgres, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START
    while not server.is_ready(process.pid):
        if process.poll() is not None or time.monotonic() > deadline:
            said = last_lines(server.log)
            raise CannotRunError(f"the ledger's Postgres did not start:\n{said}")
        time.sleep(0.05)
