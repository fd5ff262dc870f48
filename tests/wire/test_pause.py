"""A paused queue is left alone by our workers, and taken up where it was left."""

from __future__ import annotations

import pytest

from headway import Queue
from headway.errors import ConfigurationError
from headway.testing import in_memory
from headway.wire import keys


def _burst(work) -> None:
    work("headway", "worker", "--burst", "--children", "1", "default", "low")


def test_a_paused_queue_is_skipped_until_it_is_resumed(app, basic, work):
    low = app.queue("low")
    held, other = basic.add.using(queue="low").enqueue(1), basic.add.enqueue(2)
    low.pause()
    assert low.paused
    assert not app.queue("default").paused
    _burst(work)
    assert (held.status, other.status) == ("queued", "finished")
    low.resume()
    assert not low.paused
    _burst(work)
    assert held.result(timeout=5) == 2


def test_resuming_wakes_a_worker_that_sleeps(app, basic, store):
    low = app.queue("low")
    low.pause()
    basic.add.using(queue="low").enqueue(1)
    store.delete(keys.wake("low"))  # as a worker does that finds it paused
    low.resume()
    assert store.llen(keys.wake("low")) == 1
    low.resume()
    assert store.llen(keys.wake("low")) == 1


def test_resuming_an_empty_queue_wakes_nobody(app, store):
    app.queue("low").resume()
    assert not store.exists(keys.wake("low"))


def test_queues_are_paused_and_resumed_by_commands(app, command):
    paused = command("headway", "pause", "low", "default")
    assert paused.stdout == "paused low\npaused default\n"
    assert app.queue("low").paused
    assert app.queue("default").paused
    assert command("headway", "resume", "low").stdout == "resumed low\n"
    assert not app.queue("low").paused
    assert app.queue("default").paused


def test_a_queue_that_is_not_declared_is_refused_before_any_is_paused(app, command):
    done = command("headway", "pause", "low", "lwo")
    assert done.returncode == 2
    assert "'lwo'" in done.stderr
    assert not app.queue("low").paused


def test_the_memory_engine_leaves_a_paused_queue_alone(app, basic):
    with in_memory(app) as harness:
        job, low = basic.add.using(queue="low").enqueue(1), app.queue("low")
        low.pause()
        assert low.paused
        assert harness.drain() == 0
        low.resume()
        assert not low.paused
        assert harness.drain() == 1
        assert job.status == "finished"


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_a_queue_of_no_application_cannot_be_paused(verb):
    with pytest.raises(ConfigurationError, match="belongs to no App"):
        getattr(Queue("low"), verb)()
