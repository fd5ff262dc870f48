"""Jobs are sent in packed commands: each once and in order, whatever comes between."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from headway import App, Queue, Unique
from headway.errors import EnqueueError
from headway.wire import client as wire_client
from headway.wire import direct, keys
from headway.wire.exchange import Exchange


def _ids(store, queue: str = "default") -> list[str]:
    return [i.decode() for i in store.lrange(keys.queue(queue), 0, -1)]


def _drop_all_others(store) -> None:
    own = store.client_id()
    for client in store.client_list():
        if int(client["id"]) != own:
            store.client_kill_filter(_id=client["id"])


def test_jobs_of_all_kinds_are_sent_together_and_in_order(app, basic, store):
    front = basic.add.using(at_front=True)
    named = basic.add.using(job_id="mine")
    once = basic.add.using(unique=Unique(key="k"))
    low = basic.add.using(queue="low")
    messages = [
        *(basic.add.message(n) for n in range(3)),
        named.message(1),
        once.message(1),
        named.message(2),
        low.message(1),
        once.message(2),
        *(front.message(n) for n in range(2)),
    ]
    jobs = app.enqueue_many(messages)
    first, second, third, mine, one, again, other, late, *ahead = (j.id for j in jobs)
    assert (again, late) == (mine, one)
    assert [job.duplicate for job in jobs].count(True) == 2
    assert _ids(store) == [*reversed(ahead), first, second, third, mine, one]
    assert _ids(store, "low") == [other]


def test_the_order_is_kept_over_many_commands(app, basic, store):
    jobs = app.enqueue_many([basic.add.message(n) for n in range(5000)])
    assert _ids(store) == [job.id for job in jobs]


def test_a_repeated_id_is_met_wherever_it_stands(app, basic, store):
    named = basic.add.using(job_id="mine")
    messages = [basic.add.message(n) for n in range(1200)]
    messages[700] = messages[1100] = named.message(1)
    jobs = app.enqueue_many(messages)
    assert not jobs[700].duplicate
    assert jobs[1100].duplicate
    assert len(_ids(store)) == 1199
    assert named.enqueue(2).duplicate


def test_a_connection_that_was_closed_meanwhile_is_made_again(app, basic, store):
    basic.add.enqueue(1)
    _drop_all_others(store)
    basic.add.enqueue(2)
    _drop_all_others(store)
    app.enqueue_many([basic.add.message(n) for n in range(1200)])
    assert len(_ids(store)) == 1202


def test_connections_dropped_in_the_middle_lose_and_double_nothing(app, basic, store):
    messages = [basic.add.message(n) for n in range(20_000)]
    done = threading.Event()

    def drop() -> None:
        with Redis.from_url(os.environ["REDIS_URL"]) as other:
            while not done.is_set():
                _drop_all_others(other)
                done.wait(0.05)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(drop)
        try:
            jobs = app.enqueue_many(messages)
        finally:
            done.set()
    with Redis.from_url(os.environ["REDIS_URL"]) as fresh:
        assert _ids(fresh) == [job.id for job in jobs]


def test_many_threads_share_what_is_kept(app, basic, store):
    with ThreadPoolExecutor(8) as pool:
        jobs = list(pool.map(lambda n: basic.add.enqueue(n).id, range(400)))
    assert sorted(_ids(store)) == sorted(jobs)


def test_a_forked_process_sends_on_a_connection_of_its_own(app, basic, store):
    basic.add.using(job_id="before").enqueue(1)
    pid = os.fork()
    if pid == 0:
        for n in range(50):
            basic.add.using(job_id=f"child-{n}").enqueue(n)
        os._exit(0)
    for n in range(50):
        basic.add.using(job_id=f"parent-{n}").enqueue(n)
    assert os.waitpid(pid, 0)[1] == 0
    assert len(set(_ids(store))) == 101


def test_a_key_of_another_type_is_named_in_the_error(app, basic, store):
    store.set(keys.queue("default"), "not a list")
    with pytest.raises(EnqueueError, match="WRONGTYPE"):
        basic.add.enqueue(1)
    with pytest.raises(EnqueueError, match="WRONGTYPE.*"):
        app.enqueue_many([basic.add.message(n) for n in range(3000)])
    store.delete(keys.queue("default"))
    job = basic.add.enqueue(1)
    assert job.id in _ids(store)  # no answer was left in a connection


def test_an_answer_is_never_taken_for_that_of_another_call(redis_url):
    with wire_client.connect(redis_url) as client:
        exchange = Exchange(client)
        echo = b"*2\r\n$4\r\nECHO\r\n$4\r\n%04d\r\n"
        answers = exchange.ask(echo % n for n in range(10))
        assert next(answers) == b"0000"
        answers.close()  # nine answers are still under way
        assert list(exchange.ask(echo % n for n in range(7))) == [
            b"%04d" % n for n in range(7)
        ]


def test_idle_workers_are_told_once(app, basic, store):
    wake = keys.wake("default")
    basic.add.enqueue(1)
    app.enqueue_many([basic.add.message(n) for n in range(1200)])
    assert store.lrange(wake, 0, -1) == [b"1"]
    store.delete(wake)
    basic.add.using(unique="k").enqueue(1)
    assert store.llen(wake) == 1


@pytest.mark.parametrize("verb", ["promote", "requeue"])
def test_idle_workers_are_told_of_jobs_that_come_back(app, basic, store, verb):
    job = basic.add.using(delay=timedelta(hours=1)).enqueue(1)
    wake = keys.wake("default")
    assert store.llen(wake) == 0  # nothing to do yet
    if verb == "promote":
        store.zadd(keys.scheduled("default"), {job.id: 1})
        app.backend().promote("default")
    else:
        job.cancel()
        job.requeue()
    assert store.lrange(wake, 0, -1) == [b"1"]


def test_a_task_is_sent_by_whichever_application_options_it_has(redis_url, store):
    app = App(queues=[Queue("default"), Queue("low")], tasks="x", redis_url=redis_url)
    task = app.task(_work)
    for _ in range(2):
        task.enqueue()
        task.using(queue="low").enqueue()
    assert (len(_ids(store)), len(_ids(store, "low"))) == (2, 2)
    with app.using_engine("memory"):
        assert task.enqueue().info().queue == "default"
    task.enqueue()
    assert len(_ids(store)) == 3
    app.close()


def _work() -> None:
    return None


def test_a_form_that_a_failed_run_left_is_written_anew(app, basic, store):
    store.hset(keys.FORM, mapping={"result": "of another", "origin": "elsewhere"})
    sent = app.enqueue_many([basic.add.message(n) for n in range(3)])
    fields = store.hgetall(keys.job(sent[2].id))
    assert fields[b"origin"] == b"default"
    assert b"result" not in fields
    assert not store.exists(keys.FORM)


def test_each_kind_of_job_has_a_form_of_its_own(app, basic, store):
    short = basic.add.using(result_ttl=timedelta(seconds=5))
    tasks = (short, basic.add, basic.add.using(queue="low"), short)
    ids = [job.id for job in app.enqueue_many([task.message(1) for task in tasks])]
    origins = [store.hget(keys.job(job_id), "origin") for job_id in ids]
    ttls = [store.hget(keys.job(job_id), "result_ttl") for job_id in ids]
    assert origins == [b"default", b"default", b"low", b"default"]
    assert ttls == [b"5", None, None, b"5"]


def test_a_script_that_the_server_forgot_is_sent_again(basic, store):
    basic.add.enqueue(1)
    store.script_flush()
    job = basic.add.enqueue(2)
    assert _ids(store)[-1] == job.id


def _eval(text: bytes) -> bytes:
    return b"*3\r\n$4\r\nEVAL\r\n$%d\r\n%b\r\n$1\r\n0\r\n" % (len(text), text)


def test_an_answer_is_read_to_its_end(redis_url):
    with wire_client.connect(redis_url) as client:
        exchange = Exchange(client)
        assert exchange.ask_one(_eval(b"return 12345")) == 12345
        long = _eval(b"return redis.error_reply(string.rep('x', 1000))")
        with pytest.raises(ResponseError, match="x{1000}"):
            exchange.ask_one(long)
        assert exchange.ask_one(_eval(b"return 7")) == 7
        assert len(exchange._kept) == 1  # all on one connection


def test_a_connection_that_redis_py_closed_is_opened_by_it_again(redis_url):
    with wire_client.connect(redis_url) as client:
        exchange = Exchange(client)
        assert exchange.ask_one(_eval(b"return 1")) == 1
        client.connection_pool.disconnect()
        assert exchange.ask_one(_eval(b"return 2")) == 2
        assert exchange.ask_one(_eval(b"return 3")) == 3


def test_the_time_limit_is_the_kernels_only_where_the_system_reads_the_socket():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0.05)
        assert direct._is_set_up(ours)
        with pytest.raises(BlockingIOError):
            ours.recv(1)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        with context.wrap_socket(theirs, do_handshake_on_connect=False) as tls:
            tls.settimeout(0.05)
            assert not direct._is_set_up(tls)
            assert tls.gettimeout() == 0.05
