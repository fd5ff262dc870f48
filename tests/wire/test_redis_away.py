"""An application hears soon that Redis is away, and in words that help."""

from __future__ import annotations

import os
import signal
import time

import pytest
from redis import Redis

from headway import App, Queue
from headway.errors import EnqueueError, StoreError

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


def _refused_at_once(app, messages) -> None:
    begin = time.monotonic()
    with pytest.raises(EnqueueError, match="did not confirm: Timeout"):
        app.enqueue_many(messages)
    assert time.monotonic() - begin < SOON


def test_nobody_listens():
    app, task = _task("redis://127.0.0.1:1")
    said = _refused(task)
    assert "Redis did not confirm" in said
    assert "127.0.0.1:1" in said
    assert "send again with the same job_id" in said
    assert "Nothing listens there: start it, or correct REDIS_URL" in said
    app.close()


def test_a_redis_that_refuses_says_what_to_do(redis_url, store):
    app, task = _task(redis_url)
    store.config_set("maxmemory", 1)
    store.config_set("maxmemory-policy", "noeviction")
    try:
        said = _refused(task)
    finally:
        store.config_set("maxmemory", 0)
    assert "it was not sent, Redis refuses it: " in said
    assert "Its memory is full: raise maxmemory" in said
    assert store.keys("rq:*") == []
    app.close()


VERBS = {
    "info": lambda app: app.job("j").info(),
    "status": lambda app: app.job("j").status,
    "progress": lambda app: app.job("j").progress,
    "result": lambda app: app.job("j").result(timeout=1),
    "cancel": lambda app: app.job("j").cancel(),
    "requeue": lambda app: app.job("j").requeue(),
    "delete": lambda app: app.job("j").delete(),
    "failed": lambda app: app.backend().failed("default", 1),
    "promote": lambda app: app.backend().promote("default"),
    "pause": lambda app: app.queue("default").pause(),
    "resume": lambda app: app.queue("default").resume(),
    "paused": lambda app: app.queue("default").paused,
}


@pytest.mark.parametrize("verb", VERBS)
def test_whatever_is_asked_says_which_redis_is_away_and_hides_its_password(verb):
    app, _ = _task("redis://:hidden@127.0.0.1:1/3")
    begin = time.monotonic()
    with pytest.raises(StoreError) as caught:
        VERBS[verb](app)
    assert time.monotonic() - begin < SOON
    said = str(caught.value)
    assert said.startswith("Redis at 127.0.0.1:1/3 does not answer: ")
    assert "name another in REDIS_URL" in said
    assert "hidden" not in said
    app.close()


def test_a_wrong_password_is_said_with_the_variable_to_correct(redis_url):
    with Redis.from_url(redis_url) as owner:
        owner.config_set("requirepass", "right")
        try:
            app, _ = _task(redis_url.replace("://", "://:wrong@"))
            with pytest.raises(StoreError) as caught:
                app.job("j").info()
        finally:
            owner.config_set("requirepass", "")
    assert "refuses the sign-in" in str(caught.value)
    assert "correct REDIS_URL" in str(caught.value)
    assert "wrong@" not in str(caught.value)
    app.close()


def test_a_key_of_a_wrong_type_is_said_with_its_server(redis_url, store):
    store.set("rq:job:j", "no hash")
    app, _ = _task(redis_url)
    with pytest.raises(StoreError, match="refuses what it was asked: .*WRONGTYPE"):
        app.job("j").info()
    app.close()


def test_a_server_that_stands_still_and_goes_on(new_valkey):
    server = new_valkey()
    server.start()
    with Redis.from_url(server.connection_url) as client:
        pid = client.info("server")["process_id"]
        app, task = _task(server.connection_url)
        task.enqueue()
        new_app, new_task = _task(server.connection_url)
        kept, kept_task = _task(server.connection_url)
        kept_task.enqueue()  # the next is sent on the same connection
        os.kill(pid, signal.SIGSTOP)
        try:
            _refused(task)
            _refused(new_task)
            _refused_at_once(kept, [kept_task.message()] * 3)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert task.enqueue().status == "queued"
    for each in (app, new_app, kept):
        each.close()
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
