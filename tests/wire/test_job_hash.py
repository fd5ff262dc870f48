"""What Headway writes is what rq 3.0.0 itself writes, field by field."""

from __future__ import annotations

import base64
import json
import random
import zlib
from datetime import UTC, datetime, timedelta

import pytest
import rq
from rq.job import Job as RQJob
from rq.registry import (
    CanceledJobRegistry,
    DeferredJobRegistry,
    FailedJobRegistry,
    FinishedJobRegistry,
    ReadyJobRegistry,
    ScheduledJobRegistry,
    StartedJobRegistry,
)
from rq.serializers import JSONSerializer

from headway import Repeat, Retry, Unique, observe
from headway.wire import keys

HOUR = timedelta(hours=1)
#: Each moment differs from the next.
TIMES = {b"created_at", b"enqueued_at"}


def _hash(store, job_id: str) -> dict[bytes, bytes]:
    fields = store.hgetall(keys.job(job_id))
    assert fields
    return fields


def _compare(ours: dict[bytes, bytes], theirs: dict[bytes, bytes]) -> None:
    assert set(ours) == set(theirs)
    for name, their in theirs.items():
        if name == b"data":
            # RQ compresses the shortest, too, and reads what is not compressed.
            assert ours[name] == zlib.decompress(their)
        elif name in TIMES:
            form = "%Y-%m-%dT%H:%M:%S.%fZ"
            for each in (ours, theirs):
                datetime.strptime(each[name].decode(), form).replace(tzinfo=UTC)
        else:
            assert (name, ours[name]) == (name, their)


CALLS = [
    ({}, {}),
    ({"timeout": timedelta(seconds=90)}, {"job_timeout": 90}),
    ({"result_ttl": timedelta(minutes=1)}, {"result_ttl": 60}),
    ({"result_ttl": timedelta(0)}, {"result_ttl": 0}),
    ({"failure_ttl": timedelta(days=1)}, {"failure_ttl": 86_400}),
    ({"description": "a sum"}, {"description": "a sum"}),
    ({"at_front": True}, {"at_front": True}),
]


@pytest.mark.parametrize(("options", "rq_options"), CALLS)
def test_a_queued_job_is_written_as_rq_writes_it(
    basic, queue, store, options, rq_options
):
    ours = basic.add.using(**options).enqueue(1, other=2)
    theirs = queue.enqueue(
        "sample_tasks.basic.add",
        args=(1,),
        kwargs={"other": 2},
        **{"job_timeout": 180, **rq_options},
    )
    _compare(_hash(store, ours.id), _hash(store, theirs.id))
    assert store.smembers(keys.QUEUES) == {b"rq:queue:default"}
    assert store.ttl(keys.job(ours.id)) == store.ttl(keys.job(theirs.id)) == -1


@pytest.mark.parametrize(("options", "rq_options"), CALLS)
def test_a_scheduled_job_is_written_as_rq_writes_it(
    basic, queue, store, options, rq_options
):
    at = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    ours = basic.add.using(at=at, **options).enqueue(1)
    theirs = queue.enqueue_at(
        at, "sample_tasks.basic.add", args=(1,), **{"job_timeout": 180, **rq_options}
    )
    mine, other = _hash(store, ours.id), _hash(store, theirs.id)
    # RQ's scheduled jobs forget `at_front` unless its scheduler reads it; the field
    # is there for ours alone when it was asked for.
    for each in (mine, other):
        each.pop(b"enqueue_at_front", None)
    _compare(mine, other)
    scheduled = dict(store.zrange(keys.scheduled("default"), 0, -1, withscores=True))
    assert scheduled[ours.id.encode()] == scheduled[theirs.id.encode()]


def test_a_call_is_described_as_rq_describes_it(basic, queue):
    ours = basic.fail.enqueue("a 'text' " * 20)
    theirs = queue.enqueue("sample_tasks.basic.fail", "a 'text' " * 20)
    # RQ quotes with its own repr and cuts at 75; ours is meant for the same column.
    assert ours.info().description.startswith('sample_tasks.basic.fail("a ')
    assert theirs.description.startswith("sample_tasks.basic.fail(")


def test_meta_is_there_only_where_rq_has_no_place(basic, store):
    plain = basic.add.enqueue(1)
    assert b"meta" not in _hash(store, plain.id)
    retry = Retry(attempts=9)
    unique = Unique(key="k")
    full = basic.add.using(
        expires=timedelta(hours=1), retry=retry, unique=unique
    ).enqueue(1)
    meta = json.loads(_hash(store, full.id)[b"meta"])
    assert list(meta) == ["headway"]
    assert set(meta["headway"]) == {"expires_at", "retry", "unique"}
    assert meta["headway"]["retry"] == retry.to_wire()
    assert store.get("headway:unique:k") == full.id.encode()
    assert 0 < store.pttl("headway:unique:k") <= 3_600_000


@pytest.mark.parametrize(
    ("every", "interval"),
    [(timedelta(seconds=90), 90), (timedelta(milliseconds=1200), 2)],
)
def test_a_job_that_repeats_is_written_as_rq_writes_it(
    basic, queue, store, every, interval
):
    """RQ's times are whole seconds; what it has no place for is beside them."""
    rule = Repeat(3, every, until_failure=True)
    ours = basic.add.using(repeat=rule).enqueue(1)
    theirs = queue.enqueue(
        "sample_tasks.basic.add",
        args=(1,),
        job_timeout=180,
        repeat=rq.Repeat(times=3, interval=interval),
    )
    mine = _hash(store, ours.id)
    wire = {"every": every.total_seconds(), "until_failure": True}
    assert json.loads(mine.pop(b"meta")) == {"headway": {"repeat": wire}}
    _compare(mine, _hash(store, theirs.id))
    job = RQJob.fetch(ours.id, store, JSONSerializer)
    assert (job.repeats_left, job.repeat_intervals) == (3, [interval])
    assert ours.info().repeats_left == 3


def test_a_scheduled_job_that_repeats_comes_in_front_each_time(basic, store):
    rule = Repeat(3, HOUR)
    job = basic.add.using(repeat=rule, at_front=True, expires=HOUR).enqueue(1)
    fields = _hash(store, job.id)
    assert fields[b"enqueue_at_front"] == b"1"
    extras = json.loads(fields[b"meta"])["headway"]
    assert extras["repeat"]["expires"] == 3600
    assert "expires_at" in extras


def test_a_unique_key_is_kept_for_all_runs(basic, store):
    for times, hours in ((3, 7), (10**9, 24 * 3653 + 1)):
        key = f"k{times}"
        rule = Repeat(times, HOUR)
        basic.add.using(repeat=rule, unique=key).enqueue(1)
        left = store.pttl(f"headway:unique:{key}")
        assert 0 <= hours * 3_600_000 - left < 60_000


def test_rqs_own_job_reads_ours(basic, queue, store):
    sent = basic.add.enqueue(1, other=2)
    job = RQJob.fetch(sent.id, store, JSONSerializer)
    assert (job.func_name, job.args, job.kwargs) == (
        "sample_tasks.basic.add",
        [1],
        {"other": 2},
    )
    assert (job.origin, job.timeout, job.get_status()) == ("default", 180, "queued")
    assert queue.job_ids == [sent.id]
    assert queue.fetch_job(sent.id) == job


def test_ours_reads_rqs_own(app, queue):
    theirs = queue.enqueue("sample_tasks.basic.add", 1, other=2, meta={"a": 1})
    info = app.job(theirs.id).info()
    assert (info.task, info.args, info.kwargs) == (
        "sample_tasks.basic.add",
        (1,),
        {"other": 2},
    )
    assert str(info.status) == "queued"


def test_what_is_no_json_is_shown_and_never_opened(app, store):
    from rq import Queue

    Queue("default", connection=store).enqueue("sample_tasks.basic.add", 1, job_id="p")
    store.hset(keys.job("odd"), mapping={"data": b"\xff\x00", "meta": "[1]"})
    assert app.job("p").info().task == "(a payload that is not JSON)"
    assert app.job("odd").info().task == "(a payload that is not JSON)"


NESTED = b"[" * 100_000
NONSENSE = [
    {"data": NESTED},
    {"meta": NESTED},
    {"meta": '{"headway": {"errors": 5, "progress": 5}}'},
    {"meta": '{"headway": {"errors": [1, null]}}'},
    {"meta": '{"headway": {"progress": {"done": NaN, "total": 1}}}'},
    {"meta": f'{{"headway": {{"progress": {{"done": 1, "total": {10**400}}}}}}}'},
    {b"\xff": b"\xff", "timeout": "soon", "number_of_retries": "-1"},
]


@pytest.mark.parametrize("fields", NONSENSE)
def test_a_job_of_nonsense_does_not_hide_the_others(app, store, fields):
    store.hset(keys.job("odd"), mapping={"status": "failed", **fields})
    store.xadd(keys.results("odd"), {"type": "2", "exc_string": "a"})
    store.hset(keys.job("good"), mapping={"status": "failed", "exc_info": "why"})
    store.zadd(keys.failed("default"), {"odd": 1, "good": 2})
    good, odd = app.backend().failed("default", 10)
    assert (good.error, odd.id) == ("why", "odd")


@pytest.mark.parametrize("value", [8, 80, 8.5, "x", None, [], "8" * 1000])
def test_a_result_is_read_whether_or_not_it_looks_compressed(app, store, value):
    written = json.dumps(value).encode()
    for form in (written, zlib.compress(written)):
        store.delete(keys.results("j"))
        store.hset(keys.job("j"), mapping={"status": "finished", "data": "[]"})
        packed = base64.b64encode(form)
        store.xadd(keys.results("j"), {"type": 1, "return_value": packed})
        assert app.job("j").info().result == value
        assert observe.job(store, "j").result.value == value


def test_the_page_and_the_handle_tell_the_same_of_a_job(app, queue, store):
    queue.enqueue("sample_tasks.basic.add", 1, other=2, job_id="j", meta={"a": 1})
    extras = {"progress": {"done": 1, "total": 4, "note": "n"}, "errors": ["E: one"]}
    told = {
        "status": "failed",
        "started_at": "2026-11-22T10:00:00.000000Z",
        "ended_at": "2026-11-22T10:00:01Z",
        "number_of_retries": 2,
        "worker_name": "one",
        "meta": json.dumps({"headway": extras}),
    }
    store.hset(keys.job("j"), mapping=told)
    trace = base64.b64encode(zlib.compress(b"Traceback\nE: two"))
    store.xadd(keys.results("j"), {"type": 2, "exc_string": trace})
    info, page = app.job("j").info(), observe.job(store, "j")
    assert (info.task, info.attempt, info.error) == (
        "sample_tasks.basic.add",
        3,
        "Traceback\nE: two",
    )
    assert info.ended_at == datetime(2026, 11, 22, 10, 0, 1, tzinfo=UTC)
    for name in ("task", "attempt", "progress", "errors", "timeout"):
        assert getattr(page, name) == getattr(info, name), name
    for name in ("id", "queue", "description", "error", "worker", "started_at"):
        assert getattr(page.line, name) == getattr(info, name), name


@pytest.mark.parametrize("due", ["inf", "1e300"])
def test_a_due_time_of_nonsense_is_left_out(app, store, due):
    store.hset(keys.job("odd"), mapping={"status": "scheduled", "origin": "default"})
    store.zadd(keys.scheduled("default"), {"odd": due})
    assert app.job("odd").info().due is None


def _is_work(command: str) -> bool:
    """Leave out what a client says when it connects."""
    return not command.startswith(("HELLO", "CLIENT"))


def _commands_of(store, act) -> list[str]:
    """Return the commands that clients send while something is done."""
    seen: list[str] = []
    with store.monitor() as monitor:
        act()
        store.ping()
        while (one := monitor.next_command())["command"] != "PING":
            if one["client_type"] != "lua" and _is_work(one["command"]):
                seen.append(one["command"].split()[0])
    return seen


def test_many_jobs_take_few_commands(app, basic, store):
    messages = [basic.add.message(n) for n in range(1100)]
    app.enqueue_many(messages[:1])
    seen = _commands_of(store, lambda: app.enqueue_many(messages))
    assert seen == ["EVAL"] * 3
    assert store.llen("rq:queue:default") == 1101


@pytest.mark.parametrize("options", [{}, {"delay": HOUR}, {"unique": "k"}])
def test_one_job_takes_one_command(basic, store, options):
    task = basic.add.using(**options)
    task.enqueue(1)
    assert _commands_of(store, lambda: task.enqueue(1)) == ["EVALSHA"]


def test_long_payloads_are_compressed_and_sent_a_few_at_a_time(app, basic, store):
    text = "".join(random.choices("abcdefgh", k=400_000))
    messages = [basic.fail.message(text) for _ in range(20)]
    store.config_resetstat()
    app.enqueue_many(messages)
    assert store.info("commandstats")["cmdstat_eval"]["calls"] > 2
    assert store.llen("rq:queue:default") == 20
    [job_id] = store.lrange("rq:queue:default", 0, 0)
    data = _hash(store, job_id.decode())[b"data"]
    assert len(data) < 400_000
    assert json.loads(zlib.decompress(data))[2] == [text]


def test_a_server_that_forgot_the_scripts_is_given_them_again(app, basic, store):
    for act in (
        lambda: basic.add.using(job_id="a").enqueue(1),
        lambda: app.job("a").cancel(),
        lambda: app.job("a").requeue(),
        lambda: app.backend().promote("default"),
        lambda: app.enqueue_many([basic.add.message(n) for n in range(600)]),
    ):
        store.script_flush()
        act()
    assert store.llen("rq:queue:default") == 601


REGISTRIES = [
    (keys.started, StartedJobRegistry),
    (keys.scheduled, ScheduledJobRegistry),
    (keys.deferred, DeferredJobRegistry),
    (keys.ready, ReadyJobRegistry),
    (keys.finished, FinishedJobRegistry),
    (keys.failed, FailedJobRegistry),
    (keys.canceled, CanceledJobRegistry),
]


@pytest.mark.parametrize(("ours", "theirs"), REGISTRIES)
def test_a_registry_is_where_rq_has_it(store, ours, theirs):
    assert ours("default") == theirs("default", connection=store).key
