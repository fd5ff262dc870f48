"""What guarantees.md says of a kill; to be changed with it, once it is better."""

from __future__ import annotations

import pytest

from tests.docs.project import Project

APP = """
import os
import signal

from headway import App, Queue, Retry

app = App(queues=[Queue("high"), Queue("default")], tasks="queues")


@app.task(retry=Retry(attempts=5))
def kill(child: int, worker: int) -> None:
    with open("runs", "a") as runs:
        runs.write("run ")
    if worker:
        os.kill(os.getppid(), worker)
    os.kill(os.getpid(), child)
    signal.pause()
"""
ENQUEUE = "from queues import app, kill\njob = kill.enqueue({child}, {worker})"
#: What RQ does when 90 seconds without a sign of life are over.
TIME_PASSES = """
client = app.backend().client
for entry in client.zrange("rq:wip:default", 0, -1):
    client.zadd("rq:wip:default", {entry: 1})
"""
KILL, TERMINATE = 9, 15


@pytest.fixture
def begun(project: Project) -> Project:
    project.write("queues.py", APP, append=False)
    return project


def python(project: Project, source: str) -> None:
    wrong = project.run_python(source, path="guarantees", line=0, session=False)
    assert wrong == ""


@pytest.mark.parametrize("signal", [KILL, TERMINATE])
def test_a_job_whose_own_process_is_killed_is_failed_and_not_retried(begun, signal):
    python(begun, ENQUEUE.format(child=signal, worker=0))
    begun.run("headway worker --burst")
    python(begun, "assert job.status == 'failed', job.info()")
    assert (begun.folder / "runs").read_text() == "run "


def test_a_job_whose_worker_is_killed_stays_started_and_then_is_failed(begun):
    python(begun, ENQUEUE.format(child=KILL, worker=KILL))
    status, _ = begun.run("headway worker --burst")
    assert status != 0
    python(begun, "assert job.status == 'started', job.info()")

    python(begun, TIME_PASSES)
    begun.run("headway worker --burst")
    python(begun, "assert 'AbandonedJobError' in job.info().error, job.info()")
    assert (begun.folder / "runs").read_text() == "run "

    status, output = begun.run("headway failed requeue --all")
    assert (status, output) == (0, "1 requeued\n")
    python(begun, "assert job.status == 'queued', job.info()")
