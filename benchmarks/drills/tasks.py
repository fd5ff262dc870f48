"""What the jobs of a drill do: write that they began, take some time, say so again.

Each run is written into the ledger as it begins, and when its work is done; then, in
one transaction with `current_job().commit`, that it counts.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta

from rq import get_current_job

from benchmarks.drills.app import app
from benchmarks.drills.traps import LEDGER, spring
from headway import Flow, Retry, chord, current_job, fixed, previous

_DAY = timedelta(days=1)  # the drill reads how each job ended only when all is over
_SHORT = timedelta(seconds=2)
_MIB = 1024 * 1024


@app.task(result_ttl=_DAY)
def work(milliseconds: float) -> float:
    """Succeed."""
    _run(milliseconds)
    _commit()
    return milliseconds


@app.task(result_ttl=_DAY)
def fail(milliseconds: float) -> None:
    """Raise, for good."""
    _run(milliseconds)
    LEDGER.write("raise", _id())
    raise ValueError(milliseconds)


@app.task(result_ttl=_DAY, retry=Retry(attempts=3, backoff=fixed(timedelta(0))))
def again(milliseconds: float) -> float:
    """Raise once, and succeed then."""
    job = current_job()
    if job is None or job.attempt > 1:
        return work.function(milliseconds)
    _run(milliseconds)
    LEDGER.write("raise", _id())
    raise OSError(milliseconds)


@app.task(result_ttl=_DAY)
def hold_the_interpreter(milliseconds: float) -> float:
    """Let no other thread of the process run meanwhile, as some C code does."""
    LEDGER.write("begin", _id())
    libc = ctypes.PyDLL(None)  # unlike CDLL it keeps the lock
    for _second in range(int(milliseconds // 1000)):
        libc.usleep(999_999)
    _commit()
    return milliseconds


@app.task(result_ttl=_DAY, timeout=_SHORT)
def poison(kind: str) -> None:
    """Do to the process what good tasks do not."""
    LEDGER.write("begin", _id())
    _POISON[kind]()


@app.task(result_ttl=_DAY)
def part(number: int) -> int:
    """Take a moment, as one of many."""
    time.sleep(0.002)
    return number


@app.task(result_ttl=_DAY)
def join(numbers: list[int]) -> int:
    """Gather what all have returned."""
    LEDGER.write("begin", _id())
    LEDGER.write("end", _id())
    return sum(numbers)


def chord_of(size: int) -> Flow[int]:
    """Return a join behind so many parts."""
    parts = [part.message(number) for number in range(size)]
    return chord(parts, join.message(previous))


def _die(how: int) -> None:
    LEDGER.write("strike", _id())
    os.kill(os.getpid(), how)


def _exit(code: int) -> None:
    LEDGER.write("strike", _id())
    os._exit(code)


def _leave() -> None:
    LEDGER.write("raise", _id())
    sys.exit()


def _take_memory() -> None:
    LEDGER.write("strike", _id())
    taken = []
    while True:  # more than a second: it is looked at now and then
        taken.append(bytearray(4 * _MIB))
        time.sleep(0.005)


def _loop_in_c() -> None:
    LEDGER.write("raise", _id())
    sum(range(10**12))


def _swallow_the_timeout() -> None:
    LEDGER.write("raise", _id())
    while True:
        try:
            time.sleep(60)
        except Exception:  # noqa: BLE001 - that is the poison
            continue


def _fork() -> None:
    if os.fork() == 0:
        return  # the copy comes back from its task, as it must not
    _commit()


def _speak_without_end() -> None:
    for _line in range(20_000):
        print("x" * 200)
    _commit()


def _leave_a_process() -> None:
    subprocess.Popen(["sleep", "30"])
    _commit()


_POISON = {
    "segv": lambda: _die(signal.SIGSEGV),
    "abort": lambda: _die(signal.SIGABRT),
    "kill": lambda: _die(signal.SIGKILL),
    "exit-0": lambda: _exit(0),
    "exit-3": lambda: _exit(3),
    "memory": _take_memory,
    "sys.exit": _leave,
    "c-loop": _loop_in_c,
    "swallow": _swallow_the_timeout,
    "fork": _fork,
    "output": _speak_without_end,
    "process": _leave_a_process,
}


def _run(milliseconds: float) -> None:
    LEDGER.write("begin", _id())
    spring("in_task", _id())
    time.sleep(milliseconds / 1000)


def _commit() -> None:
    """Write that the work is done, and that this run of it counts, if it does."""
    LEDGER.write("end", _id())
    job = current_job()
    with LEDGER.connection.transaction():
        # A worker of RQ's own has no such thing: there, each run counts itself.
        if job is None or job.commit(LEDGER.connection):
            LEDGER.write("commit", _id())


def _id() -> str:
    job = current_job() or get_current_job()
    return job.id if job else "-"
