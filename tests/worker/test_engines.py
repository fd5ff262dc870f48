"""Workers of other engines, started by their own commands, killed and told to leave."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis

from headway import App, JobStatus
from headway.backends.carried import CarriedBackend
from headway.wire import keys
from tests.conftest import ROOT
from tests.worker.running import Book, Marks, Worker, until

BIN, ARQ = Path(sys.executable).parent, ROOT / ".venv-arq" / "bin"
#: Each with one job at a time, so that a second one waits in the engine's hands.
COMMANDS = {
    "celery": f"{BIN}/celery -A headway.engines.celery worker -Q default -c 1",
    "dramatiq": f"{BIN}/dramatiq headway.engines.dramatiq -Q default -p 1 -t 1",
    "arq": f"{ARQ}/arq headway.engines.arq.default",
}
#: Where the messages of the queue are, and only they.
MESSAGES = {
    "celery": "headway:celery:default",
    "dramatiq": "headway:dramatiq:default",
    "arq": "headway:arq:default",
}
PATIENCE = 40.0


@pytest.fixture(params=COMMANDS, ids="by_{}".format)
def engine(request) -> str:
    return request.param


@pytest.fixture
def environment(environment, engine, monkeypatch) -> dict[str, str]:
    monkeypatch.setenv("HEADWAY_ENGINE", engine)
    arq = {"HEADWAY_ARQ_PYTHON": str(ARQ / "python")}
    return environment | arq | {"HEADWAY_ENGINE": engine, "HEADWAY_LEASE": "3"}


@pytest.fixture
def worker(environment, engine, tmp_path) -> Iterator[Callable[..., Worker]]:
    """Start the engine's own worker of the queue `default`."""
    running: list[Worker] = []

    def begin(command: str = COMMANDS[engine], **env: str) -> Worker:
        process = subprocess.Popen(
            command.split(),
            env=environment | env,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        running.append(Worker(process))
        return running[-1]

    yield begin
    for each in running:
        kill(each)


def kill(worker: Worker) -> None:
    """End a worker and all that it has started, at once."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(worker.process.pid, signal.SIGKILL)
    worker.close()
    worker.process.stdout.close()


@pytest.fixture
def backend(app: App, engine) -> CarriedBackend:
    found = app.backend()
    assert isinstance(found, CarriedBackend)
    assert found.engine == engine
    return found


def test_a_job_runs_and_its_result_comes_back(worker, tasks):
    worker()
    assert tasks.short.enqueue("a").result(timeout=PATIENCE) == "a"


def test_headway_worker_becomes_the_engines_own(worker, tasks, engine):
    begun = worker(f"{BIN}/headway worker default")
    assert tasks.short.enqueue("a").result(timeout=PATIENCE) == "a"
    assert begun.stop() == 0


def test_the_job_of_a_killed_worker_runs_again_and_the_crash_is_counted(
    worker, tasks, marks: Marks, book: Book
):
    job = tasks.held.enqueue("a")
    first = worker()
    marks.until("begin a", within=PATIENCE)
    kill(first)
    worker()
    marks.until("begin a", times=2, within=PATIENCE)
    marks.open("a")
    assert job.result(timeout=PATIENCE) == "a"
    assert (marks.count("begin a"), marks.count("end a")) == (2, 1)
    assert book.field(job, "headway_crashes") == "1"


@pytest.mark.parametrize("task", ["held", "held_async"])
def test_a_job_that_outlasts_the_grace_is_given_back_and_the_worker_ends_well(
    worker, tasks, marks: Marks, book: Book, task
):
    job = getattr(tasks, task).enqueue("a")
    begun = worker(HEADWAY_GRACE="1")
    marks.until("begin a", within=PATIENCE)
    begun.send(signal.SIGTERM)
    assert begun.end(PATIENCE) == 0
    assert job.status is JobStatus.QUEUED
    assert book.field(job, "headway_crashes") == ""
    assert book.leased() == []


def test_a_job_that_ends_within_the_grace_is_waited_for(worker, tasks, marks: Marks):
    job = tasks.held.enqueue("a")
    begun = worker()
    marks.until("begin a", within=PATIENCE)
    begun.send(signal.SIGTERM)
    marks.open("a")
    assert begun.end(PATIENCE) == 0
    assert job.status is JobStatus.FINISHED


def test_a_message_that_comes_twice_is_run_once(
    worker, tasks, marks: Marks, backend, store: Redis
):
    job = tasks.short.enqueue("twice")
    store.rpush(keys.queue("default"), job.id)
    assert backend.relay(["default"]) == 1
    after = tasks.short.enqueue("after")
    worker()
    assert after.result(timeout=PATIENCE) == "after"
    until(lambda: backend.carrier.is_empty("default"), "all messages are taken")
    assert job.result(timeout=PATIENCE) == "twice"
    assert marks.count("run twice") == 1


def test_a_message_that_was_lost_is_sent_again(worker, tasks, store: Redis, engine):
    job = tasks.short.enqueue("a")
    assert store.delete(MESSAGES[engine]) == 1
    store.zincrby(keys.sent("default"), -60, job.id)
    worker()
    assert job.result(timeout=PATIENCE) == "a"


@pytest.mark.parametrize("task", ["held", "held_async"])
def test_a_job_that_runs_is_stopped_and_the_next_one_begins(
    worker, tasks, marks: Marks, task
):
    job = getattr(tasks, task).enqueue("a")
    worker()
    marks.until("begin a", within=PATIENCE)
    assert job.cancel()
    until(lambda: job.status is JobStatus.STOPPED, "it is stopped", PATIENCE)
    assert tasks.short.enqueue("next").result(timeout=PATIENCE) == "next"
    assert marks.count("end a") == 0


def test_rq_info_shows_the_worker_and_its_job(
    worker, tasks, marks: Marks, command, redis_url, engine
):
    tasks.held.enqueue("a")
    worker()
    marks.until("begin a", within=PATIENCE)
    shown = command("rq", "info", "-u", redis_url, "--only-workers", "--raw")
    assert shown.returncode == 0, shown.stderr
    (line,) = [each for each in shown.stdout.splitlines() if each.startswith("worker")]
    assert f"-{engine}-" in line
    marks.open("a")


def test_a_delayed_job_comes_by_the_scheduler_alone(worker, tasks, start, marks: Marks):
    worker()
    start("headway", "scheduler")
    job = tasks.short.using(delay=timedelta(seconds=1)).enqueue("late")
    assert job.result(timeout=PATIENCE) == "late"
    assert marks.count("run late") == 1


@pytest.mark.parametrize("engine", ["celery"], indirect=True)
class TestCeleryThatIsToLeaveAtOnce:
    """A second Ctrl-C, SIGQUIT, or SIGTERM to all its processes."""

    def test_its_job_goes_back_to_its_queue(
        self, worker, tasks, marks: Marks, book: Book
    ):
        job = tasks.held.enqueue("a")
        begun = worker()
        marks.until("begin a", within=PATIENCE)
        begun.send(signal.SIGQUIT)
        begun.end(PATIENCE)
        assert job.status is JobStatus.QUEUED
        assert book.field(job, "headway_crashes") == ""
        assert book.leased() == []

    def test_one_signal_to_all_processes_is_as_one_to_the_worker(
        self, worker, tasks, marks: Marks
    ):
        job = tasks.held.enqueue("a")
        begun = worker()
        marks.until("begin a", within=PATIENCE)
        os.killpg(begun.process.pid, signal.SIGTERM)
        marks.open("a")
        assert begun.end(PATIENCE) == 0
        assert job.status is JobStatus.FINISHED


@pytest.mark.parametrize("engine", ["celery"], indirect=True)
class TestCelerysRemoteControl:
    """What Flower sends as well."""

    CONTROL = ("celery", "-A", "headway.engines.celery", "control")

    def test_a_revoked_job_that_waits_is_canceled(
        self, worker, tasks, marks: Marks, command
    ):
        tasks.held.enqueue("a")
        worker()
        marks.until("begin a", within=PATIENCE)
        job = tasks.short.enqueue("b")
        done = command(*self.CONTROL, "revoke", job.id)
        assert done.returncode == 0, done.stdout
        marks.open("a")
        until(lambda: job.status is JobStatus.CANCELED, "it is canceled", PATIENCE)
        assert tasks.short.enqueue("c").result(timeout=PATIENCE) == "c"
        assert marks.count("run b") == 0

    def test_a_job_that_is_terminated_is_stopped_and_no_crash(
        self, worker, tasks, marks: Marks, book: Book, command
    ):
        job = tasks.held.enqueue("a")
        worker()
        marks.until("begin a", within=PATIENCE)
        done = command(*self.CONTROL, "terminate", "TERM", job.id)
        assert done.returncode == 0, done.stdout
        until(lambda: job.status is JobStatus.STOPPED, "it is stopped", PATIENCE)
        assert book.field(job, "headway_crashes") == ""
        assert tasks.short.enqueue("b").result(timeout=PATIENCE) == "b"


@pytest.mark.parametrize("engine", ["celery"], indirect=True)
class TestCeleryThatFetchesAhead:
    """Its messages are acknowledged when a job begins: the lease has to keep it."""

    AHEAD = f"{COMMANDS['celery']} --prefetch-multiplier 4"

    def test_the_job_of_a_killed_worker_runs_again(
        self, worker, tasks, marks: Marks, store: Redis
    ):
        job = tasks.held.enqueue("a")
        first = worker(self.AHEAD)
        marks.until("begin a", within=PATIENCE)
        until(lambda: not store.hlen("headway:celery:unacked"), "it is acknowledged")
        kill(first)
        worker(self.AHEAD)
        marks.until("begin a", times=2, within=PATIENCE)
        marks.open("a")
        assert job.result(timeout=PATIENCE) == "a"

    def test_what_waits_in_a_busy_worker_goes_to_a_free_one(
        self, worker, tasks, marks: Marks, store: Redis, engine
    ):
        tasks.held.enqueue("a")
        worker(self.AHEAD)
        marks.until("begin a", within=PATIENCE)
        # As many as it fetches ahead: it could take what is sent again as well.
        jobs = [tasks.short.enqueue(f"b{number}") for number in range(4)]
        until(lambda: not store.exists(MESSAGES[engine]), "they are fetched")
        worker(self.AHEAD)
        results = [job.result(timeout=PATIENCE) for job in jobs]
        assert results == ["b0", "b1", "b2", "b3"]
        assert marks.count("end a") == 0


class TestWithoutRedis:
    """It is gone, and does not come back."""

    @pytest.fixture
    def server(self, new_valkey):
        server = new_valkey()
        server.start()
        yield server
        server.terminate()

    @pytest.fixture
    def redis_url(self, server) -> str:
        return server.connection_url

    @pytest.mark.parametrize("name", ["held", "short"])
    def test_a_worker_leaves_all_the_same(
        self, worker, tasks, marks: Marks, server, name
    ):
        begun = worker(
            f"{BIN}/headway worker default", HEADWAY_GRACE="1", HEADWAY_CHILDREN="1"
        )
        getattr(tasks, name).enqueue("a")
        marks.until("begin a" if name == "held" else "run a", within=PATIENCE)
        server.stop()
        begun.send(signal.SIGTERM)
        begun.end(PATIENCE)
