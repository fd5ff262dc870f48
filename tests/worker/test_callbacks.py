"""What others are told of a job's end changes nothing of it."""

from __future__ import annotations

import pytest
from rq import Callback, Retry

from tests.wire.proxy import REFUSALS
from tests.worker.running import until

MODES = [(), ("--threads", "3")]
BACK = {
    "raises_back": "raised back",
    "exits_back": "exited back",
    "hangs_back": "hung back",
}


@pytest.mark.parametrize("mode", MODES, ids=["one", "threads"])
def test_a_callback_that_fails_changes_nothing(
    mode, app, tasks, burst, marks, stock, book
):
    jobs = []
    for name in BACK:
        back = Callback(f"worker_tasks.{name}", timeout=1)
        told = {"on_success": back, "on_failure": back, "retry": Retry(2)}
        jobs.append(stock.enqueue("worker_tasks.short", name, **told))
        jobs.append(stock.enqueue("worker_tasks.run_and_fail", name, **told))
    said = burst(*mode)
    well, badly = jobs[::2], jobs[1::2]
    for job in (app.job(job.id) for job in well):
        assert job.status == "finished"
        assert book.results(job) == 1
    for job in (app.job(job.id) for job in badly):
        assert job.status == "failed"
        assert "ValueError" in job.info().error  # its own, and not the callback's
    for name, mark in BACK.items():
        assert marks.count(f"run {name}") == 1 + 3
        assert marks.count(mark) >= 2
        assert f"its callback worker_tasks.{name} failed" in said


def test_an_async_callback_is_refused_and_changes_nothing(
    app, burst, marks, stock, tasks
):
    back = Callback("worker_tasks.async_back")
    job = stock.enqueue("worker_tasks.short", "word", on_success=back)
    assert "async_back is async, no callback may be" in burst()
    assert app.job(job.id).status == "finished"
    assert not marks.count("awaited back")


@pytest.mark.parametrize("mode", MODES, ids=["one", "threads"])
@pytest.mark.parametrize("way", ["raises", "hangs"])
def test_a_subscriber_that_fails_changes_nothing(
    way, mode, app, tasks, worker, marks, book
):
    if way == "hangs":
        marks.open("hang")
    worker(*mode)
    job = tasks.heard_badly.enqueue("word")
    assert job.result(timeout=10) == "word"
    assert marks.count("run word") == marks.count("heard") == 1
    assert tasks.short.enqueue("after").result(timeout=5) == "after"


@pytest.mark.parametrize("kind", ["plain", "in a thread", "awaited", "called back"])
@pytest.mark.parametrize("limit", ["proto-max-bulk-len", "maxmemory"])
def test_a_result_that_redis_cannot_take_fails_its_job(
    limit, kind, app, tasks, worker, marks, stock, store
):
    mode = ("--threads", "2") if kind == "in a thread" else ()
    worker(*mode)
    tasks.short.enqueue("ready")
    marks.until("run ready")
    before = store.config_get(limit)[limit]
    used = store.info("memory")["used_memory"]
    wanted = (2 << 20) if limit == "proto-max-bulk-len" else used + (6 << 20)
    store.config_set(limit, wanted)
    told = {}
    if kind == "called back":
        told = {"on_success": Callback("worker_tasks.called_back")}
    try:
        job = app.job(stock.enqueue("worker_tasks.large", 16, **told).id)
        if kind == "awaited":
            stock.enqueue("worker_tasks.short", "dependent", depends_on=job.id)
        until(lambda: job.status == "failed", "failed", within=60)
        assert "ResultError: Redis does not take a result of" in job.info().error
        assert tasks.short.enqueue("after").result(timeout=5) == "after"
    finally:
        store.config_set(limit, before)
    assert marks.count("run large") == 1


def test_a_large_result_outlives_an_outage(app, tasks, worker, marks, proxy):
    worker(REDIS_URL=proxy.url)
    marks.until("hook of one")
    attempts = []

    def rule(label):
        attempts.append(label)
        return REFUSALS["oom"] if len(attempts) < 60 else None

    job = tasks.large.enqueue(2)
    marks.until("run large")
    proxy.rule = rule
    assert len(job.result(timeout=25)) == 2 << 20
    assert marks.count("run large") == 1
