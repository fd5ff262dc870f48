"""A worker ends by itself: when there is nothing left, or when it has done enough."""

from __future__ import annotations

import signal

import pytest

from headway.errors import ArgumentError
from tests.worker.running import until


def numbers(app, tasks, count):
    return app.enqueue_many([tasks.short.message(str(n)) for n in range(count)])


def test_a_burst_runs_each_job_once_and_leaves_nothing_behind(
    app, tasks, burst, marks, store, book
):
    jobs = numbers(app, tasks, 300)
    burst("--children", "3")
    ran = sorted(line for line in marks.all() if line.startswith("run"))
    assert ran == sorted(f"run {n}" for n in range(300))
    assert sorted(book.of("finished")) == sorted(job.id for job in jobs)
    assert book.waiting() == book.leased() == book.of("wip") == []
    assert not store.smembers("rq:workers")
    assert not store.exists("headway:wake:default")


@pytest.mark.parametrize(
    "mode",
    [
        ("--children", "1"),
        ("--children", "3"),
        ("--threads", "4"),
        ("--concurrency", "4"),
    ],
    ids=" ".join,
)
def test_max_jobs_is_exact(mode, app, tasks, worker, book):
    numbers(app, tasks, 50)
    assert worker("--max-jobs", "7", *mode).end() == 0
    assert len(book.of("finished")) == 7
    assert len(book.waiting()) == 43


def test_jobs_that_were_given_back_do_not_count_as_done(
    app, tasks, worker, marks, book
):
    numbers(app, tasks, 20)  # so that it takes many at once
    running = worker("--max-jobs", "60")
    marks.until("run 19")
    long = tasks.held.enqueue("long")
    marks.until("begin long")
    numbers(app, tasks, 100)
    marks.open("long")
    assert running.end() == 0
    assert len(book.of("finished")) == 60
    assert long.status == "finished"


def test_it_stops_when_it_was_idle_for_long_enough(app, tasks, worker, book):
    numbers(app, tasks, 3)
    running = worker("--max-idle-time", "1", "--children", "2")
    assert running.end() == 0
    assert len(book.of("finished")) == 3
    assert "idle for as long as it may be" in running.said


def test_children_that_have_done_their_share_do_not_keep_an_idle_worker(
    app, tasks, worker, book
):
    numbers(app, tasks, 1)
    running = worker("--max-jobs", "2", "--max-idle-time", "1", "--children", "2")
    assert running.end() == 0


def test_each_child_has_a_record_and_a_living_name_is_refused(
    app, tasks, worker, command, store
):
    running = worker("--name", "w", "--children", "2")
    until(lambda: store.scard("rq:workers") == 2, "two records")
    assert store.smembers("rq:workers") == {b"rq:worker:w-1", b"rq:worker:w-2"}
    # An RQ worker on another host may be alive.
    store.hset("rq:worker:v-2", mapping={"birth": "x", "hostname": "far", "pid": 1})
    for name, taken in (("w", "w-1"), ("v", "v-2")):
        refused = command("headway", "worker", "--name", name, "--children", "2")
        assert refused.returncode == 2
        assert f"a worker named {taken!r} runs already" in refused.stderr
        assert "--name" in refused.stderr
    assert b"rq:worker:v-1" not in store.smembers("rq:workers")
    alone = command("headway", "worker", "--name", "w", "--children", "1")
    assert alone.returncode == 2
    assert "a worker named 'w' runs already" in alone.stderr
    assert running.stop() == 0
    assert not store.smembers("rq:workers")


@pytest.mark.parametrize("host", ["here", "elsewhere"])
def test_the_name_of_a_worker_that_was_killed_is_free_at_once(
    host, app, tasks, worker, marks, store
):
    lost = worker("--name", "w", HEADWAY_HOST=host)
    tasks.short.enqueue("before")
    marks.until("run before")
    lost.send(signal.SIGKILL)
    lost.end()
    assert store.ttl("rq:worker:w") > 60
    if host == "here":  # any worker of the machine takes it out of RQ's lists
        other = worker("--name", "other", HEADWAY_HOST=host)
        until(lambda: not store.exists("rq:worker:w"), "no record", within=5)
        assert store.smembers("rq:workers") == {b"rq:worker:other"}
        assert other.stop() == 0
    # Somewhere else it cannot be known to be dead: that is said.
    running = worker("--name", "w", HEADWAY_HOST="here")
    assert tasks.short.enqueue("after").result(timeout=5) == "after"
    assert ("is taken over" in running.said) is (host == "elsewhere")
    assert running.stop() == 0


def test_a_child_with_too_much_memory_is_ended_before_the_kernel_does(
    app, tasks, burst, marks, book
):
    large, small = tasks.hoard.enqueue(400), tasks.short.enqueue("small")
    said = burst("--memory-limit", "300")
    assert small.result() == "small"
    assert large.status == "failed"
    assert marks.count("hoard") == 3
    assert "MiB of memory; --memory-limit allows 300" in (large.info().error or "")
    assert "--memory-limit allows 300" in said
    assert len(large.info().crashes) == 3


def test_a_call_that_is_too_large_is_refused_with_the_way_out(app, tasks, store):
    with pytest.raises(ArgumentError, match=r"50\.0 MiB .* at most 16 travel: keep"):
        tasks.short.enqueue("x" * (50 << 20))
    assert store.keys("rq:job:*") == []


def test_a_job_that_says_much_is_as_any_other(app, tasks, worker):
    worker()
    job = tasks.talk_without_end.enqueue(20_000)
    assert job.result(timeout=30) == 20_000
    assert len(job.info().log) == 100


def test_a_job_that_forks_ends_once(app, tasks, worker, book):
    running = worker()
    job = tasks.fork.enqueue("first")
    assert job.result(timeout=10) == "first"
    after = tasks.short.enqueue("after")
    assert after.result(timeout=10) == "after"
    assert running.stop() == 0
    assert book.results(job) == 1
    assert book.leased() == []
