"""Which process on which machine, told apart from any that comes after it.

A process id is used again, and so is the name of a host. A process is known by its id
and the moment it began; a machine by its name, its boot, and the namespace in which
its process ids count. Where these cannot be read, as outside of Linux, whoever holds a
lease is waited for until it runs out.
"""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")


class Identity(NamedTuple):
    """One life of one process."""

    machine: str
    pid: int
    #: When it began, as the kernel counts; empty where that cannot be read.
    began: str

    @classmethod
    def of_this_process(cls, host: str) -> Identity:
        """Return who this is, on the machine that is called so."""
        return cls(_machine(host), os.getpid(), _began(os.getpid()) or "")

    @classmethod
    def read(cls, written: str) -> Identity | None:
        """Return what `written` says, if it is one."""
        machine, _, rest = written.rpartition(" ")
        name, _, pid = machine.rpartition(" ")
        return cls(name, int(pid), rest) if name and pid.isdecimal() else None

    @property
    def written(self) -> str:
        """Return it as one line."""
        return f"{self.machine} {self.pid} {self.began}"

    @property
    def machine_id(self) -> str:
        """Return its machine as a part of a key."""
        return sha256(self.machine.encode()).hexdigest()[:16]

    @property
    def host(self) -> str:
        """Return what its machine is called."""
        return self.machine.partition("/")[0]

    def sees_dead(self, other: Identity) -> bool:
        """Tell whether the other was of this machine, and is sure to have ended."""
        if other.machine != self.machine or not (self.began and other.began):
            return False
        return _began(other.pid) != other.began


def _machine(host: str) -> str:
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        namespace = str((_PROC / "self/ns/pid").readlink())
    except OSError:
        return host
    return f"{host}/{boot}/{namespace}"


def _began(pid: int) -> str | None:
    """Return when a process that lives began; None where there is none."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # After the name, which may hold anything: the state, and eighteen fields on.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]
