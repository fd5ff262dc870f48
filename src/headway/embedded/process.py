"""Processes that outlive their parents: recognised, tied to a parent, stopped."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from signal import SIGKILL, Signals

_PAUSE = 0.02
_ENDED = ("Z", "X")


def born(pid: int) -> str | None:
    """Return when that process started, or None when there is none.

    A pid comes round again; a pid with its start, in one boot of the machine,
    does not. Only with both the same may a process be signalled later.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    except OSError:
        return None
    # The name of the program, in brackets, may hold spaces and brackets itself.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in _ENDED else f"{boot.strip()}:{fields[19]}"


def tied(command: list[str], sign: Signals) -> list[str]:
    """Return the command such that it gets that signal when its parent dies.

    The kernel sends it, so it works after `kill -9` of the parent, too. Without
    `setpriv` the server is left over, and the next start stops it.
    """
    setpriv = shutil.which("setpriv")
    name = sign.name.removeprefix("SIG")
    return [setpriv, "--pdeathsig", name, *command] if setpriv else command


def stop(pid: int, start: str | None, sign: Signals, *, seconds: float) -> None:
    """End that very process: asked first, killed after `seconds`."""
    for step in (sign, SIGKILL):
        if start is None or born(pid) != start:
            return
        try:
            os.kill(pid, step)
        except ProcessLookupError:
            return
        _await_end(pid, start, seconds)


def _await_end(pid: int, start: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while born(pid) == start and time.monotonic() < deadline:
        time.sleep(_PAUSE)
