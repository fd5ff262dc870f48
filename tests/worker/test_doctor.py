"""`headway doctor`, on what is healthy and on what is broken, each really."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

from headway import Every, Schedule
from headway.declared_schedules import declared_schedules
from tests.worker.running import until


@pytest.fixture
def server(new_valkey):
    """A server of this test's own, that keeps what it is given."""
    server = new_valkey()
    server._config |= {"appendonly": "yes"}
    server.start()
    yield server
    server.terminate()


@pytest.fixture
def redis_url(server):
    return server.connection_url


@pytest.fixture
def doctor(command):
    def look(*options, **env):
        done = command("headway", "doctor", "--json", *options, env=env)
        assert not done.stderr, done.stderr
        return done.returncode, json.loads(done.stdout)

    return look


def bad(found):
    return [(each["level"], each["about"]) for each in found if each["level"] != "ok"]


def said(found, about):
    return " ".join(
        f"{each['found']} -> {each['mend']}" for each in found if each["about"] == about
    )


def test_a_healthy_set_up_has_nothing_to_mend(app, tasks, worker, command, doctor):
    running = worker("high", "default", "one", "--with-scheduler")
    tasks.short.enqueue("up").result(timeout=10)
    until(app.schedules.all, "the schedule that the code declares")
    code, found = doctor("--strict")
    assert bad(found) == []
    assert code == 0
    assert {"redis", "latency", "clock", "persistence", "eviction", "connections"} <= {
        each["about"] for each in found
    }
    shown = command("headway", "doctor")
    assert shown.returncode == 0
    assert shown.stdout.splitlines()[-1] == "doctor: 10 ok, 0 warnings, 0 problems"
    assert running.stop() == 0


def test_a_redis_that_may_lose_jobs(app, store, doctor):
    for name, value in (
        ("appendonly", "no"),
        ("save", ""),
        ("maxmemory", "50mb"),
        ("maxmemory-policy", "allkeys-lru"),
    ):
        store.config_set(name, value)
    code, found = doctor("--strict")
    assert code == 1
    assert ("problem", "persistence") in bad(found)
    assert ("problem", "eviction") in bad(found)
    assert "a restart loses all jobs -> set `appendonly yes`" in said(
        found, "persistence"
    )
    store.config_set("save", "3600 1")
    store.config_set("maxmemory", 0)
    _, found = doctor()
    assert ("warning", "persistence") in bad(found)
    assert ("warning", "eviction") in bad(found)


def test_a_redis_that_is_nearly_full(app, store, doctor):
    store.config_set("maxmemory", int(store.info("memory")["used_memory"] * 1.1))
    _, found = doctor()
    assert "of maxmemory is used -> raise maxmemory" in said(found, "memory")
    store.config_set("maxmemory", 0)
    store.config_set("maxclients", 10)
    clients = [store.client().connection_pool.make_connection() for _ in range(8)]
    for client in clients:
        client.connect()
    _, found = doctor()
    assert "raise maxclients" in said(found, "connections")
    for client in clients:
        client.disconnect()


def test_a_redis_that_is_away_or_refuses(app, server, store, doctor):
    code, found = doctor("--strict", REDIS_URL="redis://127.0.0.1:1/0")
    assert code == 1
    assert ("problem", "redis") in bad(found)
    assert "Start it, or name another in REDIS_URL" in said(found, "redis")
    store.config_set("requirepass", "secret")
    _, found = doctor()
    assert "correct REDIS_URL" in said(found, "redis")
    store.config_set("requirepass", "")


def test_a_replica(app, store, doctor, new_valkey):
    store.replicaof("127.0.0.1", 1)
    _, found = doctor()
    store.replicaof("NO", "ONE")
    assert "name the primary in REDIS_URL" in said(found, "role")


def test_queues_that_nobody_serves(app, tasks, store, doctor):
    tasks.short.enqueue("waits")
    tasks.short.using(queue="one").enqueue("due")
    store.delete("rq:queue:one")
    store.lpush("headway:quarantine", "odd")
    store.zadd("rq:scheduled:high", {"late": time.time() - 100})
    store.set("rq:queue:high", "no list")
    _, found = doctor()
    assert ("problem", "queues") in bad(found)
    about = said(found, "queues")
    assert "default: 1 jobs wait, and no worker serves it" in about
    assert "one: no worker serves it -> start `headway worker one`" in about
    assert "the key of high holds a string" in about
    assert "start `headway scheduler`" in said(found, "scheduler")
    assert "1 ids were put aside" in said(found, "quarantine")


def test_schedules_that_wait_for_a_time_that_a_wrong_clock_has_told(
    app, tasks, store, doctor
):
    for name in ("daily", "hourly", "paused", "odd"):
        app.schedules.add(Schedule(name, Every(hours=1), tasks.short.message("x")))
    ahead = int((time.time() + 2 * 3600) * 1e6)
    for name in ("daily", "paused"):
        store.hset(f"headway:schedule:{name}", "cursor", ahead)
    store.hset("headway:schedule:hourly", "waiting", f"1 {ahead}")
    app.schedules.pause("paused")
    store.hset("headway:schedule:odd", "cursor", "many")
    _, found = doctor()
    about = said(found, "scheduler")
    assert "daily and 1 more: served while the clock of Redis was an hour" in about
    assert "-> `headway schedules pause NAME` and `resume NAME`" in about
    for name in ("daily", "hourly"):
        app.schedules.pause(name)
        app.schedules.resume(name)
    _, found = doctor()
    assert "the clock of Redis" not in said(found, "scheduler")


def test_schedules_that_are_not_as_the_code_declares_them(app, tasks, doctor):
    [package] = app.registry.packages
    old = Schedule("old", Every(hours=1), tasks.short.message("x"))
    app.schedules.declare({f"{package}.schedules": [old]})
    _, found = doctor()
    about = said(found, "schedules")
    assert "old: in Redis, and declared no more -> start `headway scheduler`" in about
    assert "tick: declared in the code, and not in Redis" in about
    app.schedules.declare(declared_schedules(app))
    _, found = doctor()
    assert "schedules" not in {each["about"] for each in found}


def test_schedules_that_nobody_sends(app, store, doctor):
    store.zadd("headway:schedules:due", {"nightly": 1e15, "hourly": 1e15})
    _, found = doctor()
    assert ("problem", "scheduler") in bad(found)
    about = said(found, "scheduler")
    assert "2 schedules are due, the first for " in about
    assert "no scheduler runs -> start `headway scheduler`, or a worker with" in about
    store.set("headway:schedules:leader", "somebody")
    _, found = doctor()
    assert "schedules are due" not in said(found, "scheduler")
    store.delete("headway:schedules:leader", "headway:schedules:due")
    store.set("headway:schedules:due", "no list")
    _, found = doctor()
    assert "schedules are due" not in said(found, "scheduler")


def test_queues_that_somebody_has_stopped(app, tasks, store, doctor):
    tasks.short.enqueue("waits")
    app.queue("default").pause()
    store.set("rq:suspended", 1)
    _, found = doctor()
    assert "default: 1 waiting, and it is paused -> `headway resume default`" in said(
        found, "queues"
    )
    assert "`rq resume`" in said(found, "workers")


def test_a_worker_that_was_not_heard_of(app, tasks, worker, store, doctor):
    running = worker("--name", "w")
    until(lambda: store.exists("rq:worker:w"), "a record")
    pids = [running.process.pid, *running.children]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    store.hset("rq:worker:w", "last_heartbeat", "2026-01-01T00:00:00.000000Z")
    _, found = doctor()
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    assert "w on" in said(found, "workers")


@pytest.mark.parametrize(
    ("env", "about", "words"),
    [
        ({"HEADWAY_APP": "nowhere:app"}, "application", "nowhere cannot be imported"),
        ({"HEADWAY_GRACE": "long"}, "environment", "HEADWAY_GRACE='long'"),
        ({"REDIS_URL": "http://x"}, "environment", "REDIS_URL"),
        (
            {"REDIS_URL": "redis://localhost:1/abc"},
            "environment",
            "redis://host:6379/0",
        ),
    ],
)
def test_an_environment_that_cannot_be_used(env, about, words, doctor):
    code, found = doctor("--strict", **env)
    assert code == 1
    assert words in said(found, about)


@pytest.mark.parametrize("engine", ["celery", "dramatiq"])
def test_a_broker_that_does_not_answer_is_told(engine, doctor):
    code, found = doctor(
        "--strict",
        HEADWAY_ENGINE=engine,
        HEADWAY_BROKER_URL="amqp://guest:secret@127.0.0.1:1/",
    )
    assert code == 1
    assert ("problem", "broker") in bad(found)
    assert f"{engine} on RabbitMQ does not answer" in said(found, "broker")
    assert "jobs are kept in Redis" in said(found, "broker")
    assert "secret" not in said(found, "broker")
