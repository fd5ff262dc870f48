"""Code that was written for rq-scheduler, on every engine; only its import is ours."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from redis import Redis
from redis.exceptions import RedisError
from rq_scheduler import Scheduler as RQScheduler

from headway import At, Every, Schedule
from headway import scheduler as scheduler_module
from headway.errors import (
    ArgumentError,
    CapabilityError,
    ConfigurationError,
    StoreError,
    TaskNotAllowedError,
    UnknownQueueError,
)
from headway.scheduler import Scheduler as Sender
from headway.shims.listing import listing_of
from headway.shims.rq_scheduler import Scheduler
from headway.testing import in_memory
from headway.wire import keys
from headway.wire.promotion import BATCH, Promotion

ENGINES = ["memory", "rq"]
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


@pytest.fixture
def scheduler(engine) -> Scheduler:
    return Scheduler(app=engine.app, zone="UTC")


@pytest.fixture
def pass_time(engine):
    sender = Sender(engine.app)

    def passed(time: timedelta) -> None:
        engine.pass_time(time)
        sender.round()

    return passed


@pytest.fixture
def now(engine):
    """The time of the engine's clock, as rq-scheduler's users write it."""
    return lambda: engine.app.clock.now().replace(tzinfo=None)


def sent(engine, job) -> int:
    ticks = engine.app.schedules.history(job.id)
    return sum(tick.job_id is not None for tick in ticks)


def test_a_call_is_sent_once_at_a_naive_time_in_utc(engine, scheduler, now, pass_time):
    at = now() + HOUR
    job = scheduler.enqueue_at(at, engine.tasks.add, 1, other=2)
    assert job.due == at.replace(tzinfo=UTC)
    assert (job.func_name, job.args, job.origin) == (
        "sample_tasks.basic.add",
        (1,),
        "default",
    )
    assert job in scheduler
    assert job.id in scheduler
    pass_time(HOUR)
    engine.work()
    assert engine.app.job(job.id).result() == 3
    assert job not in scheduler
    assert list(scheduler.get_jobs()) == []


def test_a_call_is_sent_once_that_much_later_as_it_is_said(engine, scheduler, now):
    job = scheduler.enqueue_in(
        HOUR,
        "sample_tasks.basic.add",
        1,
        job_id="my-job",
        timeout="5m",
        job_ttl=600,
        job_result_ttl=60,
        job_description="by hand",
        queue_name="low",
        at_front=True,
    )
    info = engine.app.job("my-job").info()
    assert job.get_id() == info.id
    assert info.timeout == timedelta(minutes=5)
    assert (info.queue, info.description) == ("low", "by hand")
    assert abs(job.due.replace(tzinfo=None) - now() - HOUR) < 10 * SECOND


def test_what_comes_at_an_interval_is_due_at_once_and_then_again(
    engine, scheduler, now, pass_time
):
    job = scheduler.schedule(
        scheduled_time=now(), func=engine.tasks.add, args=[1], interval=3600
    )
    assert job.meta == {"interval": 3600}
    pass_time(SECOND)
    assert sent(engine, job) == 1
    for count in (2, 3):
        pass_time(HOUR)
        assert sent(engine, job) == count
    assert all(t.job_id for t in engine.app.schedules.history(job.id))


def test_what_was_missed_before_it_was_scheduled_is_not_made_up_for(
    engine, scheduler, now, pass_time
):
    job = scheduler.schedule(now() - 100 * HOUR, engine.tasks.add, [1], interval=60)
    pass_time(SECOND)
    assert [tick.outcome for tick in engine.app.schedules.history(job.id)] == ["queued"]


@pytest.mark.parametrize(("repeat", "runs"), [(3, 3), (1, 1), (0, 1)])
def test_repeat_is_how_often_it_runs(repeat, runs, engine, scheduler, now, pass_time):
    first = now() + HOUR
    job = scheduler.schedule(
        first, engine.tasks.add, [1], interval=3600, repeat=repeat, id="some"
    )
    for _ in range(6):
        pass_time(HOUR)
    assert sent(engine, job) == runs
    assert "some" not in scheduler
    assert scheduler.count() == 0


def test_repeats_below_zero_are_without_end(engine, scheduler, now, pass_time):
    job = scheduler.schedule(now(), engine.tasks.add, [1], interval=3600, repeat=-1)
    for _ in range(3):
        pass_time(HOUR)
    assert sent(engine, job) >= 3
    assert job in scheduler


def test_a_line_of_cron_ends_after_its_repeats(engine, scheduler, pass_time):
    job = scheduler.cron("0 * * * *", engine.tasks.add, args=[1], repeat=2)
    assert job.meta == {"cron_string": "0 * * * *"}
    assert job.id.startswith("add-")
    for _ in range(5):
        pass_time(HOUR)
    assert sent(engine, job) == 2


def test_a_line_of_cron_is_read_in_the_zone_that_is_said(engine, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    here = Scheduler("low", app=engine.app)
    there = Scheduler(app=engine.app, zone="Europe/Oslo")
    for scheduler, zone in ((here, "Asia/Kolkata"), (there, "Europe/Oslo")):
        job = scheduler.cron("30 3 * * *", engine.tasks.add, [1])
        due = job.due.astimezone(ZoneInfo(zone))
        assert (due.hour, due.minute) == (3, 30)
    assert {job.origin for job in here.get_jobs()} == {"low", "default"}


@pytest.mark.parametrize(
    ("line", "ours"),
    [
        ("@daily", "@daily"),
        ("5 4 * * * *", "5 4 * * *"),
        ("30 5 4 * * * *", "30 5 4 * * *"),
    ],
)
def test_lines_of_cron_are_read_as_rq_scheduler_reads_them(
    line, ours, engine, scheduler
):
    assert scheduler.cron(line, engine.tasks.add, [1]).meta == {"cron_string": ours}


def test_a_line_that_would_mean_something_else_here_is_refused(engine, scheduler):
    with pytest.raises(ConfigurationError, match="here is for either"):
        scheduler.cron("0 0 13 * 5", engine.tasks.add, [1])
    with pytest.raises(ConfigurationError, match="for the year 2030"):
        scheduler.cron("0 0 1 1 * 2030", engine.tasks.add, [1])


def test_the_same_id_again_takes_the_place_of_the_one_before(engine, scheduler, now):
    for hour in ("3", "4"):
        scheduler.cron(f"0 {hour} * * *", engine.tasks.add, [1], id="nightly")
    [job] = scheduler.get_jobs()
    assert job.meta == {"cron_string": "0 4 * * *"}


def test_a_call_under_an_id_that_was_used_takes_its_place(
    engine, scheduler, now, pass_time
):
    add = engine.tasks.add
    for other in (1, 2):  # the one before waits
        job = scheduler.enqueue_in(HOUR, add, 1, other=other, job_id="mine")
    assert [each.kwargs for each in scheduler.get_jobs()] == [{"other": 2}]
    pass_time(HOUR)
    engine.work()
    assert engine.app.job("mine").result(timeout=10) == 3
    job = scheduler.enqueue_in(HOUR, add, 1, other=3, job_id="mine")  # it has ended
    assert (job.due.replace(tzinfo=None) - now()) > HOUR / 2
    assert engine.app.job("mine").status == "scheduled"
    pass_time(2 * HOUR)
    engine.work()
    assert engine.app.job("mine").result(timeout=10) == 4


def test_one_id_is_of_one_kind_at_a_time(engine, scheduler, now, pass_time):
    add = engine.tasks.add
    scheduler.schedule(now() + HOUR, add, [1], interval=3600, id="mine")
    scheduler.enqueue_in(HOUR, add, 1, job_id="mine")
    assert engine.app.schedules.all() == []
    scheduler.cron("0 0 1 1 *", add, [1], id="mine")
    [job] = scheduler.get_jobs()
    assert job.meta == {"cron_string": "0 0 1 1 *"}
    assert engine.app.job("mine").status == "canceled"


def test_an_id_that_is_in_use_is_refused(engine, scheduler, now):
    engine.tasks.add.using(job_id="mine").enqueue(1)
    with pytest.raises(ConfigurationError, match="'mine' is queued.*another id"):
        scheduler.enqueue_in(HOUR, engine.tasks.add, 1, job_id="mine")
    assert scheduler.count() == 0


def test_what_cannot_be_sent_takes_no_place(engine, scheduler):
    scheduler.enqueue_in(HOUR, engine.tasks.add, 1, job_id="mine")
    with pytest.raises(ArgumentError):
        scheduler.enqueue_in(HOUR, engine.tasks.add, "no", job_id="mine")
    assert "mine" in scheduler


def test_a_task_that_was_renamed_hides_no_other(engine, scheduler, now):
    scheduler.cron("0 3 * * *", engine.tasks.add, [1], id="fine")
    scheduler.schedule(now(), engine.tasks.add, [1], interval=60, id="gone")
    scheduler.cron("0 3 * * *", engine.tasks.add, [1], id="broken")
    for name, changes in (
        ("gone", {"task": "sample_tasks.basic.gone"}),
        ("broken", {"timing": {}, "args": None, "kwargs": None, "options": None}),
    ):
        [timetable] = engine.app.schedules.timetables()
        entry = timetable.entry(name)
        wire = {**entry.wire, **changes}
        assert timetable.put(replace(entry, wire=wire), entry.cursor, entry)
    found = {job.id: job for job in scheduler.get_jobs()}
    assert found.keys() == {"fine", "gone", "broken"}
    assert found["gone"].func_name == "sample_tasks.basic.gone"
    assert found["gone"].args == (1,)
    assert found["broken"].args == ()
    assert scheduler.count() == 3
    assert "gone" in scheduler
    found["gone"].cancel()
    scheduler.cancel("broken")
    assert scheduler.count() == 1


def test_what_has_failed_and_waits_for_its_retry_is_not_listed(
    engine, scheduler, pass_time
):
    job = scheduler.enqueue_in(SECOND, engine.tasks.later)
    pass_time(SECOND)
    engine.work()
    assert engine.app.job(job.id).status == "scheduled"
    assert job not in scheduler
    assert list(scheduler.get_jobs()) == []
    scheduler.cancel(job)
    assert engine.app.job(job.id).status == "scheduled"
    with pytest.raises(ConfigurationError, match="another id"):
        scheduler.enqueue_in(HOUR, engine.tasks.later, job_id=job.id)


def test_jobs_are_listed_in_order_of_their_time(engine, scheduler, now):
    begin = now().replace(microsecond=0)
    one = scheduler.enqueue_at(begin + 3 * HOUR, engine.tasks.add, 1)
    two = scheduler.schedule(begin + HOUR, engine.tasks.add, [1], interval=3600)
    three = scheduler.enqueue_at(begin + 2 * HOUR, engine.tasks.add, 1)
    assert [job.id for job in scheduler.get_jobs()] == [two.id, three.id, one.id]
    assert next(scheduler.get_jobs(with_times=True)) == (two, begin + HOUR)
    assert [j.id for j in scheduler.get_jobs(offset=1, length=1)] == [three.id]
    assert scheduler.count(until=timedelta(hours=2, minutes=1)) == 2
    assert scheduler.count(begin + HOUR) == 1
    assert scheduler.count((begin + HOUR).replace(tzinfo=UTC).timestamp()) == 1
    assert list(scheduler.get_jobs_to_queue()) == []
    with pytest.raises(ValueError, match="both"):
        list(scheduler.get_jobs(offset=1))


def test_what_is_canceled_is_sent_no_more(engine, scheduler, now, pass_time):
    jobs = [
        scheduler.enqueue_in(HOUR, engine.tasks.add, 1),
        scheduler.schedule(now() + HOUR, engine.tasks.add, [1], interval=3600),
        scheduler.cron("0 * * * *", engine.tasks.add, [1]),
    ]
    scheduler.cancel(jobs[0])
    scheduler.cancel(jobs[1].id)
    jobs[2].delete()
    scheduler.cancel("never-there")
    assert [job for job in jobs if job in scheduler] == []
    pass_time(HOUR)
    engine.work()
    assert engine.app.job(jobs[0].id).status == "canceled"
    assert engine.app.schedules.all() == []


def test_what_has_an_interval_goes_on_from_another_time(
    engine, scheduler, now, pass_time
):
    job = scheduler.schedule(
        now() + HOUR, engine.tasks.add, [1], interval=3600, repeat=2
    )
    later = (now() + 5 * HOUR).replace(microsecond=0)
    scheduler.change_execution_time(job, later)
    [(_, due)] = scheduler.get_jobs(with_times=True)
    assert due == later
    for _ in range(4):
        pass_time(HOUR)
    assert sent(engine, job) == 0
    for _ in range(4):
        pass_time(HOUR)
    assert sent(engine, job) == 2


def test_another_time_that_is_past_is_now(engine, scheduler, now, pass_time):
    job = scheduler.schedule(now() + HOUR, engine.tasks.add, [1], interval=60, repeat=3)
    scheduler.change_execution_time(job, now() - HOUR)
    for _ in range(6):
        pass_time(timedelta(minutes=1))
    assert sent(engine, job) == 3
    with pytest.raises(ValueError, match="not in scheduled jobs queue"):
        scheduler.change_execution_time(job, now())


def test_another_time_is_for_what_waits_and_has_no_line_of_cron(engine, scheduler, now):
    job = scheduler.cron("0 3 * * *", engine.tasks.add, [1], id="nightly")
    with pytest.raises(ConfigurationError, match="with another line"):
        scheduler.change_execution_time(job, now())
    with pytest.raises(ValueError, match="not in scheduled jobs queue"):
        scheduler.change_execution_time("never-there", now())


def test_a_paused_schedule_is_not_due(engine, scheduler):
    job = scheduler.cron("0 3 * * *", engine.tasks.add, [1])
    engine.app.schedules.pause(job.id)
    assert job not in scheduler
    engine.app.schedules.resume(job.id)
    assert [each.id for each in scheduler.get_jobs()] == [job.id]


def test_what_is_not_to_be_had_is_refused_by_name(engine, scheduler, now):
    add = engine.tasks.add
    for word in ("depends_on", "meta", "on_success", "on_failure"):
        with pytest.raises(ConfigurationError, match=word):
            scheduler.enqueue_in(HOUR, add, 1, **{word: {"some": "thing"}})
    with pytest.raises(ConfigurationError, match="every attempt has a limit"):
        scheduler.enqueue_in(HOUR, add, 1, timeout=-1)
    with pytest.raises(ConfigurationError, match="job_class"):
        Scheduler(app=engine.app, job_class="my.Job")
    with pytest.raises(UnknownQueueError, match="'other'"):
        Scheduler("other", app=engine.app).enqueue_in(HOUR, add, 1)
    with pytest.raises(TaskNotAllowedError):
        scheduler.cron("0 3 * * *", "os.getpid")
    with pytest.raises(ArgumentError):
        scheduler.cron("0 3 * * *", add, ["no number"])
    with pytest.raises(ValueError, match="repeat"):
        scheduler.schedule(now(), add, [1], repeat=2)
    with pytest.raises(AttributeError, match=r"'enqueue_job': use app\.schedules"):
        _ = scheduler.enqueue_job
    with pytest.raises(AttributeError, match=r"no 'exc_info' here: ask app\.job"):
        _ = scheduler.enqueue_in(HOUR, add, 1).exc_info


def test_what_is_kept_for_ever_is_said_in_the_log(engine, scheduler, caplog):
    scheduler.enqueue_in(HOUR, engine.tasks.add, 1, job_result_ttl=-1)
    assert "500 seconds" in caplog.text
    caplog.clear()
    scheduler.cron("0 3 * * *", engine.tasks.add, [1])  # with rq-scheduler's own -1
    assert caplog.text == ""


def test_the_process_of_rq_scheduler_is_ours(engine, scheduler, now):
    scheduler.cron("* * * * *", engine.tasks.add, [1])
    job = scheduler.schedule(now(), engine.tasks.add, [1], interval=3600)
    scheduler.run(burst=True)
    assert sent(engine, job) == 1


def test_a_call_without_an_interval_is_sent_once(engine, scheduler, now):
    job = scheduler.schedule(now() + HOUR, engine.tasks.add, [1], id="once")
    assert (job.id, job.meta) == ("once", {})
    job.cancel()
    assert scheduler.count() == 0


def test_an_interval_without_an_end_goes_on_from_another_time(engine, scheduler, now):
    job = scheduler.schedule(now(), engine.tasks.add, [1], interval=60)
    later = (now() + HOUR).replace(microsecond=0)
    scheduler.change_execution_time(job, later)
    assert [due for _, due in scheduler.get_jobs(with_times=True)] == [later]


@pytest.fixture
def now_of():
    return lambda real: real.app.clock.now().replace(tzinfo=None)


@pytest.fixture
def on_redis(real) -> Scheduler:
    return Scheduler(app=real.app, zone="UTC")


def test_what_the_application_makes_by_itself_is_not_listed(real, on_redis):
    real.tasks.add.enqueue_in(HOUR, 1)
    message = real.tasks.add.message(1)
    real.app.schedules.add(Schedule("native", Every(hours=1), message))
    made = on_redis.enqueue_in(HOUR, real.tasks.add, 1)
    assert [job.id for job in on_redis.get_jobs()] == [made.id]


def test_a_delayed_job_is_put_off(real, on_redis):
    job = on_redis.enqueue_in(HOUR, real.tasks.add, 1)
    later = (job.due + HOUR).replace(tzinfo=None)
    on_redis.change_execution_time(job, later)
    assert [due for _, due in on_redis.get_jobs(with_times=True)] == [later]
    real.app.job(job.id).cancel()
    with pytest.raises(ValueError, match="not in scheduled jobs queue"):
        on_redis.change_execution_time(job, later)


def test_what_expires_does_so_as_much_later_as_it_is_put_off(real, on_redis, store):
    job = on_redis.enqueue_in(HOUR, real.tasks.add, 1, job_ttl=60)
    on_redis.change_execution_time(job, job.due + 24 * HOUR)
    meta = json.loads(store.hget(keys.job(job.id), "meta"))
    expires = datetime.fromisoformat(meta["headway"]["expires_at"])
    assert abs(expires - job.due - 24 * HOUR - timedelta(minutes=1)) < 10 * SECOND


def test_a_job_that_changes_as_it_is_put_off_is_looked_at_again(
    real, on_redis, store, monkeypatch
):
    job = on_redis.enqueue_in(HOUR, real.tasks.add, 1, job_ttl=60)
    listing = on_redis._waiting.listing
    pipeline, asked = listing.client.pipeline, []

    def meanwhile():
        asked.append(store.hset(keys.job(job.id), "worker_name", len(asked)))
        made = pipeline()
        execute = made.execute
        if len(asked) == 1:
            monkeypatch.setattr(
                made,
                "execute",
                lambda: (store.hset(keys.job(job.id), "x", "y"), execute()),
            )
        return made

    monkeypatch.setattr(listing.client, "pipeline", meanwhile)
    assert listing.put_off(job.id, "default", job.due + HOUR)
    assert len(asked) == 2


def test_what_rq_scheduler_has_of_an_id_is_taken_from_it(real, on_redis, store):
    theirs = RQScheduler(connection=store)
    soon, add = datetime.now(UTC) + HOUR, "sample_tasks.basic.add"

    def have_all() -> None:
        theirs.enqueue_at(soon, add, 1, job_id="once")
        theirs.schedule(soon, add, [1], interval=60, id="often")
        theirs.cron("0 3 * * *", add, [1], id="line")

    have_all()
    on_redis.enqueue_at(soon, add, 1, job_id="once")
    on_redis.schedule(soon, add, [1], interval=60, id="often")
    on_redis.cron("0 3 * * *", add, [1], id="line")
    assert theirs.count() == 0
    assert {job.id for job in on_redis.get_jobs()} == {"once", "often", "line"}
    assert real.app.job("once").info().due is not None
    have_all()
    for job in list(on_redis.get_jobs()):
        on_redis.cancel(job)
    on_redis.cancel("line")
    assert theirs.count() == on_redis.count() == 0


def test_what_rq_scheduler_has_sent_is_left_to_its_queue(real, on_redis, store):
    theirs = RQScheduler(connection=store)
    job = theirs.schedule(datetime.now(UTC), "os.getpid", interval=60)
    theirs.enqueue_job(job)
    on_redis.cancel(job.id)
    assert theirs.count() == 0
    assert store.hget(keys.job(job.id), "status") == b"queued"


def test_a_burst_sends_all_that_is_due(real, on_redis, store):
    message = real.tasks.add.using(delay=timedelta(milliseconds=1)).message(1)
    real.app.enqueue_many([message] * (BATCH + 10))
    with Redis.from_url(real.url) as client:
        client.set(keys.SCHEDULES_LEADER, "another", px=60_000)
        client.zadd(
            keys.scheduled("default"),
            dict.fromkeys(client.zrange(keys.scheduled("default"), 0, -1), 1),
        )
    on_redis.run(burst=True)
    assert store.llen(keys.queue("default")) == BATCH + 10


def test_a_burst_sends_all_schedules_that_are_due(
    real, on_redis, store, now_of, monkeypatch
):
    monkeypatch.setattr(scheduler_module, "SCHEDULES", 2)
    for number in range(5):
        on_redis.schedule(now_of(real), real.tasks.add, [number], interval=3600)
    store.set(keys.SCHEDULES_LEADER, "another", px=60_000)
    on_redis.run(burst=True)
    assert store.llen(keys.queue("default")) == 5


def test_what_has_run_for_the_last_time_is_listed_no_more(
    real, on_redis, store, now_of
):
    job = on_redis.schedule(
        now_of(real), real.tasks.add, [1], interval=60, repeat=1, id="last"
    )
    assert job in on_redis
    on_redis.run(burst=True)
    assert list(on_redis.get_jobs()) == []
    assert store.smembers(keys.MADE_AS_RQ_SCHEDULER) == set()
    assert real.app.schedules.get("last").last.outcome == "queued"


def test_a_burst_tells_of_delayed_jobs_that_were_not_moved(real, on_redis, monkeypatch):
    def lost(promotion: Promotion) -> None:
        raise RedisError("it went away just now")

    monkeypatch.setattr(Promotion, "round", lost)
    with pytest.raises(StoreError, match="delayed jobs.* went away"):
        on_redis.run(burst=True)


def test_a_burst_sends_the_others_where_a_schedule_cannot_be_sent(
    real, on_redis, store, now_of
):
    for name in ("fine", "gone"):
        on_redis.schedule(now_of(real), real.tasks.add, [1], interval=60, id=name)
    [timetable] = real.app.schedules.timetables()
    entry = timetable.entry("gone")
    wire = {**entry.wire, "task": "sample_tasks.basic.gone"}
    timetable.put(replace(entry, wire=wire), entry.cursor, entry)
    on_redis.run(burst=True)
    assert store.llen(keys.queue("default")) == 1


def test_a_burst_tells_of_an_outage(real, on_redis, monkeypatch):
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    real.app.close()
    with pytest.raises(StoreError, match="127.0.0.1:1"):
        on_redis.run(burst=True)


def test_another_redis_than_the_applications_is_said_in_the_log(real, caplog):
    Scheduler(app=real.app, connection=Redis.from_url(real.url))
    assert caplog.text == ""
    with Redis(host="elsewhere") as elsewhere:
        Scheduler(app=real.app, connection=elsewhere)
    assert "connection=elsewhere:6379/0" in caplog.text


def test_what_is_of_neither_kind_is_listed_as_well(sample_app):
    with in_memory(sample_app) as harness:
        when = harness.clock.now() + HOUR
        message = sample_app.resolve("sample_tasks.basic.add").message(1)
        sample_app.schedules.add(Schedule("at", At(when), message))
        with Redis(host="elsewhere") as elsewhere:
            scheduler = Scheduler(app=sample_app, connection=elsewhere)
        [job] = scheduler.get_jobs()
    assert (job.id, job.meta, job.due) == ("at", {}, when)


def test_an_engine_that_lists_nothing_is_refused():
    backend = SimpleNamespace(engine="other")
    with pytest.raises(CapabilityError, match="the engine 'other' does not list"):
        listing_of(SimpleNamespace(backend=lambda: backend))


def test_its_process_ends_when_it_is_told(start, redis_url):
    code = "from headway.shims.rq_scheduler import Scheduler; Scheduler().run()"
    code = f"import logging; logging.basicConfig(level='INFO'); {code}"
    process = start("python", "-c", code)
    assert any("scheduler started" in line for line in process.stdout)
    process.terminate()
    assert process.wait(20) == 0


def test_the_application_is_that_of_the_environment(real, sample_app):
    assert Scheduler("high").app is sample_app


def test_memory_does_not_put_off_a_delayed_job(sample_app):
    with in_memory(sample_app):
        scheduler = Scheduler(app=sample_app)
        job = scheduler.enqueue_in(HOUR, "sample_tasks.basic.add", 1)
        with pytest.raises(CapabilityError, match="put off"):
            scheduler.change_execution_time(job, job.due + HOUR)
