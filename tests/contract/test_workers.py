"""Workers that are killed, cut off, told to leave, or kept from a queue."""

from __future__ import annotations

import os
import signal

import pytest

from headway import JobStatus
from headway.backend import Capability
from tests.contract.cells import OURS, needs
from tests.contract.engines import end, has_left

ENGINES = OURS


@pytest.fixture
def go(tmp_path):
    """Let jobs end that are held."""
    return (tmp_path / "go").touch


@needs(Capability.PROGRESS)
def test_progress_is_seen_while_the_job_runs(real, until, go):
    job = real.tasks.held.enqueue("half")
    real.worker()
    until(lambda: job.progress is not None)
    assert (job.progress.fraction, job.progress.note) == (0.5, "half")
    assert job.status is JobStatus.STARTED
    go()
    assert isinstance(job.result(timeout=10), int)


@needs(Capability.RECOVERY)
def test_the_job_of_a_killed_worker_runs_again(real, until, log, go):
    job = real.tasks.held.enqueue("a")
    worker = real.worker()
    until(lambda: log() == ["begun-a"])
    end(worker, signal.SIGKILL)
    go()
    real.work()
    assert job.status is JobStatus.FINISHED
    assert log() == ["begun-a", "begun-a", "ended-a"]
    assert (job.info().attempt, job.info().errors) == (1, ())


@needs(Capability.RECOVERY)
def test_a_run_that_lost_its_lease_cannot_write_its_result(
    real, until, log, go, monkeypatch
):
    monkeypatch.setenv("HEADWAY_LEASE", "3")
    job = real.tasks.held.enqueue("a")
    frozen = real.worker()
    until(lambda: log() == ["begun-a"])
    os.killpg(frozen.pid, signal.SIGSTOP)
    go()
    other = real.worker()
    until(lambda: job.status is JobStatus.FINISHED)
    result = job.result(timeout=5)
    end(other, signal.SIGKILL)
    os.killpg(frozen.pid, signal.SIGCONT)
    # It does one at a time: by the end of the next it has done with the first.
    after = real.tasks.order.enqueue("after")
    until(lambda: after.status is JobStatus.FINISHED)
    assert job.info().result == result
    assert job.status is JobStatus.FINISHED


def test_a_worker_that_is_told_to_leave_ends_its_job_first(real, until, log, go):
    job, later = real.tasks.held.enqueue("a"), real.tasks.order.enqueue("later")
    worker = real.worker()
    until(lambda: log() == ["begun-a"])
    worker.terminate()
    go()
    has_left(worker)
    assert job.status is JobStatus.FINISHED
    real.work()
    assert log() == ["begun-a", "ended-a", "later"]
    assert later.status is JobStatus.FINISHED


def test_a_job_that_outlasts_the_grace_runs_again_in_the_next_worker(
    real, until, log, go, monkeypatch
):
    monkeypatch.setenv("HEADWAY_GRACE", "0")
    job = real.tasks.held.enqueue("a")
    worker = real.worker()
    until(lambda: log() == ["begun-a"])
    end(worker, signal.SIGTERM)
    assert job.status is JobStatus.QUEUED
    go()
    real.work()
    assert log() == ["begun-a", "begun-a", "ended-a"]
    assert (job.status, job.info().errors) == (JobStatus.FINISHED, ())


def test_a_paused_queue_is_left_alone_until_it_is_resumed(engine, log):
    backend = engine.app.backend()
    backend.pause("default")
    waiting = engine.tasks.order.enqueue("waits")
    engine.tasks.order.using(queue="low").enqueue("runs")
    engine.work()
    assert (log(), waiting.status) == (["runs"], JobStatus.QUEUED)
    backend.resume("default")
    engine.work()
    assert log() == ["runs", "waits"]
