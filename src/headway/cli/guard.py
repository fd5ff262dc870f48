"""Ends what a supervisor started when the supervisor itself was killed.

The obvious means do not hold. `PR_SET_PDEATHSIG` is Linux alone, reaches one process
and not its children, and fires when the *thread* that forked ends; to set it needs
`preexec_fn`, which may deadlock in a program with threads. So one small process, the
guard, reads a pipe whose other end only the supervisor holds. Each process writes
its id into it and closes it before it becomes the program it stands for; so there is
no moment at which it runs unknown to the guard. At the pipe's end, which comes
however the supervisor dies, the guard ends every process group still on its list.

Started by path and not by module name: it must not wait for imports.

    python guard.py watch                          pipe on stdin
    python guard.py enlist FD PROGRAM ARGUMENT...
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable

#: What the processes get between SIGTERM and SIGKILL, in seconds. Short, as their
#: servers, when the supervisor had started them too, are going away at this moment.
PATIENCE = 2.0


def enlist(pipe: int, argv: list[str]) -> None:
    """Put this process on the guard's list and become the program."""
    # A guard that somebody killed is no reason not to run.
    with contextlib.suppress(OSError):
        os.write(pipe, b"+%d\n" % os.getpid())
    os.close(pipe)
    # Python ignores these two, and what is ignored stays so in the program.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - this is what it is for
    except OSError as error:
        sys.exit(f"{argv[0]}: {error.strerror}")


def watch(lines: Iterable[bytes]) -> None:
    """Keep the list until the pipe ends, then end who is still on it."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    groups: set[int] = set()
    for line in lines:
        change = groups.add if line.startswith(b"+") else groups.discard
        change(int(line[1:]))
    end(groups)


def end(groups: set[int]) -> None:
    """Ask every leader to stop, wait a moment, and kill what is left."""
    left = {group for group in groups if _sent(os.kill, group, signal.SIGTERM)}
    deadline = time.monotonic() + PATIENCE
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = {leader for leader in left if _runs(leader)}
    for group in groups:
        _sent(os.killpg, group, signal.SIGKILL)


def _runs(process: int) -> bool:
    if not _sent(os.kill, process, 0):
        return False
    # An ended process is still there until its parent, by now init, has looked.
    try:
        # pathlib would take longer to import than all the rest of this program.
        with open(f"/proc/{process}/stat", "rb") as status:  # noqa: PTH123
            return b") Z " not in status.read()
    except OSError:
        return True  # no /proc on this system: its patience decides


def _sent(send: Callable[[int, int], None], target: int, number: int) -> bool:
    try:
        send(target, number)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    if sys.argv[1] == "watch":
        watch(sys.stdin.buffer)
    else:
        enlist(int(sys.argv[2]), sys.argv[3:])
