"""Due jobs come into their queues: each once, in order, on time, whatever dies."""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis
from redis.exceptions import ResponseError
from rq import Queue as RQQueue
from rq import RateLimit

from headway.testing import MovedClock
from headway.wire import keys, scheduler_lock
from headway.wire.promotion import Promotion
from headway.wire.scripts import Script

FORK = multiprocessing.get_context("fork")
HOUR = timedelta(hours=1)
QUEUES = ("high", "default", "low")
DEADLINE = 20


@pytest.fixture
def promotion(store) -> Promotion:
    return Promotion(store, QUEUES)


def _scheduled(app, task, count: int, queue: str = "default") -> list[str]:
    later = task.using(queue=queue, delay=HOUR)
    return [
        job.id for job in app.enqueue_many([later.message(n) for n in range(count)])
    ]


def _make_due(store, ids: list[str], queue: str = "default") -> None:
    store.zadd(keys.scheduled(queue), {job_id: n for n, job_id in enumerate(ids)})


def _waiting(store, queue: str = "default") -> list[str]:
    return [i.decode() for i in store.lrange(keys.queue(queue), 0, -1)]


@contextmanager
def _full(store) -> Iterator[None]:
    store.config_set("maxmemory", 1)
    try:
        yield
    finally:
        store.config_set("maxmemory", 0)


# Rounds


def test_a_round_serves_all_queues(app, basic, store, promotion):
    for queue in QUEUES:
        _make_due(store, _scheduled(app, basic.add, 3, queue), queue)
    done = promotion.round()
    assert (done.moved, done.next_due) == (9, None)
    assert [len(_waiting(store, queue)) for queue in QUEUES] == [3, 3, 3]


def test_queues_share_a_round_that_is_too_short_for_all(app, basic, store):
    for queue in QUEUES:
        _make_due(store, _scheduled(app, basic.add, 8, queue), queue)
    promotion = Promotion(store, QUEUES, batch=9)
    done = promotion.round()
    assert (done.moved, done.next_due) == (9, 0)
    assert [len(_waiting(store, queue)) for queue in QUEUES] == [3, 3, 3]
    while promotion.round().next_due is not None:
        pass
    assert [len(_waiting(store, queue)) for queue in QUEUES] == [8, 8, 8]


def test_a_round_tells_when_the_next_job_is_due(app, basic, store, promotion):
    assert promotion.round().next_due is None
    basic.add.using(delay=HOUR).enqueue(1)
    basic.add.using(queue="low", delay=2 * HOUR).enqueue(1)
    done = promotion.round()
    assert done.moved == 0
    assert 3590 < done.next_due <= 3600


def test_a_job_keeps_the_microseconds_of_its_time(app, basic, store):
    app.clock = MovedClock()
    at = datetime(2030, 1, 31, 9, 0, 0, 123456, tzinfo=UTC)
    delay = timedelta(minutes=1, microseconds=7)
    tasks = (basic.add.using(at=at), basic.add.using(delay=delay))
    jobs = [task.enqueue(1) for task in tasks]
    scores = [store.zscore(keys.scheduled("default"), job.id) for job in jobs]
    wanted = [at, app.clock.now() + delay]
    assert [datetime.fromtimestamp(score, UTC) for score in scores] == wanted


def test_no_job_is_moved_before_its_time(app, basic, store, promotion):
    ids = _scheduled(app, basic.add, 50)
    seconds, micros = store.time()
    now = seconds + micros / 1e6
    due = {job_id: now + random.uniform(0.001, 0.3) for job_id in ids}
    store.zadd(keys.scheduled("default"), due)
    deadline = time.monotonic() + DEADLINE
    while promotion.round().next_due is not None:
        assert time.monotonic() < deadline
    began = {job_id: app.job(job_id).info().enqueued_at for job_id in ids}
    assert all(began[i] >= datetime.fromtimestamp(due[i], UTC) for i in ids)
    assert _waiting(store) == sorted(ids, key=lambda job_id: due[job_id])


def test_a_moved_job_has_the_time_of_the_store(app, basic, store, promotion):
    app.clock = MovedClock()  # whose time is another
    [job_id] = ids = _scheduled(app, basic.add, 1)
    _make_due(store, ids)
    before, _ = store.time()
    promotion.round()
    after, _ = store.time()
    enqueued_at = app.job(job_id).info().enqueued_at
    assert before <= enqueued_at.timestamp() <= after + 1


def test_the_script_writes_any_time_as_rq_does(store):
    text = Script("promote").text.decode()
    moment = re.search(r"local function moment.*?\nend\n", text, re.DOTALL)
    source = f"local floor = math.floor\n{moment[0]}return moment(ARGV[1], ARGV[2])"
    ends = [datetime(y, m, 1, tzinfo=UTC) for y in range(1970, 2110) for m in (1, 3)]
    seconds = [int(end.timestamp()) + shift for end in ends for shift in (-1, 0)]
    seconds += [random.randrange(2**33) for _ in range(2000)]
    pipeline = store.pipeline(transaction=False)
    for number in (second for second in seconds if second >= 0):
        pipeline.eval(source, 0, number, number % 1_000_000)
    written = [found.decode() for found in pipeline.execute()]
    expected = [
        datetime.fromtimestamp(n, UTC).replace(microsecond=n % 1_000_000)
        for n in seconds
        if n >= 0
    ]
    assert written == [at.strftime("%Y-%m-%dT%H:%M:%S.%fZ") for at in expected]


# Many promoters, and those that die


def test_ten_promoters_move_each_job_once_and_in_order(app, basic, redis_url, store):
    ids = _scheduled(app, basic.add, 2000)
    _make_due(store, ids)

    def promote(_: int) -> int:
        moved = 0
        with Redis.from_url(redis_url) as client:
            promotion = Promotion(client, QUEUES, batch=7)
            while (done := promotion.round()).next_due is not None:
                moved += done.moved
        return moved + done.moved

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(promote, range(10))) == 2000
    assert _waiting(store) == ids


def _promote_for_ever(url: str) -> None:
    with Redis.from_url(url) as client:
        promotion = Promotion(client, QUEUES, batch=3)
        while True:
            promotion.round()


def test_promoters_that_are_killed_lose_and_double_nothing(
    app, basic, redis_url, store, promotion
):
    ids = _scheduled(app, basic.add, 3000)
    _make_due(store, ids)
    for goal in range(300, 2701, 300):
        process = FORK.Process(target=_promote_for_ever, args=(redis_url,), daemon=True)
        process.start()
        deadline = time.monotonic() + DEADLINE
        while store.llen(keys.queue("default")) < goal:
            assert time.monotonic() < deadline
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    while promotion.round().next_due is not None:
        pass
    assert _waiting(store) == ids


# What cannot be moved


def test_a_job_that_cannot_be_read_is_put_aside(app, basic, store, promotion):
    ids = _scheduled(app, basic.add, 3)
    _make_due(store, ids)
    store.set(keys.job(ids[1]), "no hash")
    promotion.round()
    assert _waiting(store) == [ids[0], ids[2]]
    assert store.lrange(keys.QUARANTINE, 0, -1) == [ids[1].encode()]
    assert promotion.round().next_due is None


@pytest.mark.parametrize("name", [keys.queue, keys.wake, keys.scheduled])
def test_a_key_of_another_type_stops_no_other_queue_and_loses_nothing(
    app, basic, store, promotion, caplog, name
):
    ids = _scheduled(app, basic.add, 2)
    _make_due(store, ids)
    _make_due(store, _scheduled(app, basic.add, 2, "low"), "low")
    if name is keys.scheduled:
        store.rename(keys.scheduled("default"), "kept")
    store.set(name("default"), "of another type")
    for _ in range(2):
        promotion.round()
    assert len(_waiting(store, "low")) == 2
    assert caplog.text.count("jobs of queue default are not sent: one of its keys") == 1
    store.delete(name("default"))
    if name is keys.scheduled:
        store.rename("kept", keys.scheduled("default"))
    promotion.round()
    assert _waiting(store) == ids


def test_a_full_redis_moves_jobs_all_the_same(app, basic, store, promotion):
    ids = _scheduled(app, basic.add, 3)
    _make_due(store, ids)
    with _full(store):
        promotion.round()
    assert _waiting(store) == ids


def test_a_replica_moves_nothing_and_says_so(app, basic, store, promotion, new_valkey):
    ids = _scheduled(app, basic.add, 3)
    _make_due(store, ids)
    store.replicaof("127.0.0.1", "1")
    try:
        with pytest.raises(ResponseError, match="(?i)read.?only"):
            promotion.round()
    finally:
        store.replicaof("NO", "ONE")
    assert store.zcard(keys.scheduled("default")) == 3
    promotion.round()
    assert _waiting(store) == ids


def test_a_job_whose_time_to_live_began_anew_has_it_whole(queue, store, promotion):
    job = queue.enqueue_in(HOUR, "sample_tasks.basic.add", 1, ttl=7200)
    store.expire(keys.job(job.id), 10)  # as if it had waited for nearly two hours
    _make_due(store, [job.id])
    promotion.round()
    assert 7190 < store.ttl(keys.job(job.id)) <= 7200


def test_jobs_of_a_rate_limit_go_by_rqs_code_and_hold_up_no_other_queue(
    app, basic, queue, store, promotion
):
    limit = RateLimit("k", 1)
    call = "sample_tasks.basic.add"
    limited = [queue.enqueue_in(HOUR, call, n, rate_limit=limit) for n in range(45)]
    _make_due(store, [job.id for job in limited])
    _make_due(store, _scheduled(app, basic.add, 2, "low"), "low")
    first = promotion.round()
    assert (first.moved, first.next_due) == (22, 0)
    while promotion.round().next_due is not None:
        pass
    assert _waiting(store) == [limited[0].id]  # the others wait for its slot


def test_a_job_of_a_rate_limit_that_rq_cannot_read_is_put_aside(
    app, basic, queue, store, promotion
):
    limit, call = RateLimit("k", 1), "sample_tasks.basic.add"
    jobs = [queue.enqueue_in(HOUR, call, n, rate_limit=limit) for n in range(2)]
    _make_due(store, [job.id for job in jobs])
    store.hset(keys.job(jobs[0].id), "created_at", "some day")
    promotion.round()
    assert store.lrange(keys.QUARANTINE, 0, -1) == [jobs[0].id.encode()]
    assert _waiting(store) == [jobs[1].id]
    assert promotion.round().next_due is None


def test_ten_promoters_move_each_job_of_a_rate_limit_once(queue, redis_url, store):
    limit, call = RateLimit("k", 100), "sample_tasks.basic.add"
    jobs = [queue.enqueue_in(HOUR, call, n, rate_limit=limit) for n in range(60)]
    _make_due(store, [job.id for job in jobs])

    def promote(_: int) -> None:
        with Redis.from_url(redis_url) as client:
            promotion = Promotion(client, QUEUES)
            while promotion.round().next_due is not None:
                pass

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(promote, range(10)))
    assert sorted(_waiting(store)) == sorted(job.id for job in jobs)


# RQ's lock


def _lock(store, queue: str = "default") -> bytes | None:
    return store.get(keys.scheduler_lock(queue))


def test_a_queue_that_is_served_is_locked_against_rqs_own(store, promotion, redis_url):
    promotion.round()
    Promotion(store, ["default"]).round()  # another of ours
    key = keys.scheduler_lock("default")
    assert _lock(store) == b"headway:scheduler"
    assert 9000 < store.pttl(key) <= scheduler_lock.OURS_MS
    store.pexpire(key, 3000)
    promotion.round()
    assert 9000 < store.pttl(key) <= scheduler_lock.OURS_MS


def test_a_queue_that_rqs_own_has_is_left_until_its_lock_ends(
    app, basic, store, promotion, caplog
):
    caplog.set_level("INFO", "headway.scheduler")
    ids = _scheduled(app, basic.add, 3)
    _make_due(store, ids)
    store.set(keys.scheduler_lock("default"), "rqs-own", ex=61)
    for _ in range(3):
        assert promotion.round().moved == 0
    assert _lock(store) == b"rqs-own"
    assert caplog.text.count("RQ's own scheduler rqs-own has it") == 1
    store.delete(keys.scheduler_lock("default"))
    assert promotion.round().moved == 3
    assert "of queue default are sent again" in caplog.text


def test_rqs_tools_read_a_queue_that_ours_have_locked(store, promotion, command):
    promotion.round()
    assert RQQueue("default", connection=store).scheduler_pid is None
    url = "redis://{host}:{port}".format(**store.connection_pool.connection_kwargs)
    assert command("rq", "info", "-u", url).returncode == 0


@pytest.mark.parametrize(
    ("host", "pid", "rest", "free"),
    [
        (None, "dead", 49_000, True),
        (None, "dead", 55_000, False),  # it may be about to renew
        (None, "alive", 49_000, False),
        (None, "none", 49_000, False),
        (None, "1", 49_000, False),  # that of another user, perhaps
        ("elsewhere", "dead", 49_000, False),
    ],
)
def test_only_a_holder_that_surely_died_here_loses_its_lock_early(
    store, host, pid, rest, free
):
    gone = FORK.Process(target=int)
    gone.start()
    gone.join()
    told = {"dead": gone.pid, "alive": os.getpid(), "none": "x"}.get(pid, pid)
    about = {"hostname": host or socket.gethostname(), "pid": told}
    store.hset(keys.rq_scheduler("rqs-own"), mapping=about)
    store.set(keys.scheduler_lock("default"), "rqs-own", px=rest)
    freed = scheduler_lock.free_of_dead(store, "default", "rqs-own", rest)
    assert (freed, _lock(store) is None) == (free, free)
