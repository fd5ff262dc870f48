"""The verbs of a worker, one by one: what each may do, and what it must not."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from headway.clock import SystemClock
from headway.lease import Holder, Served
from headway.wire import keys
from headway.wire.broker import RESERVE, RedisChildBroker
from headway.wire.line import Line
from headway.wire.success import successes
from headway.wire.supervision import RedisSupervisorBroker

HIGH = Served(name="high", prefetch=100, weight=1)
DEFAULT = Served(name="default", prefetch=100, weight=1)
ONE = Served(name="default", prefetch=1, weight=1)


def holder(name):
    return Holder(child=f"w:{name}", worker="w", execution_prefix=name)


class Child:
    """A child as the store sees it."""

    def __init__(self, store, name="0123456789abcdef", *, lease=30.0):
        self.holder, self.store = holder(name), store
        self.broker = RedisChildBroker(store, self.holder, lease=lease)
        self.broker.serve([HIGH, DEFAULT])

    def take(self, wanted=100, order=(HIGH, DEFAULT)):
        return self.broker.reserve(wanted, tuple(order)).leases

    def success(self, lease, *, ttl, value, shown):
        times = {"began": 1e9, "ended": 1e9 + 1}
        return self.broker.success(lease, ttl=ttl, value=value, shown=shown, **times)

    def held(self):
        return RedisSupervisorBroker(self.store, [], lease=30).held(self.holder)

    def acknowledge(self, *leases, ttl=500, value=b"1"):
        packed = b"".join(
            self.success(each, ttl=ttl, value=value, shown=False) for each in leases
        )
        turn = self.broker.reserve(0, (), packed)
        self.broker.close()
        return turn


@pytest.fixture
def children(store):
    made = []

    def child(name="0123456789abcdef", *, lease=30.0):
        made.append(Child(store, name, lease=lease))
        return made[-1]

    yield child
    for each in made:
        each.broker.close()


@pytest.fixture
def supervisor(store):
    return RedisSupervisorBroker(store, ["high", "default"], lease=30.0)


def recover(supervisor, child, begun=(), kept=(), gone="dead"):
    return supervisor.recover(
        child.holder, begun=begun, kept=kept, story="why", crash_limit=3, gone=gone
    )


def send(app, basic, count, **options):
    messages = [basic.add.using(**options).message(n) for n in range(count)]
    return [job.id for job in app.enqueue_many(messages)]


def waiting(store, queue="default"):
    return [i.decode() for i in store.lrange(keys.queue(queue), 0, -1)]


def field(store, job_id, name):
    return (store.hget(keys.job(job_id), name) or b"").decode()


# Reserve


def test_jobs_are_taken_in_order_from_the_first_queue_that_has_any(
    app, basic, store, children
):
    low, high = send(app, basic, 5), send(app, basic, 3, queue="high")
    child = children()
    assert [lease.job_id for lease in child.take()] == high
    first = child.take(2)
    assert [lease.job_id for lease in first] == low[:2]
    assert [lease.ordinal for lease in first] == [101, 102]
    assert {lease.delivery for lease in first} == {1}
    assert field(store, low[0], "status") == "started"
    assert waiting(store) == low[2:]
    assert {each[0] for each in child.held().values()} == {*high, *low[:2]}


def test_a_paused_queue_is_passed_over_and_a_suspension_holds_for_all(
    app, basic, store, children
):
    send(app, basic, 1, queue="high")
    (low,) = send(app, basic, 1)
    store.sadd(keys.PAUSED, "high")
    child = children()
    assert [lease.job_id for lease in child.take()] == [low]
    assert child.take() == []
    store.set(keys.SUSPENDED, 1)
    turn = child.broker.reserve(1, (HIGH,))
    assert turn.suspended
    assert store.llen(keys.queue("high")) == 1


def test_no_child_takes_more_than_its_fair_share(app, basic, store, children):
    send(app, basic, 10)
    store.sadd(keys.workers_of("default"), "a", "b", "c")
    assert len(children().take()) == 4
    assert len(children("1").take()) == 2
    assert len(children("2").take(order=(ONE,))) == 1


def test_a_wake_up_stays_while_there_are_jobs_and_goes_with_the_last(
    app, basic, store, children
):
    send(app, basic, 3)
    wake = keys.wake("default")
    assert store.llen(wake) == 1
    child = children()
    child.broker.wait(0.05)
    assert store.llen(wake) == 0
    child.take(2)
    assert store.llen(wake) == 1
    child.take(2)
    assert store.llen(wake) == 0


def test_a_wait_ends_with_a_wake_up_or_with_its_time(app, basic, store, children):
    child = children()
    begin = time.monotonic()
    child.broker.wait(0.1)
    assert 0.05 < time.monotonic() - begin < 1
    send(app, basic, 1)
    child.broker.wait(5)
    assert time.monotonic() - begin < 2


def test_ids_without_a_hash_are_dropped_and_other_keys_put_aside(
    app, basic, store, children
):
    store.rpush(keys.queue("default"), "gone", "text")
    store.set(keys.job("text"), "x")
    (good,) = send(app, basic, 1)
    assert [lease.job_id for lease in children().take()] == [good]
    assert store.lrange(keys.QUARANTINE, 0, -1) == [b"text"]
    assert waiting(store) == []


def test_a_job_that_has_ended_a_worker_is_taken_alone(app, basic, store, children):
    ids = send(app, basic, 5)
    store.hset(keys.job(ids[2]), "headway_crashes", 1)
    child = children()
    taken = [[lease.job_id for lease in child.take()] for _ in range(3)]
    assert taken == [ids[:2], [ids[2]], ids[3:]]


def test_what_only_rq_can_run_comes_with_all_its_fields(app, basic, store, children):
    plain, unusual = send(app, basic, 2)
    store.hset(keys.job(unusual), "success_callback_name", "x.y")
    first, second = children().take()
    assert (first.job_id, first.fields) == (plain, {})
    assert second.fields[b"success_callback_name"] == b"x.y"


# Acknowledge


def test_an_acknowledgement_is_written_once_and_frees_the_lease(
    app, basic, store, children
):
    send(app, basic, 2)
    child = children()
    one, other = child.take()
    assert child.acknowledge(one, other).lost == ()
    assert child.acknowledge(one).lost == (one.job_id,)
    assert store.zcard(keys.finished("default")) == 2
    assert store.xlen(keys.results(one.job_id)) == 1
    assert child.held() == {}
    assert 0 < store.ttl(keys.job(one.job_id)) <= 500


def test_who_has_lost_the_lease_cannot_write(app, basic, store, children, supervisor):
    send(app, basic, 1)
    first, second = children(), children("fedcba9876543210")
    (lost,) = first.take()
    recover(supervisor, first)
    (held,) = second.take()
    assert (lost.delivery, held.delivery) == (1, 2)
    assert first.acknowledge(lost, value=b"7").lost == (lost.job_id,)
    assert field(store, lost.job_id, "status") == "started"
    assert not store.exists(keys.results(lost.job_id))
    assert second.acknowledge(held).lost == ()


def test_the_same_child_cannot_write_an_earlier_delivery(app, basic, store, children):
    send(app, basic, 1)
    child = children()
    (early,) = child.take()
    child.broker.release([(early.job_id, early.ordinal)])
    (late,) = child.take()
    assert child.acknowledge(early).lost == (early.job_id,)
    assert child.acknowledge(late).lost == ()


@pytest.mark.parametrize(("ttl", "left"), [(0, None), (-1, -1), (60, 60)])
def test_a_result_stays_as_long_as_it_is_to(ttl, left, app, basic, store, children):
    send(app, basic, 1)
    child = children()
    (lease,) = child.take()
    child.acknowledge(lease, ttl=ttl)
    key = keys.job(lease.job_id)
    assert (store.ttl(key) if store.exists(key) else None) == left


def test_a_job_with_dependents_is_left_to_rqs_own_code(app, basic, store, children):
    send(app, basic, 2)
    child = children()
    one, parent = child.take()
    store.sadd(keys.dependents(parent.job_id), "someone")
    turn = child.acknowledge(one, parent)
    assert turn.parents == (parent.job_id,)
    assert child.held() == {parent.ordinal: (parent.job_id, "default")}
    assert field(store, parent.job_id, "status") == "started"


def test_a_job_that_was_deleted_as_it_ran_does_not_come_back(
    app, basic, store, children
):
    send(app, basic, 1)
    child = children()
    (lease,) = child.take()
    store.delete(keys.job(lease.job_id))
    child.acknowledge(lease)
    assert store.keys(f"*{lease.job_id}*") == []
    assert child.held() == {}


def test_packed_successes_can_be_read_back(app, basic, children):
    send(app, basic, 2)
    child = children()
    leases = child.take()
    value = b'"\r\n$"'
    packed = b"".join(
        child.success(each, ttl=5, value=value, shown=True) for each in leases
    )
    found = successes(packed, 2)
    assert [each.job_id for each in found] == [lease.job_id for lease in leases]
    told = {(each.result, each.began, each.ordinal) for each in found}
    assert told == {(value, "1000000000.000000", lease.ordinal) for lease in leases}
    assert successes(b"", 0) == []


# Release, renew, recover


def test_released_jobs_are_first_in_line_in_their_old_order(
    app, basic, store, children
):
    ids = send(app, basic, 5)
    child = children()
    leases = child.take(3)
    store.delete(keys.wake("default"))
    child.broker.release([(lease.job_id, lease.ordinal) for lease in leases])
    assert waiting(store) == ids
    assert field(store, ids[0], "status") == "queued"
    assert store.llen(keys.wake("default")) == 1
    child.broker.release([(lease.job_id, lease.ordinal) for lease in leases])
    assert waiting(store) == ids  # a second time changes nothing


def test_a_dead_childs_jobs_go_back_and_only_the_begun_one_is_counted(
    app, basic, store, children, supervisor
):
    ids = send(app, basic, 3)
    child = children()
    leases = child.take()
    found = recover(supervisor, child, begun=[leases[0].ordinal])
    assert waiting(store) == ids
    assert {each.leased.job_id: each.crashes for each in found} == dict(
        zip(ids, (1, 0, 0), strict=True)
    )
    assert [field(store, i, "headway_crashes") for i in ids] == ["1", "", ""]
    assert not store.zscore(keys.LEASES, child.holder.child)
    assert recover(supervisor, child) == []


def test_what_was_ended_goes_back_uncounted(app, basic, store, children, supervisor):
    ids = send(app, basic, 2)
    child = children()
    begun, _ = child.take()
    found = recover(supervisor, child, begun=[begun.ordinal], gone="ended")
    assert {(each.fate, each.crashes) for each in found} == {("requeued", 0)}
    assert waiting(store) == ids
    assert field(store, ids[0], "headway_crashes") == ""


def test_what_was_ended_and_may_not_run_twice_stays_leased_until_that_is_decided(
    app, basic, store, children, supervisor
):
    ids = send(app, basic, 2, on_orphan="fail")
    child = children()
    begun, _ = child.take()
    for since, gone in (([begun.ordinal], "ended"), (None, "dead")):
        found = recover(supervisor, child, begun=since, gone=gone)
        (left,) = (each for each in found if each.leased.job_id == ids[0])
        assert (left.fate, left.crashes) == ("broken off", 0)
        assert child.held() == {begun.ordinal: (ids[0], "default")}
        assert store.zscore(keys.LEASES, child.holder.child)
    assert waiting(store) == ids[1:]  # it had not begun
    assert field(store, ids[0], "headway_crashes") == ""
    assert field(store, ids[0], "headway_broken_off").endswith(" why")
    supervisor.release(child.holder, [begun.ordinal])
    other = children("fedcba9876543210")
    again = other.take(1)[0]
    (found,) = recover(supervisor, other, begun=[again.ordinal])
    assert (found.fate, found.crashes) == ("left", 1), "it holds of that run alone"


def test_what_is_kept_stays_leased(app, basic, store, children, supervisor):
    ids = send(app, basic, 2)
    child = children()
    kept, _ = child.take()
    recover(supervisor, child, kept=[kept.ordinal])
    assert waiting(store) == ids[1:]
    assert child.held() == {kept.ordinal: (kept.job_id, "default")}
    assert store.zscore(keys.LEASES, child.holder.child)


def test_after_the_third_crash_a_job_is_left_for_the_application(
    app, basic, store, children, supervisor
):
    (job_id,) = send(app, basic, 1)
    for time_ in range(3):
        child = children(str(time_))
        (lease,) = child.take()
        (found,) = recover(supervisor, child, begun=[lease.ordinal])
    assert (found.fate, found.crashes) == ("left", 3)
    assert waiting(store) == []
    assert field(store, job_id, "headway_story") == "why\nwhy\nwhy"
    assert child.held() == {lease.ordinal: (job_id, "default")}
    time_, _ = store.time()
    assert store.zscore(keys.LEASES, child.holder.child) > (time_ + 20) * 1000
    supervisor.bury(found.leased, reason="enough", now=2e9)
    supervisor.forget(child.holder, "machine")
    assert app.job(job_id).status == "failed"
    assert app.job(job_id).info().error == "enough"
    assert store.zscore(keys.failed("default"), job_id)
    assert not store.zscore(keys.LEASES, child.holder.child)


def test_only_leases_that_ran_out_are_late(app, basic, store, children, supervisor):
    ids = send(app, basic, 2)
    alive, late = children("a"), children("b", lease=0.0)
    alive.take(1)
    late.take(1)
    supervisor.sign([alive.holder.child, late.holder.child], "host 1 2", "machine")
    time_, _ = store.time()
    assert store.zscore(keys.LEASES, late.holder.child) <= (time_ + 1) * 1000
    assert supervisor.late() == [(late.holder, "host 1 2")]
    assert len(supervisor.neighbours("machine")) == 2
    assert supervisor.neighbours("elsewhere") == []
    told = {"begun": None, "story": "why", "crash_limit": 3, "gone": "late"}
    assert supervisor.recover(alive.holder, **told) == []
    (found,) = supervisor.recover(late.holder, **told)
    assert (found.leased.job_id, found.fate, found.crashes) == (ids[1], "requeued", 1)
    assert waiting(store) == ids[1:]
    both = [alive.holder.child, late.holder.child]
    assert supervisor.renew([*both, "one that starts"]) == [late.holder.child]
    store.delete(keys.LEASES)  # a Redis that has lost its data has recovered nothing
    store.delete(keys.recovered(late.holder.child))
    assert supervisor.renew(both) == []
    supervisor.forget(late.holder, "machine")
    assert supervisor.neighbours("machine") == [(alive.holder, "host 1 2")]


def test_a_reservation_that_comes_late_is_void(app, basic, store, children):
    ids = send(app, basic, 3)
    child, line = children(), Line(store, (RESERVE,))
    sent = child.broker._reservation(1, (DEFAULT,))  # and kept by the network
    child.broker._next_ordinal += 1
    assert child.broker.resume() == {}
    assert line.ask(sent, 1) == [[]]
    line.close()
    assert waiting(store) == ids
    (lease,) = child.take(1)
    assert child.broker.resume() == {lease.job_id: lease.ordinal}


def test_a_reservation_of_the_dead_is_void_and_wakes_another(
    app, basic, store, children, supervisor
):
    child, line = children(), Line(store, (RESERVE,))
    sent = child.broker._reservation(1, (DEFAULT,))  # and then the child is killed
    assert recover(supervisor, child) == []
    ids = send(app, basic, 1)
    store.delete(keys.wake("default"))  # what has woken it
    assert line.ask(sent, 1) == [[]]
    line.close()
    assert waiting(store) == ids
    assert store.llen(keys.wake("default")) == 1


def test_an_id_that_rq_would_not_make_is_put_aside(app, basic, store, children):
    (job_id,) = send(app, basic, 1)
    for odd in (b"\xff\xfe", b"new\nline", b""):
        store.copy(keys.job(job_id), b"rq:job:" + odd)
        store.lpush(keys.queue("default"), odd)
    assert [lease.job_id for lease in children().take()] == [job_id]
    assert len(store.lrange(keys.QUARANTINE, 0, -1)) == 3


def test_a_job_that_ended_otherwise_meanwhile_is_not_put_back(
    app, basic, store, children, supervisor
):
    (job_id,) = send(app, basic, 1)
    child = children()
    child.take()
    store.hset(keys.job(job_id), "status", "canceled")
    (found,) = recover(supervisor, child)
    assert found.fate == "gone"
    assert waiting(store) == []


@pytest.mark.parametrize("verb", ["recover", "release", "acknowledge"])
def test_a_job_whose_key_changed_its_type_stops_no_other(
    verb, app, basic, store, children, supervisor
):
    send(app, basic, 3)
    child = children()
    leases = child.take()
    store.delete(keys.job(leases[1].job_id))
    store.set(keys.job(leases[1].job_id), "text")
    match verb:
        case "recover":
            recover(supervisor, child, begun=[lease.ordinal for lease in leases])
        case "release":
            child.broker.release([(each.job_id, each.ordinal) for each in leases])
        case _:
            child.acknowledge(*leases)
    assert child.held() == {}
    good = [leases[0].job_id, leases[2].job_id]
    assert waiting(store) == ([] if verb == "acknowledge" else good)


# Show, nudge


def test_a_shown_job_is_in_rqs_registries_until_it_ends(
    app, basic, store, children, supervisor
):
    (job_id,) = send(app, basic, 1)
    child = children()
    (lease,) = child.take()
    now = SystemClock().now().timestamp()
    supervisor.show(child.holder, [(lease.ordinal, now - 1), (99, now)], now)
    (member,) = store.zrange(keys.started("default"), 0, -1)
    execution = child.holder.execution_id(lease.ordinal)
    assert member.decode() == f"{job_id}:{execution}"
    assert store.zscore(keys.started("default"), member) > now + 300
    recover(supervisor, child)
    assert store.zcard(keys.started("default")) == 0
    assert not store.keys("rq:execution:*")


def test_a_nudge_is_for_queues_with_jobs_alone(app, basic, store, supervisor):
    send(app, basic, 1)
    store.delete(keys.wake("default"))
    for _ in range(3):
        supervisor.nudge()
    assert store.llen(keys.wake("default")) == 1
    assert store.llen(keys.wake("high")) == 0


def test_a_late_job_of_a_paused_lease_is_safe_from_rqs_own_clean_up(
    app, basic, store, children, supervisor, queue
):
    (job_id,) = send(app, basic, 1)
    child = children()
    (lease,) = child.take()
    now = SystemClock().now().timestamp()
    supervisor.show(child.holder, [(lease.ordinal, now)], now)
    queue.started_job_registry.cleanup(now + timedelta(minutes=5).total_seconds())
    assert field(store, job_id, "status") == "started"
    assert child.acknowledge(lease).lost == ()
