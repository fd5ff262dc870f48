"""Which queue is next, and which is not served for now."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.worker.running import until


def fill(app, tasks, count):
    app.enqueue_many(
        [
            tasks.short.using(queue=queue).message(queue)
            for queue in ("default", "high")
            for _ in range(count)
        ]
    )


def ran(marks):
    return [line.removeprefix("run ") for line in marks.all() if line[:3] == "run"]


def test_by_default_the_first_queue_comes_first(app, tasks, burst, marks):
    fill(app, tasks, 30)
    burst("high", "default")
    assert ran(marks) == ["high"] * 30 + ["default"] * 30


def test_round_robin_takes_turns(app, tasks, burst, marks):
    fill(app, tasks, 20)
    burst("high", "default", "--dequeue-strategy", "round_robin")
    assert ran(marks) == ["high", "default"] * 20


@pytest.mark.parametrize(
    ("strategy", "low", "high"), [("random", 60, 140), ("weighted", 115, 185)]
)
def test_other_orders_are_drawn(strategy, low, high, app, tasks, burst, marks):
    fill(app, tasks, 400)
    burst("high", "default", "-ds", strategy)
    first = Counter(ran(marks)[:200])
    assert low <= first["high"] <= high


def test_an_unknown_strategy_and_an_unknown_queue_are_refused(command):
    done = command("headway", "worker", "-ds", "best")
    assert done.returncode == 2
    assert "weighted" in done.stderr
    done = command("headway", "worker", "defualt")
    assert done.returncode == 2
    assert "'defualt'" in done.stderr
    assert "high, default, one" in done.stderr


@pytest.mark.parametrize("mode", [(), ("--threads", "3")], ids=["one", "threads"])
def test_a_paused_queue_waits_and_a_suspended_worker_too(
    mode, app, tasks, worker, marks, store, command, book, environment
):
    store.sadd("headway:paused", "high")
    paused = tasks.short.using(queue="high").enqueue("paused")
    worker("--name", "w", *mode)
    tasks.short.enqueue("other")
    marks.until("run other")
    assert book.waiting("high") == [paused.id]
    store.srem("headway:paused", "high")
    assert marks.until("run paused") < 1
    url = environment["REDIS_URL"]
    assert command("rq", "suspend", "--url", url).returncode == 0
    held = tasks.short.enqueue("held back")
    until(lambda: store.hget("rq:worker:w", "state") == b"suspended", "suspended")
    assert book.waiting() == [held.id]
    assert command("rq", "resume", "--url", url).returncode == 0
    assert marks.until("run held back") < 3
