from __future__ import annotations

from datetime import timedelta

import pytest

from headway import App, Queue
from headway.errors import ConfigurationError


def test_a_queue_says_nothing_but_its_name():
    queue = Queue("default")
    assert (queue.timeout, queue.engine) == (timedelta(minutes=3), None)
    assert (queue.device, queue.prefetch, queue.weight) == (None, None, 1)


def test_a_queue_says_what_its_jobs_need():
    queue = Queue("gpu", device="cuda", prefetch=1, weight=3)
    assert (queue.device, queue.prefetch, queue.weight) == ("cuda", 1, 3)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"device": "rocm"}, 'device="cuda"'),
        ({"device": "gpu"}, 'device="cuda"'),
        ({"device": ["cuda"]}, 'device="cuda"'),
        ({"prefetch": 0}, "a whole number from 1, or None"),
        ({"prefetch": -1}, "a whole number from 1, or None"),
        ({"prefetch": True}, "a whole number from 1, or None"),
        ({"prefetch": 1.5}, "a whole number from 1, or None"),
        ({"weight": 0}, "a whole number from 1"),
        ({"weight": None}, "a whole number from 1"),
        ({"weight": "3"}, "a whole number from 1"),
    ],
)
def test_what_no_worker_could_do_is_refused_with_what_is_expected(options, wanted):
    ((name, value),) = options.items()
    with pytest.raises(ConfigurationError) as caught:
        Queue("gpu", **options)
    assert f"Queue('gpu', {name}={value!r}): expected {wanted}" in str(caught.value)


@pytest.mark.parametrize("timeout", [timedelta(0), timedelta(seconds=-1), 60, None])
def test_a_timeout_is_a_positive_time(timeout):
    with pytest.raises(ConfigurationError, match=r"expected a positive timedelta"):
        Queue("gpu", timeout=timeout)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "é", 7])
def test_a_name_that_no_engine_could_use_is_refused(name):
    with pytest.raises(ConfigurationError, match=r"expected letters, digits"):
        Queue(name)


def test_an_application_takes_another_queue_behind_those_it_has():
    app = App(queues=[Queue("high")], tasks="tasks")
    app.declare(Queue("low"))
    assert [queue.name for queue in app.queues] == ["high", "low"]
    assert app.queue("low") is app.queues[-1]
    with pytest.raises(
        ConfigurationError, match="queue 'high': the application has it"
    ):
        app.declare(Queue("high"))
