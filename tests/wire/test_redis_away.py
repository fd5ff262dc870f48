"""An application hears soon that Redis is away, and in words that help."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time

import pytest
from redis import Redis

from headway import App, Queue
from headway.errors import ArgumentError, EnqueueError, StoreError
from tests.wire.proxy import ANSWER_LOST, HALF_OPEN, LOST, REFUSALS

#: "Within about two seconds", on a busy machine.
SOON = 4.0


def _work() -> None:
    return None


def _keep(_what: object) -> None:
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


def test_a_network_that_comes_and_goes_keeps_no_call():
    closing = threading.Event()
    accepted: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            # Hung up on, time and again; then answered by nobody; then hung up on.
            for number in range(40):
                try:
                    near, _ = server.accept()
                except OSError:
                    return
                if number % 4 == 3:
                    accepted.append(near)
                    closing.wait(0.6)
                near.close()

        threading.Thread(target=accept, daemon=True).start()
        app, task = _task(f"redis://127.0.0.1:{server.getsockname()[1]}")
        for messages in (1, 30):
            begin = time.monotonic()
            with pytest.raises(EnqueueError, match="did not confirm"):
                app.enqueue_many([task.message()] * messages)
            assert time.monotonic() - begin < SOON
        app.close()
        closing.set()
    assert accepted


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


#: How each outage is told, and whether it says that the job is not there.
OUTAGES = {
    "loading": (REFUSALS["loading"], "It reads its data after a start", False),
    "readonly": (REFUSALS["readonly"], "name the primary in REDIS_URL", True),
    "noauth": (REFUSALS["noauth"], "Put the password into REDIS_URL", True),
    "oom": (REFUSALS["oom"], "Its memory is full: raise maxmemory", True),
    "misconf": (REFUSALS["misconf"], "It cannot write to its disk", True),
    "half-open": (HALF_OPEN, "Is it up, and is REDIS_URL right?", False),
    "cut before": (LOST["cut before"], "Is it up, and is REDIS_URL right?", False),
    "cut after": (LOST["cut after"], "Is it up, and is REDIS_URL right?", False),
    "answer lost": (ANSWER_LOST, "Is it up, and is REDIS_URL right?", False),
}


@pytest.mark.parametrize("way", ["one", "many", "unique"])
@pytest.mark.parametrize("outage", OUTAGES)
def test_a_job_that_was_not_confirmed_can_be_sent_again(outage, way, proxy, store):
    fault, what_to_do, is_sure = OUTAGES[outage]
    app, task = _task(proxy.url)
    task.using(job_id="before").enqueue()  # its connection is kept

    def send():
        if way == "unique":
            return [task.using(job_id="mine", unique="one").enqueue()]
        messages = [task.using(job_id="mine").message()]
        if way == "many":
            messages.append(task.using(job_id="other").message())
        return app.enqueue_many(messages)

    proxy.rule = lambda _label: fault
    begin = time.monotonic()
    with pytest.raises(EnqueueError) as caught:
        send()
    assert time.monotonic() - begin < SOON
    proxy.rule = None
    said = str(caught.value)
    assert what_to_do in said
    assert "(job mine)" in said
    if is_sure and way != "many":
        assert "it was not sent, Redis refuses it: " in said
        assert not store.exists("rq:job:mine")
    else:
        assert "send again with the same job_id, and there will be one of each" in said
    jobs = send()
    assert [job.id for job in jobs] == ["mine", "other"][: len(jobs)]
    ids = [job_id.decode() for job_id in store.lrange("rq:queue:default", 0, -1)]
    assert ids == ["before", *(job.id for job in jobs)]
    app.close()


@pytest.mark.parametrize("then", ["readonly", "noauth"])
def test_a_refusal_after_an_answer_that_was_lost_is_no_proof(then, proxy, store):
    app, task = _task(proxy.url)
    task.enqueue()
    faults = iter([LOST["cut after"]])
    proxy.rule = lambda _label: next(faults, REFUSALS[then])
    with pytest.raises(EnqueueError, match="The jobs may be there all the same"):
        task.using(job_id="mine").enqueue()
    assert store.exists("rq:job:mine")
    app.close()


def test_an_answer_that_was_lost_once_is_no_matter(proxy, store):
    app, task = _task(proxy.url)
    task.enqueue()
    proxy.once_each(LOST["cut after"], "EVALSHA:enqueue_one", "EVALSHA:enqueue")
    jobs = [task.enqueue(), *app.enqueue_many([task.message()] * 3)]
    assert proxy.hit.total() == 2
    assert store.llen("rq:queue:default") == len(jobs) + 1
    app.close()


def test_of_many_calls_one_is_too_large_so_none_is_sent(redis_url, store):
    app = App(queues=[Queue("default")], tasks=__name__, redis_url=redis_url)
    task = app.task(_keep)
    messages = [task.message(str(number)) for number in range(1200)]
    for large in ("x" * (17 << 20), ["\0" * 1000] * 3000):
        messages[1100] = task.message(large)
        with pytest.raises(ArgumentError, match=r"number 1101 of 1200, .*_keep: its"):
            app.enqueue_many(messages)
        assert store.keys("rq:*") == []
    messages[1100] = task.message("x" * (15 << 20))
    assert len(app.enqueue_many(messages)) == 1200
    app.close()
