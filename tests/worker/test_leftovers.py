"""What RQ's own workers leave behind when they are killed comes back in seconds."""

from __future__ import annotations

import signal

import psutil
import pytest
from rq.job import Job as RQJob
from rq.registry import ReadyJobRegistry

from tests.worker.running import Worker, until


@pytest.fixture
def stock_worker(start, environment):
    running = []

    def begin(*arguments):
        url = ("--url", environment["REDIS_URL"], "-S", "json")
        made = Worker(start("rq", "worker", "default", *url, *arguments))
        running.append(made)
        return made

    yield begin
    for each in running:
        each.close()


def kill_all(running):
    top = psutil.Process(running.process.pid)
    for process in [top, *top.children(recursive=True)]:
        process.kill()


def test_a_job_of_a_killed_rq_worker_runs_again_and_counts_as_a_crash(
    app, tasks, worker, stock_worker, stock, store, marks, book
):
    stock.enqueue("worker_tasks.held", "gate", job_id="long")
    lost = stock_worker()
    marks.until("begin gate")
    kill_all(lost)
    marks.open("gate")
    (name,) = store.smembers("rq:workers")
    store.hset(name, "last_heartbeat", "2026-01-01T00:00:00.000000Z")
    running = worker()
    marks.until("begin gate", times=2, within=10)
    job = app.job("long")
    assert job.result(timeout=5) == "gate"
    assert book.field(job, "headway_crashes") == "1"
    assert "one of RQ's own, is gone" in job.info().crashes[0]
    assert book.of("wip") == book.leased() == []
    assert "job long is requeued" in running.said


def test_a_job_that_was_popped_into_nowhere_comes_back_uncounted(
    app, tasks, worker, store, marks, book
):
    jobs = [tasks.short.enqueue(str(n)) for n in range(3)]
    store.lmove("rq:queue:default", "rq:queue:default:intermediate", "LEFT", "RIGHT")
    running = worker()
    assert [job.result(timeout=10) for job in jobs] == ["0", "1", "2"]
    assert [marks.count(f"run {n}") for n in range(3)] == [1] * 3
    assert not book.field(jobs[0], "headway_crashes")
    assert store.llen("rq:queue:default:intermediate") == 0
    words = f"job {jobs[0].id} goes back to the front of default"
    until(lambda: words in running.said, "said so")


def test_a_living_rq_worker_is_left_alone(
    app, tasks, worker, stock_worker, stock, marks, book
):
    stock.enqueue("worker_tasks.held", "gate", job_id="long")
    busy = stock_worker()
    marks.until("begin gate")
    running = worker("--lease", "3")
    for number in range(4):  # each after a sweep or two
        until(lambda: len(book.of("wip")) == 1, "it runs")
        pause = tasks.nap.enqueue(2)
        assert pause.result(timeout=10) == 2, number
    marks.open("gate")
    assert app.job("long").result(timeout=10) == "gate"
    assert marks.count("begin gate") == 1
    assert "goes back" not in running.said
    busy.send(signal.SIGTERM)
    assert busy.end() == 0


@pytest.mark.parametrize("left", ["ready", "deferred"])
def test_jobs_whose_parents_have_finished_are_enqueued(
    left, app, tasks, worker, stock, store, marks
):
    running = worker("--children", "2")
    parent = stock.enqueue("worker_tasks.held", "parent", result_ttl=500)
    marks.until("begin parent")
    child = stock.enqueue("worker_tasks.short", "child", depends_on=parent)
    assert store.zscore("rq:deferred:default", child.id)
    if left == "ready":
        ReadyJobRegistry(queue=stock).register_jobs(
            [child], pipeline := store.pipeline()
        )
        pipeline.execute()
    else:  # its parent's worker has died between two steps
        store.delete(RQJob.dependents_key_for(parent.id))
        marks.open("parent")
        until(lambda: parent.get_status(refresh=True) == "finished", "the parent ended")
        assert marks.count("run child") == 0
        store.sadd(RQJob.dependents_key_for(parent.id), child.id)
    marks.until("run child", within=12)
    marks.open("parent")
    assert marks.count("run child") == 1
    assert running.process.poll() is None


def test_a_hash_that_is_corrupt_stops_no_sweep(app, tasks, worker, store, marks):
    store.lpush("rq:queue:default:intermediate", "odd")
    store.set("rq:job:odd", "no hash")
    store.zadd("rq:wip:default", {"no-colon": 1, "a:b": 2})
    job = tasks.short.enqueue("moved")
    store.lmove("rq:queue:default", "rq:queue:default:intermediate", "LEFT", "LEFT")
    running = worker()
    assert job.result(timeout=10) == "moved"
    assert running.stop() == 0
