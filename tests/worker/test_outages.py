"""Redis goes away and comes back; the worker waits, and nothing is lost or doubled."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from time import monotonic

import pytest
from redis import Redis

from tests.worker.running import until

MODES = [(), ("--threads", "3")]


@pytest.fixture
def server(new_valkey):
    """A server of this test's own, for what would disturb others."""
    server = new_valkey()
    server._config |= {"appendonly": "yes", "appendfsync": "always"}
    server.start()
    yield server
    server.terminate()


@pytest.fixture
def redis_url(server):
    return server.connection_url


def pid_of(store):
    return store.info("server")["process_id"]


def again(server):
    server.stop()
    server.start()


@pytest.mark.parametrize("mode", MODES, ids=["one", "threads"])
def test_idle_and_busy_children_outlive_a_restart(
    mode, app, tasks, worker, marks, server, book
):
    running = worker("--children", "2", *mode)
    job = tasks.held.enqueue("long")
    marks.until("begin long")
    again(server)
    until(lambda: "Redis is away" in running.said, "said so")
    other = tasks.short.enqueue("other")
    marks.until("run other")
    marks.open("long")
    assert job.result(timeout=10) == "long"
    assert other.result(timeout=5) == "other"
    until(lambda: "Redis is back" in running.said, "said so")
    assert marks.count("begin long") == 1
    assert running.stop() == 0
    assert book.leased() == []


def test_a_server_killed_under_load_loses_and_doubles_nothing(
    app, tasks, worker, marks, server, store, book
):
    jobs = app.enqueue_many([tasks.short.message(str(n)) for n in range(3000)])
    running = worker("--children", "2")
    marks.until("run 300")
    for at in (300, 900, 1500):
        until(lambda at=at: len(marks.all()) > at + 100, "some work")
        os.kill(pid_of(store), signal.SIGKILL)
        again(server)
    until(lambda: store.zcard("rq:finished:default") == 3000, "all finished")
    assert sorted(book.of("finished")) == sorted(job.id for job in jobs)
    assert [book.results(job) for job in jobs] == [1] * 3000
    ran = Counter(line for line in marks.all() if line.startswith("run "))
    assert ran.keys() == {f"run {n}" for n in range(3000)}
    assert sum(ran.values()) == 3000
    assert "its result is discarded" not in running.said
    assert running.stop() == 0
    assert book.leased() == book.waiting() == []


def test_a_frozen_server_and_one_that_has_forgotten_the_scripts(
    app, tasks, worker, marks, store
):
    worker()
    tasks.short.enqueue("ready")
    marks.until("run ready")
    pid = pid_of(store)
    os.kill(pid, signal.SIGSTOP)
    thaw = threading.Timer(7, os.kill, (pid, signal.SIGCONT))
    thaw.start()  # longer than any answer is waited for
    thaw.join()
    store.script_flush()
    job = tasks.short.enqueue("after")
    assert job.result(timeout=10) == "after"
    assert marks.count("run after") == 1


@pytest.mark.parametrize("mode", MODES, ids=["one", "threads"])
def test_a_full_server_is_waited_for(mode, app, tasks, worker, marks, store, book):
    running = worker(*mode)
    well, badly = tasks.held.enqueue("well"), None
    marks.until("begin well")
    if mode:
        badly = tasks.held_then_fail.enqueue("badly")
        marks.until("begin badly")
    store.config_set("maxmemory", "1mb")
    marks.open("well", "badly")
    marks.until("end well")
    until(lambda: "OOM" in running.said or "maxmemory" in running.said, "said so")
    store.config_set("maxmemory", "0")
    assert well.result(timeout=10) == "well"
    if badly:
        until(lambda: badly.status == "failed", "failed")
        assert "ValueError" in badly.info().error
    assert marks.count("begin well") == 1
    assert "a child of" not in running.said


def test_a_failure_waits_for_room_as_well(app, tasks, worker, marks, store):
    running = worker()
    job = tasks.held_then_fail.enqueue("badly")
    marks.until("begin badly")
    store.config_set("maxmemory", "1mb")
    marks.open("badly")
    until(lambda: "waits until Redis takes it" in running.said, "said so")
    store.config_set("maxmemory", "0")
    until(lambda: job.status == "failed", "failed")
    assert "ValueError" in job.info().error
    assert marks.count("begin badly") == 1


def test_it_waits_for_a_server_that_is_not_there_yet(app, tasks, worker, marks, server):
    job = tasks.short.enqueue("early")
    server.stop()
    running = worker()
    until(lambda: "waiting for Redis at" in running.said, "said so")
    server.start()
    with Redis.from_url(server.connection_url) as client:
        if not client.exists(f"rq:job:{job.id}"):
            tasks.short.enqueue("early")
    marks.until("run early")
    assert running.stop() == 0


def test_it_can_be_stopped_while_redis_is_away(app, tasks, worker, marks, server):
    running = worker("--children", "2")
    tasks.short.enqueue("ready")
    marks.until("run ready")
    server.stop()
    until(lambda: "Redis is away" in running.said, "said so")
    running.send(signal.SIGTERM)
    assert running.end(12) == 0


@pytest.mark.parametrize("mode", MODES, ids=["one", "threads"])
def test_a_worker_whose_redis_is_frozen_leaves_all_the_same(
    mode, app, tasks, worker, marks, store
):
    running = worker(*mode, HEADWAY_GRACE="2")
    tasks.held.enqueue("long")
    marks.until("begin long")
    redis = pid_of(store)
    os.kill(redis, signal.SIGSTOP)
    try:
        begin = monotonic()
        running.send(signal.SIGTERM)
        running.end(within=20)
        assert monotonic() - begin < 2 + 2 + 2  # the grace, last words, and a moment
    finally:
        os.kill(redis, signal.SIGCONT)
