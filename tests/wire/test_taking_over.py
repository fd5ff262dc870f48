"""What the package rq-scheduler has written, read and taken over."""

from __future__ import annotations

import pickle
import threading
import zlib
from datetime import UTC, datetime, timedelta

import pytest
from rq.job import Callback, Job
from rq_scheduler import Scheduler

from headway import Every, Schedule, load_app
from headway.clock import SystemClock
from headway.errors import ConfigurationError, StoreError
from headway.migrate import rq_scheduler as taking
from headway.migrate.rq_scheduler import RQSchedulerJobs
from headway.scheduler import Scheduler as Sender
from headway.shims.rq_scheduler import Scheduler as Shim
from headway.wire import keys
from headway.wire import rq_scheduler as wire
from headway.wire.rq_scheduler import RQSchedulerData

TICK = "sample_ledger.tick"
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
SOON = datetime.now(UTC).replace(microsecond=0) + HOUR


@pytest.fixture
def app(sample, redis_url, monkeypatch):
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("TZ", "UTC")
    app = load_app("sample_pickle_app:app")
    app.registry.import_all()
    yield app
    app.close()


@pytest.fixture
def theirs(store) -> Scheduler:
    return Scheduler(connection=store)


@pytest.fixture
def jobs(app) -> RQSchedulerJobs:
    return RQSchedulerJobs(app, "UTC")


@pytest.fixture
def data(store) -> RQSchedulerData:
    return RQSchedulerData(store, SystemClock())


def scores(store) -> dict[str, float]:
    pairs = store.zrange(keys.RQ_SCHEDULER_JOBS, 0, -1, withscores=True)
    return {job_id.decode(): score for job_id, score in pairs}


def contents(store) -> dict[bytes, bytes]:
    return {key: store.dump(key) for key in store.scan_iter()}


def test_an_interval_goes_on_from_when_it_is_due(app, store, theirs, jobs):
    theirs.schedule(SOON, TICK, ["a"], {"owner": "me"}, interval=60, id="often")
    [found] = jobs.take()
    assert (found.done, found.notes) == ("made", ())
    info = app.schedules.get("often")
    assert info.next_due == SOON
    assert (info.task, info.args, info.kwargs) == (TICK, ("a",), {"owner": "me"})
    assert (info.queue, info.declared) == ("default", "")
    assert found.carried.timing == Every(seconds=60, anchor=SOON)
    assert found.carried.end is None
    assert scores(store) == {}
    assert not store.exists(keys.job("often"), keys.RQ_SCHEDULER_LOCK)


def test_a_line_of_cron_goes_on_from_when_it_is_due(app, theirs, jobs):
    theirs.cron("30 3 * * *", TICK, ["a"], id="nightly", queue_name="low", timeout=60)
    due = next(theirs.get_jobs(with_times=True))[1].replace(tzinfo=UTC)
    [found] = jobs.take()
    info = app.schedules.get("nightly")
    assert (info.timing, info.next_due) == ("30 3 * * * in UTC", due)
    assert found.carried.message.options == {
        "queue": "low",
        "timeout": timedelta(minutes=1),
    }


def test_a_job_that_runs_once_is_a_delayed_one_of_its_id(app, store, theirs, jobs):
    theirs.schedule(
        SOON,
        TICK,
        ["a"],
        {"owner": "me"},
        id="once",
        result_ttl=60,
        description="for you",
        at_front=True,
    )
    [found] = jobs.take()
    assert (found.done, found.when) == ("made", f"once, {SOON:%F %T} in UTC")
    info = app.job("once").info()
    assert (info.status, info.due, info.queue) == ("scheduled", SOON, "default")
    assert (info.args, info.kwargs) == (("a",), {"owner": "me"})
    assert info.description == "for you"
    assert store.hget(keys.job("once"), "enqueue_at_front") == b"1"
    assert store.hget(keys.job("once"), "result_ttl") == b"60"
    assert [job.id for job in Shim(app=app).get_jobs()] == ["once"]


def test_what_is_overdue_is_sent_once(app, theirs, jobs):
    past = datetime.now(UTC).replace(microsecond=0) - 3.5 * HOUR
    theirs.schedule(past, TICK, ["a"], interval=3600, id="often")
    theirs.enqueue_at(past, TICK, "b", job_id="once")
    jobs.take()
    sender = Sender(app)
    for _ in range(5):
        sender.round()
    # The latest, as rq-scheduler would; the others are written down.
    sent = [t for t in app.schedules.history("often") if t.job_id]
    assert [tick.due for tick in sent] == [past + 3 * HOUR]
    assert app.job("once").status == "queued"


@pytest.mark.parametrize("interval", [10, 3600])
def test_what_is_overdue_is_one_of_its_repeats(app, theirs, jobs, interval):
    past = datetime.now(UTC).replace(microsecond=0) - 5.5 * interval * SECOND
    theirs.schedule(past, TICK, ["a"], interval=interval, repeat=3, id="often")
    [found] = jobs.take()
    sender = Sender(app)
    for _ in range(5):
        sender.round()
    latest = past + 5 * interval * SECOND
    sent = [t for t in app.schedules.history("often") if t.job_id]
    assert [tick.due for tick in sent] == [latest]
    assert found.carried.end == latest + 2 * interval * SECOND


@pytest.mark.parametrize("score", [1.7e12, float("inf"), -1e300])
def test_a_time_that_no_calendar_has_holds_up_no_other(store, theirs, jobs, score):
    job = theirs.enqueue_at(SOON, TICK, "a", job_id="lost")
    theirs.enqueue_at(SOON, TICK, "b", job_id="fine")
    store.zadd(keys.RQ_SCHEDULER_JOBS, {job.id: score})
    found = {each.name: each for each in jobs.read()}
    assert [found["lost"].done, found["fine"].done] == ["", "made"]
    assert found["lost"].notes
    assert {each.name: each.done for each in jobs.take()} == {
        "lost": "",
        "fine": "made",
    }


@pytest.mark.parametrize(("repeat", "runs"), [(3, 3), (0, 1), (None, None)])
def test_what_is_left_of_its_repeats_is_when_it_ends(theirs, jobs, repeat, runs):
    theirs.schedule(SOON, TICK, ["a"], interval=60, repeat=repeat, id="often")
    [found] = jobs.take()
    end = None if runs is None else SOON + (runs - 1) * timedelta(seconds=60)
    assert found.carried.end == end


def test_repeats_that_have_run_are_not_counted(store, theirs, jobs):
    now = datetime.now(UTC).replace(microsecond=0)
    job = theirs.schedule(now - HOUR, TICK, ["a"], interval=60, repeat=3, id="often")
    theirs.enqueue_job(Job.fetch(job.id, connection=store))
    [found] = jobs.take()
    due = found.carried.timing.anchor
    assert due >= now + timedelta(seconds=60)
    assert found.carried.end == due + timedelta(seconds=60)
    # It waits in its queue, and is run from there.
    assert store.hget(keys.job("often"), "status") == b"queued"


def test_its_sender_died_before_it_moved_it_on(app, store, theirs, jobs):
    """It would send it again: that tick is over."""
    past = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
    for job_id, repeat in (("often", None), ("last", 1)):
        theirs.schedule(past, TICK, [job_id], interval=600, repeat=repeat, id=job_id)
    theirs.enqueue_at(past, TICK, "once", job_id="once")
    before = scores(store)
    for job_id in before:
        theirs.enqueue_job(Job.fetch(job_id, connection=store))
    store.zadd(keys.RQ_SCHEDULER_JOBS, before)
    found = {each.name: each for each in jobs.take()}
    assert found["often"].done == "made"
    assert app.schedules.get("often").next_due == past + timedelta(seconds=600)
    for over in ("last", "once"):
        assert found[over].carried is None
        assert "it is over" in found[over].notes[0]
    assert scores(store) == {}
    assert store.llen(keys.queue("default")) == 3


def test_to_do_it_again_changes_nothing(store, theirs, jobs):
    theirs.schedule(SOON, TICK, ["a"], interval=60)
    theirs.enqueue_at(SOON, TICK, "b")
    assert len(jobs.take()) == 2
    before = contents(store)
    assert jobs.take() == []
    assert contents(store) == before


def test_to_look_changes_nothing(store, theirs, jobs):
    theirs.schedule(SOON, TICK, ["a"], interval=60)
    theirs.enqueue_at(SOON, TICK, "b")
    before = contents(store)
    assert [each.done for each in jobs.read()] == ["made", "made"]
    assert contents(store) == before


def test_a_program_that_still_makes_it_there_doubles_no_tick(app, store, theirs, jobs):
    theirs.schedule(datetime.now(UTC) - HOUR, TICK, ["a"], interval=7200, id="often")
    jobs.take()
    sender = Sender(app)
    sender.round()
    [tick] = [t for t in app.schedules.history("often") if t.job_id]
    app.schedules.pause("often")
    theirs.schedule(tick.due, TICK, ["other"], interval=7200, id="often")
    assert [each.done for each in jobs.take()] == ["made"]
    info = app.schedules.get("often")
    assert (info.paused, info.args) == (True, ("other",))
    sender.round()
    assert len([t for t in app.schedules.history("often") if t.job_id]) == 1


# What cannot be carried over stays


@pytest.fixture
def refused(store, theirs, jobs):
    """Take over the only one that is there; return why it is left."""

    def why(of: RQSchedulerJobs = jobs) -> str:
        before = scores(store)
        [found] = of.take()
        assert found.carried is None
        assert scores(store) == before
        return found.notes[0]

    return why


def test_a_time_that_is_none_of_its_line_asks_for_the_zone(app, theirs, refused):
    theirs.cron("30 3 * * *", TICK, ["a"], id="nightly")
    assert "say by --zone" in refused(RQSchedulerJobs(app, "Asia/Kolkata"))
    theirs.change_execution_time(Job("nightly", connection=theirs.connection), SOON)
    assert "changed by hand" in refused()


def test_a_pickle_stays_closed_unless_the_application_accepts_it(app, theirs, refused):
    theirs.schedule(SOON, TICK, ["a"], interval=60)
    app.accept_pickle = False
    assert "App(accept_pickle=True)" in refused()


def test_nothing_is_read_where_only_signed_jobs_may_run(app, theirs, refused):
    theirs.schedule(SOON, TICK, ["a"], interval=60)
    app._signed = True
    assert "signed='send'" in refused()


def test_a_job_that_runs_once_is_signed_by_who_takes_it(
    app, theirs, jobs, store, monkeypatch
):
    monkeypatch.setenv("HEADWAY_SECRET", "a secret of some length")
    app._signed = "send"
    theirs.enqueue_at(SOON, TICK, "b", job_id="once")
    jobs.take()
    assert b'"signature"' in store.hget(keys.job("once"), "meta")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"func": "os.getpid"}, "App(allow=['os.getpid'])"),
        ({"func": "sample_ledger.gone"}, "no such function"),
        ({"queue_name": "elsewhere"}, "no queue 'elsewhere'"),
        ({"args": [object()]}, "has no form in JSON"),
        ({"args": []}, "name"),
        ({"timeout": -1}, "every attempt has a limit"),
        ({"on_success": Callback("os.getpid")}, "success_callback_name"),
        ({"depends_on": "other"}, "dependency_id"),
        ({"interval": None, "id": "with-meta", "func": "os.getpid"}, "App(allow="),
    ],
)
def test_what_is_not_to_be_had_says_why(theirs, refused, said, why):
    call = {"func": TICK, "args": ["a"], "interval": 60} | said
    theirs.schedule(SOON, **call)
    assert why in refused()


def test_what_is_left_out_is_said(theirs, jobs):
    theirs.schedule(SOON, TICK, ["a"], interval=60, meta={"owner": "me"})
    theirs.enqueue_at(SOON, TICK, "a", job_result_ttl=-1, timeout="1h")
    notes = {note for each in jobs.take() for note in each.notes}
    assert notes == {
        "its meta is left out: owner",
        "results are kept for 500 seconds, not for ever",
    }


def test_a_line_for_days_that_are_both_is_left(theirs, refused):
    theirs.cron("0 0 13 * 5", TICK, ["a"])
    assert "here is for either" in refused()


def test_a_method_of_an_object_is_left(sample, app, theirs, refused):
    from sample_ledger import Holder

    theirs.schedule(SOON, Holder().method, interval=60)
    assert "only functions may run" in refused()


def test_what_is_written_over_is_left(store, theirs, refused):
    job = theirs.schedule(SOON, TICK, ["a"], interval=60)
    store.hset(keys.job(job.id), "data", zlib.compress(b"\x80\x04no pickle"))
    assert "cannot be read here: UnpicklingError" in refused()
    store.hset(keys.job(job.id), "data", b"[]")
    assert "only functions may run" in refused()
    call = pickle.dumps((TICK, None, ("a",), {}))
    for meta in ({"interval": "often"}, {"interval": 60, "repeat": []}):
        fields = {"data": call, "meta": pickle.dumps(meta)}
        store.hset(keys.job(job.id), mapping=fields)
        assert "int()" in refused()
    store.delete(keys.job(job.id))
    assert "which is gone" in refused()


def test_an_id_that_rq_does_not_take_any_more_is_left(store, refused):
    call = pickle.dumps((TICK, None, ("a",), {}))
    store.hset(keys.job("old.id"), mapping={"data": call, "origin": "default"})
    store.zadd(keys.RQ_SCHEDULER_JOBS, {"old.id": SOON.timestamp()})
    assert "'old.id'" in refused()


def test_a_job_in_json_needs_no_pickle(app, store, jobs):
    app.accept_pickle = False
    fields = {
        "data": f'["{TICK}", null, ["a"], {{}}]',
        "meta": '{"interval": 60}',
        "origin": "default",
    }
    store.hset(keys.job("plain"), mapping=fields)
    store.zadd(keys.RQ_SCHEDULER_JOBS, {"plain": SOON.timestamp()})
    assert [each.done for each in jobs.take()] == ["made"]


def test_one_that_the_code_declares_is_left(app, theirs, refused):
    from sample_ledger import tick

    declared = Schedule("nightly", Every(hours=1), tick.message("a"))
    app.schedules.declare({"sample_ledger": [declared]})
    theirs.schedule(SOON, TICK, ["a"], interval=60, id="nightly")
    [seen] = RQSchedulerJobs(app, "UTC").read()
    assert seen.done == ""
    assert "declared in sample_ledger" in refused()


def test_one_of_another_task_is_left(app, theirs, jobs, refused):
    other = app.resolve("sample_ledger.other").message()
    app.schedules.add(Schedule("nightly", Every(hours=1), other))
    theirs.schedule(SOON, TICK, ["a"], interval=60, id="nightly")
    assert [each.done for each in jobs.read()] == [""]
    assert "'nightly' of sample_ledger.other: rename" in refused()
    assert app.schedules.get("nightly").task == "sample_ledger.other"


def test_jobs_that_are_not_in_redis_are_nobodys(app):
    with (
        app.using_engine("memory"),
        pytest.raises(ConfigurationError, match="the engine is 'memory'"),
    ):
        RQSchedulerJobs(app, "UTC")


# Whoever holds the lock under which rq-scheduler sends


def test_rq_scheduler_does_not_send_meanwhile(theirs, data):
    with data.held():
        assert not theirs.acquire_lock()
    assert theirs.acquire_lock()


def test_it_is_waited_until_rq_scheduler_has_sent(store, theirs, jobs):
    theirs.schedule(SOON, TICK, ["a"], interval=60)
    assert theirs.acquire_lock()
    taken = threading.Thread(target=jobs.take)
    taken.start()
    taken.join(0.3)
    assert len(scores(store)) == 1
    theirs.remove_lock()
    taken.join(10)
    assert scores(store) == {}


def test_a_lock_that_is_never_free_is_named(store, theirs, data, monkeypatch):
    monkeypatch.setattr(wire, "PATIENCE", timedelta(0))
    store.set(keys.RQ_SCHEDULER_LOCK, "somebody")
    with pytest.raises(StoreError, match="rq:scheduler_lock"), data.held():
        pass
    assert store.get(keys.RQ_SCHEDULER_LOCK) == b"somebody"


def test_nothing_is_taken_once_the_lock_is_lost(store, theirs, jobs, data):
    theirs.schedule(SOON, TICK, ["a"], interval=60)
    theirs.enqueue_at(SOON, TICK, "b")
    for job in data.waiting():
        read = jobs._carried(job)
        with pytest.raises(StoreError, match="was lost"):
            jobs._take(read, read.found.carried)
    assert len(scores(store)) == 2


def test_what_has_changed_since_it_was_read_is_read_again(app, store, theirs, jobs):
    theirs.schedule(SOON, TICK, ["a"], interval=60, id="often")
    theirs.enqueue_at(SOON, TICK, "b", job_id="once")
    stale = jobs._data.waiting()
    for job_id in ("often", "once"):
        store.zadd(keys.RQ_SCHEDULER_JOBS, {job_id: (SOON + HOUR).timestamp()})
    with jobs._data.held():
        for job in stale:
            read = jobs._carried(job)
            assert not jobs._take(read, read.found.carried)
        assert [jobs._taken(job).carried is None for job in stale] == [False, False]
        # And now they are gone.
        assert [jobs._taken(job).notes for job in stale] == [
            ("it was canceled meanwhile",)
        ] * 2
    assert app.schedules.get("often").next_due == SOON + HOUR
    assert app.job("once").info().due == SOON + HOUR


def test_what_changes_all_the_time_is_left(theirs, refused, monkeypatch):
    monkeypatch.setattr(taking, "TRIES", 0)
    theirs.schedule(SOON, TICK, ["a"], interval=60)
    assert "changes so fast" in refused()
