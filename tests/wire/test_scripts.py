"""The verbs are atomic: whoever comes in between, nothing is lost or doubled."""

from __future__ import annotations

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rq import Queue as RQQueue
from rq import RateLimit

from headway import App, Queue
from headway.errors import JobNotFoundError, JobStateError
from headway.testing import MovedClock
from headway.wire import keys

HOUR = timedelta(hours=1)


def _places(store, job_id: str) -> list[str]:
    found = []
    found += ["queue"] * [
        i.decode() for i in store.lrange("rq:queue:default", 0, -1)
    ].count(job_id)
    for name in (keys.scheduled, keys.failed, keys.canceled, keys.deferred):
        key = name("default")
        found += [key] if store.zscore(key, job_id) is not None else []
    return found


def _make_due(store) -> None:
    key = keys.scheduled("default")
    for job_id in store.zrange(key, 0, -1):
        store.zadd(key, {job_id: 1})


def test_many_promoters_move_each_due_job_once(app, basic, store):
    jobs = app.enqueue_many(
        [basic.add.using(delay=HOUR).message(n) for n in range(300)]
    )
    _make_due(store)
    backend = app.backend()
    with ThreadPoolExecutor(8) as pool:
        moved = list(pool.map(lambda _: backend.promote("default", 7), range(60)))
    assert sum(moved) == 300
    waiting = Counter(i.decode() for i in store.lrange("rq:queue:default", 0, -1))
    assert waiting == Counter(job.id for job in jobs)
    assert store.zcard(keys.scheduled("default")) == 0


def test_due_jobs_are_moved_in_order_of_their_time(app, basic, store):
    for n in (3, 1, 2):
        basic.add.using(delay=HOUR, job_id=str(n)).enqueue(n)
        store.zadd(keys.scheduled("default"), {str(n): n})
    assert app.backend().promote("default") == 3
    assert store.lrange("rq:queue:default", 0, -1) == [b"1", b"2", b"3"]


def test_what_is_not_due_stays(app, basic, store):
    basic.add.using(delay=timedelta(minutes=1)).enqueue(1)
    assert app.backend().promote("default") == 0
    assert store.zcard(keys.scheduled("default")) == 1


def test_an_id_without_a_job_is_dropped_and_stops_no_other(app, basic, store):
    store.zadd(keys.scheduled("default"), {"gone": 1})
    basic.add.using(delay=HOUR, job_id="a").enqueue(1)
    _make_due(store)
    app.backend().promote("default")
    assert store.lrange("rq:queue:default", 0, -1) == [b"a"]


def test_a_rate_limited_job_is_left_to_rqs_own_code(app, basic, store):
    queue = RQQueue("default", connection=store, serializer="json")
    limit = RateLimit("k", 1)
    for _ in range(2):
        queue.enqueue_in(HOUR, "sample_tasks.basic.add", 1, rate_limit=limit)
    _make_due(store)
    assert app.backend().promote("default") == 2
    assert store.zcard(keys.scheduled("default")) == 0
    assert len(queue) == 1  # the other one waits for its slot


def test_cancel_and_promote_at_once_leave_a_job_in_one_place(app, basic, store):
    backend = app.backend()
    for _ in range(20):
        jobs = app.enqueue_many(
            [basic.add.using(delay=HOUR).message(n) for n in range(10)]
        )
        _make_due(store)
        begin = threading.Barrier(2)

        def promote(begin=begin):
            begin.wait()
            backend.promote("default")

        def cancel(begin=begin, jobs=jobs):
            begin.wait()
            return [job.cancel() for job in jobs]

        with ThreadPoolExecutor(2) as pool:
            pool.submit(promote)
            canceled = pool.submit(cancel).result()
        assert all(canceled)
        for job in jobs:
            assert _places(store, job.id) == [keys.canceled("default")]
            assert job.status == "canceled"


def test_one_of_many_cancels_is_told_that_it_was_needed(app, basic):
    job = basic.add.enqueue(1)
    begin = threading.Barrier(8)

    def cancel(_):
        begin.wait()
        return job.cancel()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(cancel, range(8))) == 1


def test_a_job_that_a_worker_is_just_taking_is_stopped_once_it_runs(app, basic, store):
    job = basic.add.enqueue(1)
    store.lpop("rq:queue:default")  # as RQ does first

    class Clock(MovedClock):
        def sleep(self, seconds):
            super().sleep(seconds)
            told = {"status": "started", "worker_name": "one"}
            store.hset(keys.job(job.id), mapping=told)  # as its process does next

    app.close()
    app.clock = Clock()
    with store.pubsub() as heard:
        heard.subscribe("rq:pubsub:one")
        heard.get_message(timeout=5)
        assert app.job(job.id).cancel()
        command = heard.get_message(timeout=5)
    assert b"stop-job" in command["data"]


def test_a_job_that_is_in_no_line_is_not_said_to_have_ended(app, basic, store):
    job = basic.add.enqueue(1)
    store.lpop("rq:queue:default")
    app.close()
    app.clock = MovedClock()
    with pytest.raises(JobStateError, match="is queued, yet in no line"):
        app.job(job.id).cancel()


def test_one_of_many_requeues_wins(app, basic, store):
    job = basic.add.enqueue(1)
    job.cancel()
    begin = threading.Barrier(8)

    def requeue(_):
        begin.wait()
        try:
            job.requeue()
        except JobStateError:
            return 0
        return 1

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(requeue, range(8))) == 1
    assert _places(store, job.id) == ["queue"]


def test_of_many_senders_of_one_id_or_one_key_one_makes_the_job(app, basic, store):
    begin = threading.Barrier(8)

    def send(_):
        begin.wait()
        one = basic.add.using(job_id="mine").enqueue(1)
        other = basic.once.enqueue(1)
        return one.duplicate, other.duplicate, other.id

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(8)))
    assert sum(not one for one, _, _ in answers) == 1
    assert sum(not other for _, other, _ in answers) == 1
    assert len({job_id for _, _, job_id in answers}) == 1
    assert store.llen("rq:queue:default") == 2


MEMBERS = {
    b"zset": lambda store, key: store.zrange(key, 0, -1),
    b"set": lambda store, key: store.smembers(key),
    b"list": lambda store, key: store.lrange(key, 0, -1),
    b"hash": lambda store, key: store.hkeys(key),
    b"string": lambda store, key: [store.get(key)],
}


def _is_nowhere(store, job_id: str) -> bool:
    """Tell whether no key, and nothing that is kept under any, names the job."""
    names = store.keys("*")
    told = [m for key in names for m in MEMBERS[store.type(key)](store, key)]
    return not [word for word in (*names, *told) if job_id.encode() in word]


def test_a_job_that_a_lease_holds_is_not_deleted(app, basic, store):
    job = basic.add.enqueue(1)
    store.lpop("rq:queue:default")
    store.hset(keys.job(job.id), "status", "started")
    store.zadd(keys.LEASES, {"one": 1, "two": 2})
    store.hset(keys.lease("two"), job.id, "7:default")
    with pytest.raises(JobStateError, match="is running: cancel it first"):
        job.delete()
    assert job.status == "started"
    store.delete(keys.lease("two"))
    job.delete()
    assert not store.exists(keys.job(job.id))


@pytest.mark.parametrize("status", ["started", "queued"])
def test_a_job_that_a_stock_worker_runs_or_begins_is_not_deleted(
    app, basic, store, status
):
    job = basic.add.enqueue(1)
    store.lpop("rq:queue:default")
    store.hset(keys.job(job.id), "status", status)
    store.zadd(keys.executions(job.id), {"e": 9_999_999_999})
    with pytest.raises(JobStateError, match="is running: cancel it first"):
        job.delete()
    assert job.status == status


def test_a_job_that_its_worker_abandoned_is_deleted_with_its_executions(
    app, basic, store
):
    job = basic.add.enqueue(1)
    store.lpop("rq:queue:default")
    store.hset(keys.job(job.id), "status", "started")
    store.zadd(keys.executions(job.id), {"e": 1})
    store.zadd(keys.started("default"), {f"{job.id}:e": 1, "other:e": 1})
    store.hset(f"{keys.EXECUTION_PREFIX}{job.id}:e", "id", "e")
    job.delete()
    assert _is_nowhere(store, job.id)
    assert store.zrange(keys.started("default"), 0, -1) == [b"other:e"]


def test_delete_leaves_nothing_of_a_job_anywhere(app, basic, store):
    job = basic.once.using(job_id="mine").enqueue(1)
    assert store.keys(f"{keys.OURS}:unique:*")
    store.hset(keys.job("mine"), "group_id", "g")
    store.sadd(keys.group("g"), "mine", "other")
    store.sadd(keys.dependents("mine"), "child")
    store.sadd(keys.dependencies("mine"), "parent")
    store.xadd(keys.results("mine"), {"type": 2})
    for name in keys.REGISTRIES.values():
        if name is not keys.queue:
            store.zadd(name("default"), {"mine": 1, "other": 1})
    job.delete()
    assert _is_nowhere(store, "mine")
    assert not store.keys(f"{keys.OURS}:unique:*")
    assert store.smembers(keys.group("g")) == {b"other"}
    assert store.zrange(keys.failed("default"), 0, -1) == [b"other"]


def test_a_unique_key_that_another_holds_is_not_given_back(app, basic, store):
    job = basic.once.enqueue(1)
    [key] = store.keys(f"{keys.OURS}:unique:*")
    store.set(key, "another")
    job.delete()
    assert store.get(key) == b"another"


def test_a_key_of_a_wrong_type_does_not_keep_a_job_from_being_deleted(
    app, basic, store
):
    job = basic.add.enqueue(1)
    store.hset(keys.job(job.id), "status", "nonsense")
    for name in (keys.failed, keys.scheduled):
        store.set(name("default"), "no sorted set")
    store.set(keys.executions(job.id), "no sorted set")
    job.delete()
    assert not store.keys(f"*{job.id}*")
    assert store.llen("rq:queue:default") == 0


def test_what_is_no_job_at_all_is_deleted(app, store):
    store.set(keys.job("odd"), "no hash")
    store.sadd(keys.QUEUES, keys.queue("low"))
    store.zadd(keys.failed("low"), {"odd": 1})
    app.job("odd").delete()
    assert _is_nowhere(store, "odd")


def test_an_entry_whose_job_is_gone_is_taken_off_every_list(app, store):
    store.sadd(keys.QUEUES, keys.queue("low"), keys.queue("default"))
    store.zadd(keys.failed("low"), {"gone": 1})
    store.rpush(keys.queue("default"), "gone", "other")
    with pytest.raises(JobNotFoundError):
        app.job("gone").delete()
    assert _is_nowhere(store, "gone")
    assert store.lrange(keys.queue("default"), 0, -1) == [b"other"]


def _limited(store, count: int) -> list[str]:
    queue = RQQueue("default", connection=store, serializer="json")
    limit = RateLimit("k", 1)
    sent = [
        queue.enqueue("sample_tasks.basic.add", 1, rate_limit=limit)
        for _ in range(count)
    ]
    assert len(queue) == 1
    return [job.id for job in sent]


@pytest.mark.parametrize("verb", ["delete", "cancel"])
def test_the_slot_of_a_rate_limit_goes_to_the_next(app, store, verb):
    first, waiting, last = _limited(store, 3)
    getattr(app.job(waiting), verb)()
    getattr(app.job(first), verb)()
    assert store.lrange("rq:queue:default", 0, -1) == [last.encode()]
    assert app.job(last).status == "queued"


def test_a_requeued_job_of_a_rate_limit_waits_for_its_turn(app, store):
    first, second = _limited(store, 2)
    app.job(first).cancel()
    app.job(first).requeue()
    assert store.lrange("rq:queue:default", 0, -1) == [second.encode()]
    app.job(second).delete()
    assert store.lrange("rq:queue:default", 0, -1) == [first.encode()]
    with pytest.raises(JobStateError, match="is queued: only a failed"):
        app.job(first).requeue()


def test_a_requeued_job_has_all_its_attempts_and_crashes_again(app, basic, store):
    job = basic.add.enqueue(1)
    job.cancel()
    past = {"headway_crashes": 3, "headway_delivery": 7, "number_of_retries": 2}
    past["headway_broken_off"] = "by a worker"
    store.hset(keys.job(job.id), mapping=past)
    job.requeue()
    assert not set(past) & {n.decode() for n in store.hkeys(keys.job(job.id))}
    assert job.info().attempt == 0


def test_of_many_deletes_of_a_job_one_has_deleted_it(app, basic, store):
    jobs = app.enqueue_many([basic.add.message(n) for n in range(20)])

    def delete(job):
        try:
            job.delete()
        except JobNotFoundError:
            return 0
        return 1

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(delete, jobs * 4)) == 20
    assert store.llen("rq:queue:default") == 0


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["enqueue", "delay", "cancel", "requeue", "due", "promote", "delete"]
        ),
        st.integers(0, 3),
    ),
    max_size=30,
)


@settings(max_examples=40)
@given(STEPS)
def test_whatever_the_order_of_the_verbs_a_job_is_in_one_place(valkey, steps):
    from redis import Redis

    app = App(queues=[Queue("default")], tasks=__name__, redis_url=valkey)
    task = app.task(_work)
    with Redis.from_url(valkey) as store:
        store.flushdb()
        for verb, number in steps:
            _do(app, store, task, verb, f"job-{number}")
            for other in range(4):
                there = store.exists(keys.job(f"job-{other}"))
                assert len(_places(store, f"job-{other}")) == there
    app.close()


def _do(app, store, task, verb: str, job_id: str) -> None:
    job = app.job(job_id)
    try:
        match verb:
            case "enqueue":
                task.using(job_id=job_id).enqueue()
            case "delay":
                task.using(job_id=job_id, delay=HOUR).enqueue()
            case "due":
                _make_due(store)
            case "promote":
                app.backend().promote("default")
            case _:
                getattr(job, verb)()
    except (JobNotFoundError, JobStateError):
        pass


def _work() -> None:
    return None


def test_a_message_is_sent_in_random_order_and_kept_whole(app, basic, store):
    jobs = [
        basic.add.using(at_front=random.random() < 0.5).enqueue(n) for n in range(50)
    ]
    ids = [i.decode() for i in store.lrange("rq:queue:default", 0, -1)]
    assert sorted(ids) == sorted(job.id for job in jobs)
