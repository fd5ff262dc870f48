"""Jobs that repeat, whatever becomes of a run, of its child, or of the worker."""

from __future__ import annotations

import os
import random
import signal
import threading
from datetime import timedelta

import pytest
from rq import Repeat as RQRepeat

from headway import JobStatus, Repeat, Retry, fixed
from headway.job import JobInfo
from tests.worker.running import until

MILLISECOND = timedelta(milliseconds=1)
SOON = 20 * MILLISECOND
HOUR = timedelta(hours=1)
SCHEDULING = ("--with-scheduler",)


def ended(job) -> JobInfo:
    until(lambda: job.status.is_final, "the last run", within=40)
    return job.info()


@pytest.mark.parametrize(
    "mode", [(), ("--threads", "3"), ("--concurrency", "3")], ids=["one", "many", "io"]
)
def test_the_number_of_runs_is_right_where_nothing_dies(
    mode, app, tasks, worker, marks, book
):
    jobs = [
        tasks.repeated.using(repeat=Repeat(3, SOON)).enqueue("plain"),
        tasks.run_and_fail.using(repeat=Repeat(3, SOON)).enqueue("failing"),
        tasks.again.using(repeat=Repeat(3, SOON)).enqueue("retried"),
    ]
    running = worker(*SCHEDULING, *mode)
    assert [ended(job).status for job in jobs] == ["finished", "failed", "finished"]
    assert marks.all().count("run failing") == 4
    assert marks.all().count("run retried") == 8
    assert [m for m in marks.all() if m.startswith("begin plain")] == [
        f"begin plain {left}" for left in (3, 2, 1, 0)
    ]
    assert book.of("failed") == [jobs[1].id]
    assert sorted(book.of("finished")) == sorted([jobs[0].id, jobs[2].id])
    assert (book.of("scheduled"), book.leased(), book.of("wip")) == ([], [], [])
    assert running.stop() == 0
    said = f"job {jobs[1].id}: this run failed, and it goes on: the next is due at"
    assert running.said.count(said) == 3


def test_the_time_between_two_runs_is_kept_to_the_millisecond(app, tasks, burst, book):
    wait = 1300 * MILLISECOND
    call = tasks.run_and_fail.using(repeat=Repeat(1, wait))
    failing, fine = call.enqueue("x"), tasks.short.using(repeat=Repeat(1, wait))
    fine = fine.enqueue("x")
    burst()
    for job in (failing, fine):
        info = job.info()
        late = info.due - info.ended_at - wait
        assert -MILLISECOND < late < 200 * MILLISECOND
        assert info.due.microsecond % 1_000_000
    # It is not finished: RQ would say so.
    assert (book.of("finished"), book.of("failed")) == ([], [])


def test_a_run_that_is_killed_is_run_again_and_its_crash_is_its_own(
    app, tasks, worker, marks, book
):
    once = tasks.kill.using(repeat=Repeat(2, SOON)).enqueue("once")
    always = tasks.exit_at_once.using(repeat=Repeat(1, SOON)).enqueue(3)
    running = worker(*SCHEDULING)
    assert ended(once).status is JobStatus.FINISHED
    assert marks.count("run once") == 4
    assert len(once.info().crashes) == 1
    assert ended(always).status is JobStatus.FAILED
    assert marks.count("exit 3") == 6
    info = always.info()
    assert (info.repeats_left, len(info.crashes), len(info.errors)) == (0, 6, 2)
    assert "ended 3 times" in info.error
    assert info.error.count("exited with code 3") == 4  # three, and the last again
    assert running.stop() == 0


def test_a_run_that_ran_too_long_is_followed_by_the_next(app, tasks, worker, marks):
    rule = Repeat(1, SOON)
    python = tasks.loop_in_python.using(repeat=rule).enqueue()
    in_c = tasks.loop_in_c.using(repeat=rule).enqueue()
    worker(*SCHEDULING)
    for job in (python, in_c):
        info = ended(job)
        assert (info.status, len(info.errors)) == (JobStatus.FAILED, 2)
        assert all("TaskTimeoutError" in line for line in info.errors)
    assert (marks.count("begin loop"), marks.count("begin c")) == (2, 2)


@pytest.mark.parametrize("again", [False, True], ids=["worker stops", "child dies"])
def test_a_run_that_may_not_run_twice_is_followed_by_the_next(
    again, app, tasks, worker, marks
):
    call = tasks.held.using(repeat=Repeat(1, HOUR), on_orphan="fail")
    job = call.enqueue("gate")
    running = worker(HEADWAY_GRACE="1")
    marks.until("begin gate")
    if again:
        os.kill(running.children[0], signal.SIGKILL)
    else:
        running.stop()
    until(lambda: job.status is JobStatus.SCHEDULED, "the next run is planned")
    info = job.info()
    assert (info.repeats_left, marks.count("begin gate")) == (0, 1)
    assert "may not run again" in info.error


def test_a_task_that_is_gone_may_be_back_for_the_next_run(app, tasks, burst, store):
    job = tasks.short.using(repeat=Repeat(2, HOUR)).enqueue("x")
    store.hset(f"rq:job:{job.id}", "data", b'["worker_tasks.gone", null, [], {}]')
    burst()
    info = job.info()
    assert (info.status, info.repeats_left) == (JobStatus.SCHEDULED, 1)
    assert "UnknownTaskError" in info.error


def test_a_person_who_stops_a_run_ends_it(app, tasks, worker, marks, book):
    worker(*SCHEDULING)
    call = tasks.held.using(unique="k")
    job = call.using(repeat=Repeat(5, SOON)).enqueue("gate")
    marks.until("begin gate")
    assert job.cancel()
    until(lambda: job.status is JobStatus.STOPPED, "stopped")
    assert (book.of("scheduled"), job.info().repeats_left) == ([], 5)
    until(lambda: not call.enqueue("gate").duplicate, "the key is free")


def test_a_run_that_ends_before_it_can_be_stopped_is_the_last(
    app, tasks, worker, marks, book
):
    running = worker()
    job = tasks.held.using(repeat=Repeat(5, HOUR)).enqueue("gate")
    marks.until("begin gate")
    running.send(signal.SIGSTOP)  # it hears of no command; its child goes on
    answers: list[bool] = []
    person = threading.Thread(target=lambda: answers.append(job.cancel()))
    person.start()
    marks.open("gate")
    person.join(10)
    running.send(signal.SIGCONT)
    assert answers == [True]
    assert (job.status, book.of("scheduled")) == (JobStatus.CANCELED, [])
    assert marks.count("begin gate") == 1


def test_no_run_is_lost_and_none_too_many_however_the_worker_dies(
    app, tasks, worker, marks
):
    chance = random.Random(7)
    marks.open("slow-w")
    job = tasks.repeated.using(repeat=Repeat(80, SOON)).enqueue("w")
    running = worker(*SCHEDULING)
    for whom in ("child", "worker", "child", "worker"):
        seen = _ends(marks)
        until(lambda seen=seen: _ends(marks) > seen, "another run", within=40)
        # In its end, before the next is due, or in that.
        threading.Event().wait(chance.uniform(0, 1.2))
        if whom == "child":
            os.kill(running.children[0], signal.SIGKILL)
        else:
            running.send(signal.SIGKILL)
            running.close()
            running = worker(*SCHEDULING)
    assert ended(job).status is JobStatus.FINISHED
    begun = [int(m.split()[-1]) for m in marks.all() if m.startswith("begin w")]
    assert sorted(set(begun)) == list(range(81))
    assert begun == sorted(begun, reverse=True)
    assert 81 <= len(begun) <= 81 + 4


def _ends(marks) -> int:
    return sum(line.startswith("end w") for line in marks.all())


def test_a_retry_that_waits_keeps_the_time_of_the_retry(app, tasks, burst, book):
    wait = Retry(attempts=2, backoff=fixed(timedelta(minutes=1)))
    job = tasks.run_and_fail.using(repeat=Repeat(1, HOUR), retry=wait).enqueue("x")
    burst()
    info = job.info()
    assert (info.status, info.attempt, info.repeats_left) == ("scheduled", 1, 1)
    assert info.due - info.ended_at < timedelta(minutes=2)


def test_a_job_whose_results_are_not_kept_is_kept_until_its_last_run(
    app, tasks, worker, marks, store
):
    call = tasks.short.using(repeat=Repeat(2, SOON), result_ttl=timedelta(0))
    job = call.enqueue("x")
    worker(*SCHEDULING)
    until(lambda: not store.exists(f"rq:job:{job.id}"), "forgotten")
    assert marks.count("run x") == 3


def test_rqs_own_jobs_keep_rqs_meaning(app, stock, burst, book, marks):
    fails = stock.enqueue("worker_tasks.run_and_fail", "x", repeat=RQRepeat(times=2))
    waits = stock.enqueue("worker_tasks.short", "y", repeat=RQRepeat(2, 60))
    burst()
    assert (book.of("failed"), marks.count("run x")) == ([fails.id], 1)
    assert (book.of("scheduled"), book.of("finished")) == ([waits.id], [])
    info = app.job(waits.id).info()
    assert (info.status, info.repeats_left) == (JobStatus.SCHEDULED, 1)
    assert info.due.microsecond == 0
