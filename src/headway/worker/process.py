"""A process that becomes a child: how it begins, and how it ends."""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import logging
import os
import random
import signal
import sys
from collections.abc import Callable
from typing import NoReturn, ParamSpec

from headway.errors import HeadwayError
from headway.worker.address import Address
from headway.worker.child import UNFIT, Child
from headway.worker.slot import Slot
from headway.worker.start import Start

log = logging.getLogger("headway.worker")

P = ParamSpec("P")


def fork(run: Callable[[int], int], forget: Callable[[], None]) -> int:
    """Start a copy of this process that runs something; return its process id.

    What it runs is given the id of this process, and returns the copy's exit code.
    `forget` closes, in the copy, the connections that are its parent's.
    """
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    gc.freeze()  # what is there now is shared with the copy until somebody writes it
    pid = os.fork()
    if pid:
        return pid
    signal.set_wakeup_fd(-1)
    forget()
    return leave(run, parent)


def become(parent: int) -> None:
    """Be no supervisor any more, but something that lives as long as one."""
    die_with(parent)
    os.setpgid(0, 0)  # a signal for the child reaches what its jobs have started
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's
    # In C: it tells where a child is that holds the interpreter's lock, too.
    faulthandler.register(signal.SIGQUIT, all_threads=True)
    random.seed()


def begin(start: Start, address: Address, slot: Slot, parent: int) -> int:
    """Be the child, in a process that has just begun; return the exit code."""
    become(parent)
    return Child(start, address.connect(), slot, parent).run()


def leave(run: Callable[P, int], *args: P.args, **kwargs: P.kwargs) -> NoReturn:
    """End this process with what a call returns, whatever else it is in the middle of.

    A copy of the parent must not go on as the parent, nor wait for a job's threads.
    """
    code = 1
    try:
        code = run(*args, **kwargs)
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except HeadwayError as error:
        log.error("a child cannot begin: %s", error)  # noqa: TRY400 - the message says it
        code = UNFIT
    except BaseException:
        log.exception("a child ended by an error of its own")
    finally:
        logging.shutdown()
        os._exit(code)


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies; Linux only."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1  # <sys/prctl.h>
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked
        os._exit(UNFIT)
