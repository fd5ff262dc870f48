"""Tasks that tell in a file what they do, and some that do the worst."""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import psycopg
from worker_app import app

from headway import (
    Interrupted,
    JobInfo,
    Retry,
    RunningJob,
    current_job,
    fixed,
    injected,
)
from headway.events import Event, JobSucceeded

task = app.task
FOLDER = Path(os.environ["WORKER_FOLDER"])
AT_ONCE = fixed(timedelta(0))
ONE_SECOND = timedelta(seconds=1)


def mark(line: str) -> None:
    with (FOLDER / "marks").open("a") as file:
        file.write(f"{line}\n")


def this_job() -> RunningJob:
    job = current_job()
    assert job is not None
    return job


def is_open(gate: str) -> bool:
    return (FOLDER / f"gate-{gate}").exists()


@task
def short(word: str) -> str:
    mark(f"run {word}")
    return word


@task
def empty(number: int) -> int:
    return number


@task
def where() -> int:
    return os.getpid()


@task
def started_at() -> float:
    return time.time()


@task
def held(gate: str) -> str:
    """Run until the test opens the gate."""
    mark(f"begin {gate}")
    while not is_open(gate):
        time.sleep(0.005)
    mark(f"end {gate}")
    return gate


@task
async def held_async(gate: str) -> str:
    mark(f"begin {gate}")
    while not is_open(gate):  # noqa: ASYNC110 - a gate is a file
        await asyncio.sleep(0.005)
    mark(f"end {gate}")
    return gate


@task
def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@task
def fail(text: str) -> None:
    raise ValueError(text)


@task
def fail_on_a_file() -> None:
    raise ValueError(f"no file {os.fsdecode(bytes([0x63, 0xE9]))}")


@task(retry=Retry(attempts=2, backoff=AT_ONCE))
def again(word: str) -> str:
    mark(f"run {word}")
    if this_job().attempt == 1:
        raise ValueError("not yet")
    return word


@task
def run_and_fail(word: str) -> None:
    mark(f"run {word}")
    raise ValueError(word)


@task
def run_for(word: str, seconds: float) -> str:
    mark(f"run {word}")
    time.sleep(seconds)
    return word


# What a timeout has to end


@task(timeout=ONE_SECOND)
def loop_in_python() -> None:
    mark("begin loop")
    while True:
        pass


@task(timeout=ONE_SECOND)
def loop_in_c() -> None:
    mark("begin c")
    ctypes.PyDLL(None).sleep(60)  # holds the interpreter's lock


@task(timeout=ONE_SECOND, retry=Retry(attempts=2, backoff=AT_ONCE))
def loop_in_c_once() -> str:
    job = current_job()
    if job and job.attempt == 1:
        ctypes.PyDLL(None).sleep(60)
    return "second"


@task(timeout=ONE_SECOND)
def swallow() -> None:
    while True:
        try:
            while True:
                time.sleep(0.01)
        except Exception:  # noqa: BLE001 - the mistake under test
            mark("swallowed")


@task(timeout=ONE_SECOND)
def swallow_all() -> None:
    while True:
        try:
            while True:
                time.sleep(0.01)
        except BaseException:  # noqa: BLE001 - the mistake under test
            mark("swallowed all")


@task
def hold_the_lock(seconds: int) -> str:
    """Let no other thread of this process run."""
    mark("begin lock")
    ctypes.PyDLL(None).sleep(seconds)
    return "held"


@task(timeout=ONE_SECOND)
async def loop_async() -> None:
    while True:  # noqa: ASYNC110 - it is meant never to end
        await asyncio.sleep(0.01)


# What ends a worker


@task
def kill(word: str, times: int = 1) -> str:
    """End this process by a signal, the first times that it runs."""
    mark(f"run {word}")
    if _count(f"run {word}") <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return word


@task
def exit_at_once(code: int) -> None:
    mark(f"exit {code}")
    os._exit(code)


@task(retry=Retry(attempts=2, backoff=AT_ONCE))
def fail_once(word: str) -> str:
    job = current_job()
    if job and job.attempt == 1:
        raise ValueError("not yet")
    return word


@task
def segfault() -> None:
    mark("segfault")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.string_at(0)


@task
def sys_exit() -> None:
    sys.exit("enough")


@task
def out_of_memory() -> None:
    raise MemoryError


def _count(line: str) -> int:
    return (FOLDER / "marks").read_text().splitlines().count(line)


# What a job says and gets


@task
def report(times: int) -> None:
    job = this_job()
    for number in range(1, times + 1):
        job.progress(number, times)
    job.log("all said")


@task
def report_then_wait(gate: str) -> None:
    job = this_job()
    job.progress(1, 2)
    held.function(gate)
    job.progress(2, 2)
    job.log("late")


@task
def unspeakable() -> object:
    return object()


@app.resource
def tally() -> Iterator[list[int]]:
    mark(f"opened {os.getpid()}")
    yield []
    mark(f"closed {os.getpid()}")


@task
def count(seen: Annotated[list[int], tally] = injected) -> tuple[int, int]:
    seen.append(1)
    return os.getpid(), len(seen)


@task
def grow(mebibytes: int) -> int:
    bytearray(mebibytes * 1024 * 1024)
    return os.getpid()


@app.on_worker_start()
def hook() -> None:
    mark(f"hook {os.getpid()}")
    if is_open("no-start"):
        raise OSError("the database is down")


@task
def decimal_progress() -> None:
    job = current_job()
    assert job
    for done in (Decimal("0.5"), Decimal(1)):
        job.progress(done, 1, note="so far")  # type: ignore[arg-type]


@app.on_worker_start(queue="one")
def hook_of_one() -> None:
    mark("hook of one")


@task
def held_then_fail(gate: str) -> None:
    held.function(gate)
    raise ValueError(gate)


# What a job does that is broken off


@task
def pages(gate: str) -> int:
    """Count on from where an earlier attempt was broken off, until the gate opens."""
    job = this_job()
    page = job.last_checkpoint or 0
    mark(f"begin {gate} at {page}")
    try:
        while not is_open(gate):
            time.sleep(0.005)
            page += 1
    except Interrupted:
        job.checkpoint(page)
        mark(f"saved {gate} at {page}")
        raise
    return page


@task
async def pages_async(gate: str) -> int:
    job = this_job()
    page = job.last_checkpoint or 0
    mark(f"begin {gate} at {page}")
    try:
        while not is_open(gate):
            await asyncio.sleep(0.005)
            page += 1
    except asyncio.CancelledError:
        job.checkpoint(page)
        mark(f"saved {gate} at {page}")
        raise
    return page


@task
def deaf(gate: str) -> None:
    """Go on whatever is raised."""
    mark(f"begin {gate}")
    while not is_open(gate):
        try:
            time.sleep(0.01)
        except BaseException:  # noqa: BLE001 - the mistake under test
            mark(f"deaf {gate}")


@task
def hasty(gate: str) -> str:
    """End well when it is broken off."""
    mark(f"begin {gate}")
    try:
        held.function(gate)
    except Interrupted:
        return "what there was"
    return "all"


@task
def die_when_interrupted(gate: str) -> None:
    mark(f"begin {gate}")
    try:
        held.function(gate)
    except Interrupted:
        os._exit(3)


@task
def called_back(*_about: object) -> None:
    mark("called back")


@task
def raises_back(*_about: object) -> None:
    mark("raised back")
    raise OSError("of the callback")


@task
def exits_back(*_about: object) -> None:
    mark("exited back")
    sys.exit("of the callback")


def hang() -> None:
    while True:
        time.sleep(0.01)


@task
def hangs_back(*_about: object) -> None:
    mark("hung back")
    hang()


@task
async def async_back(*_about: object) -> None:
    mark("awaited back")


@task(timeout=ONE_SECOND)
def heard_badly(word: str) -> str:
    mark(f"run {word}")
    return word


@app.subscribe
def hear_badly(event: Event) -> None:
    """Raise, or hang, when it is told that `heard_badly` has ended."""
    if isinstance(event, JobSucceeded) and event.task.endswith("heard_badly"):
        mark("heard")
        if is_open("hang"):
            hang()
        raise OSError("of the subscriber")


@task
def large(mebibytes: int) -> str:
    mark("run large")
    return "x" * (mebibytes << 20)


# What says itself what becomes of it when its worker has died


def fate_by_word(job: JobInfo) -> Literal["requeue", "fail"]:
    mark(f"asked of {job.args[0]}: {len(job.crashes)}")
    if job.args[0] == "raises":
        raise OSError("the database is down")
    return "fail" if job.args[0] == "once" else "requeue"


@task(on_orphan="fail")
def once(word: str) -> str:
    return kill.function(word)


@task(on_orphan=fate_by_word)
def decided(word: str) -> str:
    return kill.function(word)


@task(on_orphan=fate_by_word)
def held_decided(gate: str) -> str:
    return held.function(gate)


def fate_when_open(job: JobInfo) -> Literal["fail"]:
    held.function(f"fate of {job.args[0]}")
    return "fail"


@task(on_orphan=fate_when_open)
def held_undecided(gate: str) -> str:
    return held.function(gate)


# What writes into a database of its own


def connect() -> psycopg.Connection:
    return psycopg.connect(os.environ["DATABASE_URL"])


@task
def write(word: str) -> str:
    job = this_job()
    with connect() as database:
        if not job.commit(database):
            return "was there"
        row = (word, job.fence)
        database.execute("INSERT INTO written VALUES (%s, %s)", row)
    return "written"


@task
def write_and_die(word: str) -> str:
    mark(f"run {word}")
    found = write.function(word)
    if found == "written":
        os.kill(os.getpid(), signal.SIGKILL)
    return found


@task
def write_after(gate: str) -> str:
    held.function(gate)
    return write.function(gate)


@task(retry=Retry(attempts=2, backoff=AT_ONCE))
def write_second_time(word: str) -> str:
    job = this_job()
    with connect() as database:
        assert job.commit(database)
        row = (word, job.fence)
        database.execute("INSERT INTO written VALUES (%s, %s)", row)
        if job.attempt == 1:
            raise ValueError("not yet")
    return "written"


@task(retry=Retry(attempts=2, backoff=AT_ONCE))
async def write_async(word: str) -> str:
    job = this_job()
    address = os.environ["DATABASE_URL"]
    async with await psycopg.AsyncConnection.connect(address) as database:
        assert await job.commit_async(database)
        row = (word, job.fence)
        await database.execute("INSERT INTO written VALUES (%s, %s)", row)
        if job.attempt == 1:
            raise ValueError("not yet")
    return "written"


@task
def write_without_transaction() -> None:
    job = this_job()
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as database:
        job.commit(database)


@task
def write_into() -> None:
    job = this_job()
    job.commit("postgresql://")


# What is too much, and what is odd


@task
def hoard(mebibytes: int) -> None:
    mark("hoard")
    kept = bytearray(mebibytes * 1024 * 1024)
    while True:
        kept[0] += 0
        time.sleep(0.01)


@task
def fork(word: str) -> str:
    """Leave a copy of the child, which goes on as if it were the child."""
    pid = os.fork()
    if not pid:
        time.sleep(0.2)
        return "of the copy"
    return word


@task
def talk_without_end(lines: int) -> int:
    job = this_job()
    for number in range(lines):
        print("x" * 1000)
        job.log(f"line {number}")
    return lines


# What is repeated


@task
def repeated(word: str) -> str:
    """Write down which of its runs this is, at its begin and at its end."""
    job = this_job()
    left = app.job(job.id).info().repeats_left
    mark(f"begin {word} {left}")
    if is_open(f"slow-{word}"):
        time.sleep(0.05)
    mark(f"end {word} {left}")
    return word


@task
def join(word: str, numbers: list[int]) -> int:
    mark(f"run {word}")
    return sum(numbers)


@task
def how_many(values: list[Any]) -> int:
    return len(values)


@task
def part(number: int) -> int:
    mark(f"run part {number}")
    return number


@task
def spread(count: int) -> None:
    mark("run spread")
    this_job().fan_out([part.message(number) for number in range(count)])


def kill_behind_spread(event: Event) -> None:
    """Be killed once, where a task has returned and its end is not written."""
    gate = FOLDER / "kill-behind-spread"
    is_it = isinstance(event, JobSucceeded) and event.task.endswith("spread")
    if is_it and gate.exists():
        gate.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


app.subscribe(kill_behind_spread, JobSucceeded)
