"""How long a job waits for a worker that has time for it."""

from __future__ import annotations

import statistics
import threading
import time

import pytest
from rq.job import Job
from rq.serializers import JSONSerializer

from tests.worker.running import until


def waits(tasks, enqueue):
    """Return the milliseconds from before it was sent to its begin, for 20 jobs."""
    found, pause = [], threading.Event()
    for _ in range(20):
        pause.wait(0.02)  # so that the worker is idle again
        sent = time.time()
        job = enqueue()
        until(lambda job=job: job.get("status") == b"finished", "it ran")
        found.append(1000 * (float(job.get("result")) - sent))
    return found


class Sent:
    """A job that was sent, looked at without much ado."""

    def __init__(self, store, job_id):
        self._store, self._id = store, job_id

    def get(self, name):
        if name == "result":
            return Job.fetch(self._id, self._store, JSONSerializer).return_value()
        return self._store.hget(f"rq:job:{self._id}", name)


@pytest.mark.parametrize("mode", [(), ("--threads", "2")], ids=["one", "threads"])
def test_our_jobs_begin_in_a_few_milliseconds_and_stock_ones_in_a_tenth_of_a_second(
    mode, app, tasks, worker, marks, stock, store
):
    worker(*mode)
    tasks.short.enqueue("ready")
    marks.until("run ready")
    ours = waits(tasks, lambda: Sent(store, tasks.started_at.enqueue().id))
    assert statistics.median(ours) < 15
    theirs = waits(
        tasks, lambda: Sent(store, stock.enqueue("worker_tasks.started_at").id)
    )
    assert statistics.median(theirs) < 130
    assert max(theirs) < 400


@pytest.mark.parametrize("mode", [(), ("--threads", "2")], ids=["one", "threads"])
def test_a_long_job_keeps_nobody_waiting(mode, app, tasks, worker, marks):
    app.enqueue_many([tasks.short.message(str(n)) for n in range(200)])
    worker("--children", "2", *mode)
    marks.until("run 199")
    batch = [tasks.short.message(f"before {n}") for n in range(10)]
    batch += [tasks.held.message("long")]
    batch += [tasks.short.message(f"after {n}") for n in range(30)]
    jobs = app.enqueue_many(batch)
    marks.until("begin long")
    others = [job for n, job in enumerate(jobs) if n != 10]
    took = until(lambda: all(j.status == "finished" for j in others), "all others")
    assert took < 1  # a tenth, and what a busy machine adds
    assert jobs[0].result() == "before 0"
    assert jobs[10].status == "started"
    marks.open("long")
    assert jobs[10].result(timeout=5) == "long"
    ran = [line for line in marks.all() if line.startswith("run ")]
    assert len(ran) == len(set(ran)) == 240


def test_a_queue_of_single_jobs_is_not_fetched_ahead(app, tasks, worker, marks, book):
    many = [tasks.short.using(queue="one").message(str(n)) for n in range(50)]
    app.enqueue_many(many)
    worker("one")
    marks.until("run 49")
    tasks.held.using(queue="one").enqueue("long")
    marks.until("begin long")
    next_one = tasks.short.using(queue="one").enqueue("next")
    assert book.waiting("one") == [next_one.id]
    marks.open("long")
    assert next_one.result(timeout=5) == "next"
