"""RQ's commands, and what RQ's own tools see meanwhile."""

from __future__ import annotations

import signal

import pytest
from rq import Callback, Worker
from rq.command import (
    send_command,
    send_kill_horse_command,
    send_shutdown_command,
    send_stop_job_command,
)
from rq.job import Job

from tests.worker.running import until

MODES = [(), ("--threads", "3"), ("--concurrency", "3")]


def rq_state(store, name):
    return store.hget(f"rq:worker:{name}", "state")


@pytest.mark.parametrize("mode", MODES, ids=["one", "threads", "loop"])
def test_a_long_job_is_seen_and_can_be_stopped(
    mode, app, tasks, worker, marks, book, store, command
):
    running = worker("--name", "w", *mode)
    task = tasks.held_async if "--concurrency" in mode else tasks.held
    job, other = task.enqueue("long"), None
    if mode:
        other = task.enqueue("other")
        marks.until("begin other")
    marks.until("begin long")
    until(lambda: rq_state(store, "w") == b"busy", "busy")
    until(lambda: any(i.startswith(job.id) for i in book.of("wip")), "shown")
    info = command("rq", "info", "--url", app_url(store), "-R")
    assert "busy" in info.stdout
    assert any(i.startswith(job.id) for i in book.of("wip"))
    (seen,) = Worker.all(connection=store)
    assert seen.get_state() == "busy"
    send_stop_job_command(store, job.id)
    until(lambda: job.status == "stopped", "stopped")
    assert book.of("failed") == [job.id]
    if other is not None:
        marks.open("other")
        assert other.result(timeout=5) == "other"
        assert marks.count("begin other") == 1
    assert tasks.short.enqueue("after").result(timeout=5) == "after"
    until(lambda: book.of("wip") == [], "no longer shown")
    assert running.stop() == 0


def app_url(store):
    kwargs = store.connection_pool.connection_kwargs
    return f"redis://{kwargs['host']}:{kwargs['port']}/{kwargs.get('db', 0)}"


def test_one_execution_can_be_stopped_and_another_one_not(
    app, tasks, worker, marks, store, stock
):
    worker("--name", "w")
    job = tasks.held.enqueue("long")
    marks.until("begin long")
    rq_job = Job.fetch(job.id, store, stock.serializer)
    until(rq_job.get_executions, "shown")
    (execution,) = rq_job.get_executions()
    for wanted in ("another", execution.id):
        send_command(
            store,
            execution.worker_name,
            "stop-execution",
            job_id=job.id,
            execution_id=wanted,
        )
    until(lambda: job.status == "stopped", "stopped")


def test_a_job_that_waits_behind_another_in_its_child_can_be_stopped(
    app, tasks, worker, marks, book, store
):
    running = worker("--name", "w")
    app.enqueue_many([tasks.short.message(str(n)) for n in range(30)])
    until(lambda: len(book.of("finished")) == 30, "it knows that jobs are short")
    running.send(signal.SIGSTOP)  # it would give back what waits for long
    first, second = app.enqueue_many(
        [tasks.held.message("first"), tasks.short.message("second")]
    )
    marks.until("begin first")
    assert second.status == "started"
    assert second.cancel()
    running.send(signal.SIGCONT)
    until(lambda: "stop-job" in running.said, "told")
    marks.open("first")
    assert first.result(timeout=5) == "first"
    until(lambda: second.status == "stopped", "stopped")
    assert marks.count("run second") == 0
    assert running.stop() == 0


def test_in_threads_a_job_that_only_rqs_code_can_run_is_stopped_and_not_failed(
    app, tasks, worker, marks, book, store, stock
):
    worker("--name", "w", "--threads", "3")
    callback = Callback("worker_tasks.short")
    job = stock.enqueue("worker_tasks.held", "long", on_failure=callback)
    marks.until("begin long")
    send_stop_job_command(store, job.id, stock.serializer)
    until(lambda: job.get_status() == "stopped", "stopped")
    assert book.of("failed") == [job.id]
    assert tasks.short.enqueue("after").result(timeout=5) == "after"


def test_kill_horse_fails_the_job_and_the_worker_goes_on(
    app, tasks, worker, marks, store
):
    running = worker("--name", "w")
    job = tasks.held.enqueue("long")
    marks.until("begin long")
    send_kill_horse_command(store, "w")
    until(lambda: job.status == "failed", "failed")
    assert "killed by a command" in job.info().error
    assert tasks.short.enqueue("after").result(timeout=5) == "after"
    assert marks.count("begin long") == 1
    assert running.stop() == 0


def test_shutdown_lets_the_running_job_end(app, tasks, worker, marks, store, book):
    running = worker("--name", "w", "--children", "2")
    job = tasks.held.enqueue("long")
    marks.until("begin long")
    until(lambda: store.exists("rq:worker:w-1"), "registered")
    send_shutdown_command(store, "w-1")
    until(lambda: "stopping" in running.said, "stopping")
    marks.open("long")
    assert running.end() == 0
    assert job.status == "finished"
    assert book.leased() == []


def test_nonsense_on_its_channel_is_passed_over(app, tasks, worker, marks, store):
    worker("--name", "w")
    tasks.short.enqueue("a")
    marks.until("run a")
    for text in ("no json", "[]", '{"command": 5}', '{"command": "dance"}', "null"):
        store.publish("rq:pubsub:w", text)
    assert tasks.short.enqueue("b").result(timeout=5) == "b"
