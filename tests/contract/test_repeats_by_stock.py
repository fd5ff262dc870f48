"""Jobs of ours that repeat under RQ's own worker: it goes on after successes alone."""

from __future__ import annotations

from datetime import timedelta

from headway import JobStatus, Repeat

ENGINES = ("stock",)
HOUR = timedelta(hours=1)
HOURLY = Repeat(2, HOUR)


def _next(engine) -> None:
    engine.pass_time(HOUR + timedelta(seconds=1))
    engine.work()


def test_a_stock_worker_runs_it_as_often(engine, log):
    call = engine.tasks.order.using(unique="k")
    job = call.using(repeat=HOURLY).enqueue("run")
    engine.work()
    info = job.info()
    assert (info.status, info.repeats_left) == (JobStatus.SCHEDULED, 1)
    _next(engine)
    assert call.enqueue("other").duplicate
    _next(engine)
    assert (job.status, log()) == (JobStatus.FINISHED, ["run"] * 3)
    assert not call.enqueue("other").duplicate


def test_what_a_run_says_of_itself_is_not_the_next_ones(engine, log):
    job = engine.tasks.tells.using(repeat=HOURLY).enqueue()
    engine.work()
    _next(engine)
    assert log() == ["None", "None"]
    assert job.info().log == ("said 1",)


def test_each_run_may_begin_so_late(engine, log):
    job = engine.tasks.order.using(repeat=HOURLY, expires=2 * HOUR).enqueue("run")
    engine.work()
    _next(engine)
    _next(engine)
    assert (job.status, log()) == (JobStatus.FINISHED, ["run"] * 3)


def test_a_failed_run_ends_it_and_gives_the_unique_key_back(engine):
    call = engine.tasks.fail.using(unique="k")
    job = call.using(repeat=HOURLY).enqueue("x")
    engine.work()
    assert (job.status, job.info().repeats_left) == (JobStatus.FAILED, 2)
    assert not call.enqueue("x").duplicate
