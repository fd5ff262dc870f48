"""The same worker under RQ's own commands."""

from __future__ import annotations

import signal

import pytest

from tests.worker.running import Worker, until


@pytest.fixture
def rq(start, environment):
    running = []

    def begin(*arguments, **env):
        arguments = (*arguments, "--url", environment["REDIS_URL"])
        made = Worker(start("rq", *arguments, env=env))
        running.append(made)
        return made

    yield begin
    for each in running:
        each.close()


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (("worker", "-w", "headway.Worker"), {}),
        (("worker",), {"RQ_WORKER_CLASS": "headway.Worker"}),
    ],
    ids=["-w", "RQ_WORKER_CLASS"],
)
def test_rq_worker_is_one_child_under_the_given_name(
    arguments, env, app, tasks, rq, store, marks, book
):
    app.enqueue_many([tasks.short.message(str(n)) for n in range(50)])
    last = tasks.short.using(queue="high").enqueue("urgent")
    running = rq(*arguments, "high", "default", "-n", "mine", "--burst", **env)
    assert running.end() == 0, running.said
    assert len(book.of("finished")) == 50
    assert last.status == "finished"
    assert marks.all()[-51] == "run urgent" or "run urgent" in marks.all()[:3]
    assert book.field(last, "worker_name") == "mine"
    assert "Listening on high, default" in running.said
    assert f"job={last.id}" in running.said or last.id in running.said


def test_rq_worker_heeds_its_options_and_its_signals(
    app, tasks, rq, marks, book, store
):
    app.enqueue_many([tasks.short.message(str(n)) for n in range(20)])
    limited = rq("worker", "-w", "headway.Worker", "default", "--max-jobs", "5")
    assert limited.end() == 0, limited.said
    assert len(book.of("finished")) == 5
    idle = rq("worker", "-w", "headway.Worker", "default", "--max-idle-time", "1")
    assert idle.end() == 0, idle.said
    assert len(book.of("finished")) == 20
    running = rq("worker", "-w", "headway.Worker", "default")
    job = tasks.held.enqueue("long")
    marks.until("begin long")
    running.send(signal.SIGINT)
    marks.open("long")
    assert running.end() == 0, running.said
    assert job.status == "finished"


def test_rq_worker_with_several_children(app, tasks, rq, store, marks):
    running = rq(
        "worker", "-w", "headway.Worker", "-n", "w", "default", HEADWAY_CHILDREN="2"
    )
    until(lambda: store.scard("rq:workers") == 2, "two records")
    jobs = [tasks.held.enqueue(gate) for gate in "ab"]
    marks.until("begin a")
    marks.until("begin b")
    marks.open("a", "b")
    until(lambda: all(j.status == "finished" for j in jobs), "finished")
    assert running.stop() == 0


def test_a_pool_of_workers(app, tasks, rq, store, marks, book):
    jobs = app.enqueue_many([tasks.short.message(str(n)) for n in range(50)])
    pool = rq("worker-pool", "-w", "headway.Worker", "-n", "2", "default")
    until(lambda: len(book.of("finished")) == 50, "all finished")
    until(lambda: store.scard("rq:workers") == 2, "two workers")
    assert [book.results(job) for job in jobs] == [1] * 50
    assert pool.stop() == 0, pool.said
    assert not store.smembers("rq:workers")


def test_an_unknown_queue_is_refused_under_rq_too(rq):
    running = rq("worker", "-w", "headway.Worker", "nowhere")
    assert running.end() != 0
    assert "no queue 'nowhere'; queues.py declares" in running.said


@pytest.mark.parametrize(
    ("queue", "app_name", "words"),
    [
        ("nowhere", "worker_app:app", "Error: worker_app:app: no queue 'nowhere'"),
        ("default", "nowhere:app", "nowhere"),
    ],
)
def test_mistakes_are_told_without_a_traceback(queue, app_name, words, app, rq, store):
    running = rq("worker", "-w", "headway.Worker", queue, HEADWAY_APP=app_name)
    assert running.end() == 1
    assert words in running.said
    assert "Traceback" not in running.said
