"""An application hears soon that Redis is away, and in words that help."""

from __future__ import annotations

import os
import signal
import time

import pytest
from redis import Redis

from headway import App, Queue
from headway.errors import EnqueueError

#: "Within about two seconds", on a busy machine.
SOON = 4.0


def _work() -> None:
    return None


def _task(url: str):
    app = App(queues=[Queue("default")], tasks=__name__, redis_url=url)
    return app, app.task(_work)


def _refused(task) -> str:
    begin = time.monotonic()
    with pytest.raises(EnqueueError) as caught:
        task.enqueue()
    assert time.monotonic() - begin < SOON
    return str(caught.value)


def test_nobody_listens():
    app, task = _task("redis://127.0.0.1:1")
    said = _refused(task)
    assert "Redis did not confirm" in said
    assert "127.0.0.1:1" in said
    assert "send again with the same job_id" in said
    app.close()


def test_a_server_that_stands_still_and_goes_on(new_valkey):
    server = new_valkey()
    server.start()
    with Redis.from_url(server.connection_url) as client:
        pid = client.info("server")["process_id"]
        app, task = _task(server.connection_url)
        task.enqueue()
        new_app, new_task = _task(server.connection_url)
        os.kill(pid, signal.SIGSTOP)
        try:
            _refused(task)
            _refused(new_task)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert task.enqueue().status == "queued"
    app.close()
    new_app.close()
    server.stop()


@pytest.mark.parametrize("scheme", ["redis", "valkey"])
def test_both_names_of_the_protocol_are_understood(redis_url, scheme):
    app, task = _task(redis_url.replace("redis://", f"{scheme}://"))
    assert task.enqueue().status == "queued"
    app.close()


def test_closing_an_application_closes_its_connections(redis_url, store):
    app, task = _task(redis_url)
    before = len(store.client_list())
    task.enqueue()
    assert len(store.client_list()) == before + 1
    app.close()
    wait = time.monotonic() + SOON
    while len(store.client_list()) > before:  # the server notices in its own time
        assert time.monotonic() < wait, "a connection was left open"
