"""One child of a worker, as a process."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import IO, NamedTuple, cast

from headway.lease import Holder
from headway.worker import process
from headway.worker.address import Address
from headway.worker.aftermath import Why
from headway.worker.slot import Slot
from headway.worker.start import Start

log = logging.getLogger("headway.worker")


#: RQ's own words for it.
STOPPED = "Job stopped by user, work-horse terminated."


class Doom(NamedTuple):
    """Why a running job's child is ended: for the job's outcome."""

    why: Why
    reason: str


# Not frozen: it is the supervisor's view of a process, which changes.
@dataclass(slots=True, kw_only=True)
class Member:
    """One child's place in the crew, through all its lives."""

    #: The rq worker that it appears as.
    worker: str
    slot: Slot
    #: What its process has in its environment; a spawned one sees its device alone.
    environment: Mapping[str, str] | None = None
    #: Never forked: a GPU's driver does not survive that.
    spawned: bool = False
    #: Descriptors that a spawned child keeps open: its claim of a device.
    inherited: tuple[int, ...] = ()
    queues: tuple[str, ...] = ()
    jobs: int | None = None
    is_first: bool = False
    pid: int = 0
    holder: Holder | None = None
    born: float = 0.0
    lives: int = 0
    #: Lives in a row that were short.
    short_lives: int = 0
    #: When it may be started; monotonic seconds.
    not_before: float = 0.0
    retired: bool = False
    #: Jobs of former lives.
    done_before: int = 0
    #: Ordinals of running jobs that it is ended for: why, and in which words.
    doomed: dict[int, Doom] = field(default_factory=dict[int, Doom])
    #: Ordinals that were taken back and are still to be released in the store.
    to_release: set[int] = field(default_factory=set[int])
    shown: set[int] = field(default_factory=set[int])
    #: It is ended because others run its jobs.
    is_void: bool = False
    #: What its process had when it was looked at last, in bytes.
    memory: int = 0
    #: Why it was ended by us although its jobs are to blame; empty where it was not.
    blamed: str = ""

    @property
    def life(self) -> Holder:
        """Return the holder of the leases of its present life, or of its last.

        Raises:
            RuntimeError: it has had none.
        """
        if self.holder is None:
            raise RuntimeError(f"{self.worker} has not been started yet")
        return self.holder

    @property
    def is_alive(self) -> bool:
        """Tell whether it has a process."""
        return self.pid > 0

    @property
    def done(self) -> int:
        """Return how many jobs it has ended, in all lives."""
        return self.done_before + (self.slot.done if self.lives else 0)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to it and to what its jobs have started."""
        if not self.is_alive:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if number == signal.SIGKILL:
                os.killpg(self.pid, number)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)


def new_holder(worker: str) -> Holder:
    """Return the holder of leases of a life that begins."""
    prefix = secrets.token_hex(8)
    return Holder(child=f"{worker}:{prefix}", worker=worker, execution_prefix=prefix)


def fork(start: Start, slot: Slot, address: Address, forget: Callable[[], None]) -> int:
    """Start a child as a copy of this process; return its process id.

    `forget` closes, in the child, the connections that are its parent's.
    """
    return process.fork(partial(process.begin, start, address, slot), forget)


def spawn(
    start: Start,
    slot: Slot,
    address: Address,
    environment: Mapping[str, str],
    inherited: Sequence[int],
) -> int:
    """Start a child as a new program; return its process id.

    Raises:
        OSError: it could not be started, or ended before it was told what to be.
    """
    program = subprocess.Popen(
        [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}\n{_PROGRAM}"],
        stdin=subprocess.PIPE,
        env={**os.environ, **environment},
        pass_fds=[slot.descriptor, *inherited],
    )
    program.returncode = 0  # the supervisor waits for all its children by itself
    pipe = cast("IO[bytes]", program.stdin)
    with pipe:
        pickle.dump((start, slot.descriptor, os.getpid(), address), pipe)
    return program.pid


#: What a spawned child runs; its path is its parent's, that of its jobs' programs not.
_PROGRAM = "from headway.worker.spawned import main; main()"
