"""One application whose queues have several engines, served by one command."""

from __future__ import annotations

import signal

import pytest

from headway import Every, Schedule
from tests.worker.running import Marks, until

PATIENCE = 40.0


@pytest.fixture
def environment(environment, monkeypatch) -> dict[str, str]:
    monkeypatch.setenv("WORKER_ENGINE_OF_ONE", "celery")
    return environment | {"WORKER_ENGINE_OF_ONE": "celery"}


def test_a_worker_of_several_engines_serves_each_by_its_own(worker, tasks, book):
    begun = worker("--lease", "5")
    jobs = [tasks.short.using(queue=name).enqueue(name) for name in ("default", "one")]
    assert [job.result(timeout=PATIENCE) for job in jobs] == ["default", "one"]
    by = [book.field(job, "worker_name") for job in jobs]
    assert ["-celery-" in name for name in by] == [False, True]
    assert begun.stop() == 0


def test_its_jobs_are_finished_before_it_leaves(worker, tasks, marks: Marks):
    begun = worker()
    jobs = [tasks.held.using(queue=name).enqueue(name) for name in ("default", "one")]
    for name in ("default", "one"):
        marks.until(f"begin {name}", within=PATIENCE)
    begun.send(signal.SIGTERM)
    for name in ("default", "one"):
        marks.open(name)
    assert begun.end(PATIENCE) == 0
    assert [job.result() for job in jobs] == ["default", "one"]


@pytest.mark.parametrize("queue", ["default", "one"])
def test_a_schedule_is_there_once_and_sent(worker, start, app, tasks, queue):
    worker()
    message = tasks.short.using(queue=queue).message("tick")
    app.schedules.add(Schedule("often", Every(seconds=1), message))
    assert [info.name for info in app.schedules.all()] == ["often"]
    start("headway", "scheduler")
    until(lambda: app.schedules.get("often").last is not None, "it is sent", PATIENCE)
    assert app.job(app.schedules.get("often").last.job_id).result(PATIENCE) == "tick"


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--burst", "--burst: the worker of celery has no such option"),
        ("--name=a", "start `headway worker high default` and `headway worker one`"),
    ],
)
def test_what_is_not_for_all_of_them_is_refused(command, option, said):
    done = command("headway", "worker", option)
    assert done.returncode == 2
    assert said in done.stderr
