"""One job for each tick: many schedulers, clocks that are wrong, a Redis that fails."""

from __future__ import annotations

import importlib
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from headway import App, Every, Queue, Schedule
from headway.clock import Clock
from headway.declared_schedules import declared_schedules
from headway.errors import StoreError
from headway.observe.doctor import Doctor
from headway.schedule import version_of
from headway.scheduler import OFTEN, SCHEDULES, Scheduler
from headway.testing import MovedClock
from headway.ticks import step
from headway.timetable import KEPT, Answer, Due, DueTick, Entry, Missed, Tick, Timetable
from headway.wire import client as wire_client
from headway.wire import keys
from tests.wire.proxy import ANSWER_LOST, FAULTS, Fault

DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)
DEADLINE = 20
#: What a round of a leader asks, with a tick and a delayed job that are due.
ASKED = {
    *("EVALSHA:lead", "EVALSHA:promote", "EVALSHA:due_schedules"),
    *("EVALSHA:send_tick", "EVALSHA:put_schedule"),
    *("HKEYS", "HMGET", "HGET", "MULTI", "EXEC", "ZRANGEBYSCORE", "ZADD"),
}

NewApp = Callable[..., App]


def work(number: int = 0) -> int:
    return number


@pytest.fixture
def new_app(redis_url) -> Iterator[NewApp]:
    """Make applications of one store, as processes of their own have them."""
    made: list[App] = []

    def make(
        url: str = redis_url,
        clock: Clock | None = None,
        queues: Sequence[str] = ("default",),
    ) -> App:
        queues = [Queue(name) for name in queues]
        app = App(queues=queues, tasks="tasks", redis_url=url, clock=clock)
        app.task(work)
        made.append(app)
        return app

    yield make
    for app in made:
        app.close()


@pytest.fixture
def app(new_app) -> App:
    return new_app()


@pytest.fixture
def timetable(app) -> Timetable:
    return app.schedules.timetables()[0]


def a_schedule(name: str = "sum", every: Every | None = None, **how) -> Schedule:
    message = App(queues=[Queue("default")], tasks="tasks").task(work).message(1)
    return Schedule(name, every or Every(seconds=1), message, **how)


def put(app: App, schedule: Schedule, *, behind: timedelta) -> Entry:
    """Keep a schedule as if nobody had served it for so long."""
    [timetable] = app.schedules.timetables()
    app.schedules.replace(schedule)
    entry = timetable.entry(schedule.name)
    late = replace(entry, cursor=timetable.now() - behind)
    assert timetable.put(late, schedule.next_after(late.cursor), entry)
    return timetable.entry(schedule.name)


def due_ids(name: str, since: datetime, until: datetime) -> list[str]:
    """Return the ids of all ticks of a schedule for each second, by arithmetic."""
    seconds = range(int(since.timestamp()) + 1, int(until.timestamp()) + 1)
    moments = (datetime.fromtimestamp(second, UTC) for second in seconds)
    return [f"cron-{name}-{moment:%Y%m%dT%H%M%SZ}" for moment in moments]


def waiting(store) -> list[str]:
    return [i.decode() for i in store.lrange(keys.queue("default"), 0, -1)]


def sent(app: App, name: str = "sum") -> list[str]:
    ticks = app.schedules.history(name, KEPT)
    return [tick.job_id for tick in ticks if tick.job_id][::-1]


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"


# Many schedulers


def test_ten_schedulers_make_one_job_of_each_tick(new_app, app, timetable, store):
    names = ("one", "two", "three")
    began = {
        name: put(app, a_schedule(name, misfire="all"), behind=40 * SECOND).cursor
        for name in names
    }
    together = threading.Barrier(10)

    def serve(_: int) -> None:
        scheduler = Scheduler(new_app())
        together.wait()
        while timetable.due(1).entries:
            scheduler.round()

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(serve, range(10)))
    for name in names:
        last = timetable.entry(name).cursor
        due = due_ids(name, began[name], last)
        assert sent(app, name) == due
        assert [i for i in waiting(store) if f"-{name}-" in i] == due  # in their order
        assert len(due) >= 40


def test_five_schedulers_that_declare_at_once_agree(new_app, app):
    schedules = [a_schedule(f"s-{n}") for n in range(20)]
    gone = [a_schedule(f"gone-{n}") for n in range(5)]
    changed = [a_schedule(f"s-{n}", Every(hours=1)) for n in range(5)]
    app.schedules.declare({"tasks.schedules": [*gone, *changed]})
    together = threading.Barrier(5)

    def declare(_: int) -> None:
        scheduler = Scheduler(new_app(), {"tasks.schedules": schedules})
        together.wait()
        scheduler.round()

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(declare, range(5)))
    kept = {info.name: info for info in app.schedules}
    assert set(kept) == {each.name for each in schedules}
    assert {info.timing for info in kept.values()} == {"every second"}
    assert not app.schedules.declare({"tasks.schedules": schedules})


def test_a_change_that_another_has_overtaken_is_made_on_what_is_there(app, timetable):
    schedule = a_schedule("sum", Every(hours=1))
    app.schedules.add(schedule)
    was = timetable.entry("sum")
    wire = schedule.to_wire() | {"args": [2]}
    newer = replace(was, wire=wire, version=version_of(wire))
    assert timetable.put(newer, schedule.next_after(was.cursor), was)
    # Whoever resumes it, believing it to be what it was, takes nothing back.
    resumed = replace(was, paused=False)
    assert not timetable.put(resumed, schedule.next_after(was.cursor), was)
    assert timetable.entry("sum").wire["args"] == [2]


def test_what_is_read_of_a_schedule_is_of_one_moment(new_app, app, timetable, proxy):
    put(app, a_schedule(), behind=5 * SECOND)
    reader = new_app(proxy.url).schedules.timetables()[0]
    reader.now()
    changed = []

    def between(label: str) -> None:
        """Have another deploy between two of the commands."""
        if label == "HMGET":
            changed.append(a_schedule(misfire_limit=len(changed) + 5))
            app.schedules.replace(changed[-1])

    proxy.rule = between
    [entry] = reader.due(10).entries
    assert len(changed) > 1
    assert entry.version == version_of(entry.wire)


# Clocks


@pytest.mark.parametrize("shift", [DAY, -DAY])
def test_the_clock_of_the_store_says_what_is_due(shift, new_app, app, store, timetable):
    put(app, a_schedule("due", Every(hours=1)), behind=HOUR)
    app.schedules.add(a_schedule("later", Every(days=365)))
    host = new_app(clock=MovedClock(datetime.now(UTC) + shift))
    before = timetable.now()
    Scheduler(host).round()
    [tick] = app.schedules.history("due")
    assert before <= tick.sent_at <= timetable.now()
    assert waiting(store) == [tick.job_id]
    assert app.schedules.history("later") == []


def test_what_is_early_by_the_clock_of_the_store_is_not_sent(app, timetable, store):
    schedule = a_schedule("later", Every(hours=1))
    app.schedules.add(schedule)
    entry = timetable.entry("later")
    tick = schedule.next_after(timetable.now())
    assert send(app, timetable, schedule, entry, tick) is Answer.EARLY
    assert (waiting(store), app.schedules.history("later")) == ([], [])
    assert timetable.entry("later") == entry


def send(app, timetable, schedule, entry, tick) -> Answer:
    due = DueTick(
        at=tick,
        following=schedule.next_after(tick),
        envelope=app.seal(schedule.message_of(tick)),
        overlap=schedule.overlap,
        grace=schedule.grace,
        now=timetable.now(),
    )
    return timetable.send(entry, due)


# Who was frozen, and believes what was


def _sent_by_another(app: App) -> None:
    Scheduler(app).round()


def _changed(app: App) -> None:
    app.schedules.replace(a_schedule("sum", Every(hours=1), misfire_limit=7))


def _removed(app: App) -> None:
    app.schedules.remove("sum")


def _removed_and_added(app: App) -> None:
    _removed(app)
    app.schedules.add(a_schedule("sum", Every(hours=1)))


def _paused(app: App) -> None:
    app.schedules.pause("sum")


def _paused_and_resumed(app: App) -> None:
    _paused(app)
    app.schedules.resume("sum")


@pytest.mark.parametrize(
    "meanwhile",
    [
        *(_sent_by_another, _changed, _removed, _removed_and_added),
        *(_paused, _paused_and_resumed),
    ],
)
def test_who_comes_late_changes_nothing(meanwhile, app, timetable, store):
    schedule = a_schedule("sum", Every(hours=1))
    stale = put(app, schedule, behind=HOUR)
    tick = schedule.next_after(stale.cursor)
    meanwhile(app)
    there = waiting(store), timetable.history("sum", 9), timetable.entry("sum")
    places = store.zrange(keys.SCHEDULES_DUE, 0, -1, withscores=True)
    assert send(app, timetable, schedule, stale, tick) is Answer.BEHIND
    missed = Missed(first=tick, last=tick, count=1, reason="nobody was there")
    assert not timetable.miss(stale, missed, schedule.next_after(tick))
    assert (waiting(store), timetable.history("sum", 9), timetable.entry("sum")) == (
        there
    )
    assert store.zrange(keys.SCHEDULES_DUE, 0, -1, withscores=True) == places


def test_what_is_paused_as_a_scheduler_asks_is_not_missed(
    new_app, app, timetable, store, proxy
):
    put(app, a_schedule("sum", Every(hours=1), misfire="skip"), behind=5 * HOUR)

    def between(label: str) -> None:
        if label == "HMGET":
            app.schedules.pause("sum")

    proxy.rule = between
    Scheduler(new_app(proxy.url)).round()
    assert app.schedules.history("sum") == []
    assert timetable.entry("sum").paused
    assert timetable.due(1).entries == []
    app.schedules.resume("sum")
    assert [t.reason for t in app.schedules.history("sum")] == ["it was paused"]


def test_who_dies_between_miss_and_send_leaves_the_rest_to_others(
    app, timetable, store
):
    anchor = timetable.now() - timedelta(minutes=20)
    schedule = a_schedule("sum", Every(hours=1, anchor=anchor), misfire="once")
    entry = put(app, schedule, behind=5 * HOUR)
    todo = step(schedule, entry.cursor, timetable.now())
    assert todo.missed.count == 4
    assert timetable.miss(entry, todo.missed, todo.next_due)
    for _ in range(3):
        Scheduler(app).round()
    latest, *before = app.schedules.history("sum")
    assert waiting(store) == [latest.job_id]
    assert latest.due == anchor
    assert [(tick.outcome, tick.count) for tick in before] == [("missed", 4)]


# History


def test_the_latest_ticks_are_remembered(app, timetable, store):
    entry = put(app, a_schedule(misfire="all", misfire_limit=9999), behind=600 * SECOND)
    scheduler = Scheduler(app)
    while timetable.due(1).entries:
        scheduler.round()
    due = due_ids("sum", entry.cursor, timetable.entry("sum").cursor)
    assert len(due) >= 600
    assert sent(app) == due[-KEPT:]
    assert store.hlen(keys.schedule_history("sum")) == KEPT
    assert waiting(store) == due
    # Outcomes of those that are forgotten are waited for no more.
    store.zadd(keys.SCHEDULES_OPEN, dict.fromkeys(_open(store), 0))
    assert timetable.note_outcomes(9999) > KEPT
    assert len(_open(store)) == KEPT


def test_so_are_those_that_were_sent_by_hand(app, timetable, store):
    app.schedules.add(a_schedule(every=Every(hours=1)))
    now = timetable.now()
    for number in range(KEPT + 3):
        due = now + number * timedelta(microseconds=1)
        timetable.note("sum", Tick(due=due, sent_at=due, job_id="x", by_hand=True))
    assert store.hlen(keys.schedule_history("sum")) == KEPT
    assert store.zcard(keys.schedule_ticks("sum")) == KEPT
    assert app.schedules.history("sum", 1)[0].due == due


@pytest.mark.parametrize("misfire", ["skip", "all"])
def test_more_that_is_remembered_than_lua_unpacks_costs_no_tick(
    misfire, app, timetable, store
):
    put(app, a_schedule(misfire=misfire, misfire_limit=2), behind=200 * SECOND)
    many = dict.fromkeys(map(str, range(9000)), "{}")
    store.hset(keys.schedule_history("sum"), mapping=many)
    store.zadd(keys.schedule_ticks("sum"), {each: int(each) for each in many})
    scheduler = Scheduler(app)
    until(lambda: scheduler.round() and len(sent(app)) >= 2)
    assert len(set(waiting(store))) == store.llen(keys.queue("default"))


def _open(store) -> list[bytes]:
    return store.zrange(keys.SCHEDULES_OPEN, 0, -1)


def test_what_became_of_the_jobs_outlives_them(app, timetable, store):
    put(app, a_schedule(), behind=3 * SECOND)
    Scheduler(app).round()
    done, lost, *alive = ids = sent(app)
    store.zadd(keys.SCHEDULES_OPEN, dict.fromkeys(_open(store), 0))
    store.hset(keys.job(done), "status", "finished")
    store.delete(keys.job(lost))
    assert timetable.note_outcomes(500) == len(ids)
    assert len(_open(store)) == len(alive)
    assert timetable.note_outcomes(500) == 0  # they are looked at again in a while
    store.delete(*map(keys.job, ids))
    outcomes = [tick.outcome for tick in app.schedules.history("sum")][::-1]
    assert outcomes == ["finished", "gone", *("gone" for _ in alive)]
    for job_id in alive:  # they are only not there now
        store.hset(keys.job(job_id), "status", "started")
    outcomes = [tick.outcome for tick in app.schedules.history("sum")][::-1]
    assert outcomes == ["finished", "gone", *("started" for _ in alive)]


def test_outcomes_are_written_as_fast_as_many_schedules_send(app, store):
    store.zadd(keys.SCHEDULES_OPEN, {f"sum:{n}": n for n in range(9000)})
    begun, scheduler = time.monotonic(), Scheduler(app)
    until(lambda: scheduler.round() and not _open(store))
    assert time.monotonic() - begun < 3


def test_a_schedule_that_was_removed_leaves_nothing(app, timetable, store):
    put(app, a_schedule(), behind=3 * SECOND)
    Scheduler(app).round()
    app.schedules.remove("sum")
    store.zadd(keys.SCHEDULES_OPEN, dict.fromkeys(_open(store), 0))
    timetable.note_outcomes(500)
    kept = {keys.SCHEDULES_LEADER.encode(), keys.queues_leader(["default"]).encode()}
    assert set(store.keys("headway:schedule*")) == kept


# A Redis that fails


@pytest.mark.parametrize("name", FAULTS)
def test_each_command_of_a_scheduler_fails_once(name, new_app, app, store, proxy):
    clock = MovedClock()  # so that what has failed is tried again at once
    host = new_app(proxy.url, clock=clock)
    began = put(app, a_schedule(misfire="all"), behind=30 * SECOND).cursor
    put(app, a_schedule("skips", overlap="skip"), behind=2 * SECOND)
    delayed = _due_jobs(app, store, 5)
    new = a_schedule("new", Every(hours=1))
    scheduler = Scheduler(host, {"tasks.schedules": [new]})
    proxy.once_each(FAULTS[name])
    for _ in range(25):
        scheduler.round()
        clock.move(SECOND)
    concerned = {label for label in ASKED if proxy.concerns(FAULTS[name], label)}
    assert concerned <= proxy.hit.keys()
    proxy.rule = None
    scheduler.round()
    [timetable] = app.schedules.timetables()
    due = due_ids("sum", began, timetable.entry("sum").cursor)
    assert len(due) >= 30
    assert sent(app) == due
    [first] = sent(app, "skips")
    assert Counter(waiting(store)) == Counter([*delayed, *due, first])
    assert {tick.outcome for tick in app.schedules.history("sum", KEPT)} == {"queued"}
    assert [info.name for info in app.schedules] == ["new", "skips", "sum"]


def _due_jobs(app: App, store, count: int) -> list[str]:
    later = app.task(work).using(delay=HOUR)
    jobs = app.enqueue_many([later.message(n) for n in range(count)])
    ids = [job.id for job in jobs]
    store.zadd(keys.scheduled("default"), {i: n for n, i in enumerate(ids)})
    return ids


@pytest.mark.parametrize("fault", [ANSWER_LOST, FAULTS["cut after"]])
def test_a_tick_whose_answer_was_lost_is_not_sent_again(
    fault: Fault, new_app, app, store, proxy
):
    put(app, a_schedule("sum", Every(hours=1)), behind=HOUR)
    clock = MovedClock()
    scheduler = Scheduler(new_app(proxy.url, clock=clock))
    proxy.once_each(fault, "EVALSHA:send_tick")
    for _ in range(3):
        scheduler.round()
        clock.move(SECOND)
    assert proxy.hit == {"EVALSHA:send_tick": 1}
    assert waiting(store) == sent(app)
    assert len(sent(app)) == 1


@pytest.mark.parametrize("key", [keys.queue, keys.wake])
def test_a_key_of_another_type_costs_no_tick(key, app, store):
    put(app, a_schedule("sum", Every(hours=1)), behind=HOUR)
    store.set(key("default"), "no list")
    clock = app.clock = MovedClock()
    scheduler = Scheduler(app)
    for _ in range(2):
        scheduler.round()
        clock.move(SECOND)
    assert app.schedules.history("sum") == []
    store.delete(key("default"))
    scheduler.round()
    assert len(sent(app)) == 1
    assert waiting(store) == sent(app)


def test_a_full_redis_sends_later_what_it_could_not_take(app, store):
    put(app, a_schedule("sum", Every(hours=1)), behind=HOUR)
    clock = app.clock = MovedClock()
    scheduler = Scheduler(app)
    store.config_set("maxmemory", 1)
    try:
        scheduler.round()
    finally:
        store.config_set("maxmemory", 0)
    assert app.schedules.history("sum") == waiting(store) == []
    clock.move(SECOND)
    scheduler.round()
    assert waiting(store) == sent(app)
    assert len(sent(app)) == 1


# Who leads


def test_another_leads_when_the_leader_is_not_heard_of(new_app, store):
    clock = MovedClock()
    first, second = (Scheduler(new_app(clock=clock)) for _ in range(2))
    assert (first.round(), second.round()) == (OFTEN, SECOND)
    clock.move(SECOND)
    assert (second.round(), first.round()) == (SECOND, OFTEN)
    both = keys.SCHEDULES_LEADER, keys.queues_leader(["default"])
    for key in both:
        assert 1000 < store.pttl(key) <= 2000
        store.pexpire(key, 1)
    until(lambda: not store.exists(*both))
    clock.move(SECOND)
    assert (second.round(), first.round()) == (OFTEN, SECOND)


def test_one_that_is_told_to_stop_lets_another_lead_at_once(start, store):
    first = start("headway", "scheduler")
    until(lambda: store.exists(keys.SCHEDULES_LEADER))
    leader = store.get(keys.SCHEDULES_LEADER)
    start("headway", "scheduler")
    first.send_signal(signal.SIGTERM)
    assert first.wait(DEADLINE) == 0
    assert store.get(keys.SCHEDULES_LEADER) != leader
    until(lambda: store.exists(keys.SCHEDULES_LEADER))


def test_who_serves_other_queues_than_the_leader_looks_as_often(new_app, store):
    app = new_app(queues=("high", "low"))
    serving = (["high", "low"], ["low"], ["low", "high"], ["low"])
    schedulers = [Scheduler(app, queues=names) for names in serving]
    assert [each.round() for each in schedulers] == [OFTEN, OFTEN, SECOND, SECOND]
    stop = threading.Event()
    stop.set()
    for each in schedulers:
        each.run(stop)
    assert store.keys("headway:schedules:leader*") == []


def test_one_that_does_not_lead_sends_what_is_due_all_the_same(new_app, app, store):
    first, second = (Scheduler(new_app()) for _ in range(2))
    first.round()
    delayed = _due_jobs(app, store, 2)
    put(app, a_schedule("sum", Every(hours=1)), behind=HOUR)
    second.round()
    assert waiting(store) == [*delayed, *sent(app)]
    assert len(sent(app)) == 1


def test_however_many_fail_another_is_sent(app, timetable, store):
    entry = put(app, a_schedule("good"), behind=3 * SECOND)
    of_a_task_that_is_gone = {**entry.wire, "task": "tasks.gone.gone"}
    earlier = entry.cursor - HOUR
    for number in range(SCHEDULES + 10):
        wire, name = of_a_task_that_is_gone, f"bad-{number}"
        bad = replace(
            entry, name=name, wire=wire, version=version_of(wire), cursor=earlier
        )
        assert timetable.put(bad, earlier + SECOND, None)
    scheduler = Scheduler(app)
    scheduler.round()
    assert waiting(store) == []  # they are more than are looked at in one round
    scheduler.round()
    assert len(waiting(store)) >= 3
    asked = store.info("commandstats")["cmdstat_hmget"]["calls"]
    scheduler.round()
    again = store.info("commandstats")["cmdstat_hmget"]["calls"] - asked
    assert again < SCHEDULES / 10  # those that fail rest


def test_who_was_frozen_cancels_nothing_of_a_schedule_that_was_paused(
    app, timetable, monkeypatch
):
    put(app, a_schedule(overlap="cancel"), behind=2 * SECOND)
    scheduler = Scheduler(app)
    scheduler.round()
    ask = timetable.due

    def due_and_paused(*how: object) -> Due:
        found = ask(*how)
        app.schedules.pause("sum")
        return found

    until(lambda: bool(ask(1).entries))
    monkeypatch.setattr(timetable, "due", due_and_paused)
    scheduler.round()
    last = app.job(sent(app)[-1])
    assert last.status == "queued"


def test_a_job_that_was_sent_by_hand_is_returned_though_history_says_nothing(
    app, timetable, monkeypatch, caplog, store
):
    def away(*_how: object) -> None:
        raise StoreError("Redis is away")

    app.schedules.add(a_schedule())
    monkeypatch.setattr(timetable, "note", away)
    job = app.schedules.run_now("sum")
    assert waiting(store) == [job.id]
    assert f"sum sent {job.id}, as history does not say: Redis is away" in caplog.text


# What the code declares


def test_a_list_that_cannot_be_imported_leaves_the_store_as_it_is(
    redis_url, tmp_path, monkeypatch
):
    package = tmp_path / "nightly"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    module = package / "schedules.py"
    lists = (_GOOD, *_BAD, "")
    for text in lists:
        module.write_text(text)
        for name in [n for n in sys.modules if n.startswith("nightly")]:
            del sys.modules[name]
        importlib.invalidate_caches()
        app = App(queues=[Queue("default")], tasks="nightly", redis_url=redis_url)
        app.registry.add(app.task(work))
        Scheduler(app, declared_schedules(app)).round()
        assert [info.name for info in app.schedules] == ["sum"]
        assert app.schedules.get("sum").declared == "nightly.schedules"
        app.close()


_GOOD = """\
from tests.wire.test_schedules import a_schedule

schedules = [a_schedule("sum")]
"""


_BAD = (
    "import nosuchmodule",
    "schedules = [7]",
    "schedules = None",
    "raise SystemExit('no settings')",
    f"{_GOOD}schedules += [a_schedule('two'), a_schedule('two')]\n",
)


def test_two_of_a_name_in_two_modules_stop_no_scheduler(
    redis_url, tmp_path, monkeypatch, caplog
):
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("daily", "weekly"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
        (tmp_path / name / "schedules.py").write_text(_GOOD)
    app = App(queues=[Queue("default")], tasks=["daily", "weekly"], redis_url=redis_url)
    found = declared_schedules(app)
    assert [*found] == ["daily.schedules"]  # of the other, all stays as it is
    assert "two schedules are named 'sum'" in caplog.text
    client = wire_client.connect(redis_url)
    [problem] = [
        each
        for each in Doctor(client, redis_url, app).look()
        if (each.about, each.level) == ("schedules", "problem")
    ]
    assert "weekly.schedules: ConfigurationError: two schedules" in problem.found
    client.close()
    app.close()


def test_one_that_has_no_place_in_redis_keeps_out_no_other(app, store):
    store.set(keys.schedule("first"), "no hash")
    schedules = [a_schedule("first"), a_schedule("second")]
    diff = app.schedules.declare({"tasks.schedules": schedules})
    assert diff.added == ["second"]
    assert "headway:schedule:first in Redis is not the hash" in diff.refused["first"]
    assert [info.name for info in app.schedules] == ["second"]


def test_one_whose_cursor_cannot_be_read_can_be_removed_and_replaced(app, store):
    for mend in (app.schedules.replace, lambda _: app.schedules.remove("sum")):
        app.schedules.replace(a_schedule())
        store.hset(keys.schedule("sum"), "cursor", "many")
        mend(a_schedule())
        assert len(app.schedules.all()) == store.hlen(keys.SCHEDULES)
    assert app.schedules.all() == []


# Every order of what people and schedulers do


NAMES = st.sampled_from("ab")


class World(RuleBasedStateMachine):
    """A schedule whose ticks have all been due for long, and two who serve it.

    Each acts on what it saw last. Whatever the order: a tick has one outcome at most,
    its cursor never goes back, and who believes what is not so changes nothing.
    """

    # Set by the test that runs it.
    app, store = None, None

    def __init__(self) -> None:
        super().__init__()
        self.store.flushdb()
        self.timetable: Timetable = self.app.schedules.timetables()[0]
        self.began = self.timetable.now() - DAY
        #: What each saw last.
        self.seen: dict[str, Entry | None] = {}
        #: The schedule as it is; None while there is none.
        self.cursor: datetime | None = None
        self.version, self.paused = "", False
        self.outcomes: dict[datetime, str] = {}
        #: Ids of all jobs, of earlier schedules of this name as well.
        self.jobs: set[str] = set()
        self.last_job = ""

    @initialize(overlap=st.sampled_from(("allow", "skip", "queue")))
    def begin(self, overlap: str) -> None:
        self.overlap = overlap
        self.put(limit=5)

    def schedule(self, limit: int = 5) -> Schedule:
        how = {"misfire": "all", "overlap": self.overlap, "misfire_limit": limit}
        return a_schedule("sum", **how)

    def is_true(self, seen: Entry) -> bool:
        return (seen.cursor, seen.version) == (self.cursor, self.version)

    @precondition(lambda self: self.cursor is None)
    @rule(limit=st.integers(5, 7))
    def put(self, limit: int) -> None:
        wire = self.schedule(limit).to_wire()
        self.cursor, self.version, self.paused = self.began, version_of(wire), False
        entry = Entry(
            name="sum",
            wire=wire,
            version=self.version,
            declared="",
            paused=False,
            cursor=self.began,
        )
        assert self.timetable.put(entry, self.schedule().next_after(self.began), None)
        self.outcomes, self.last_job = {}, ""

    @rule(who=NAMES)
    def look(self, who: str) -> None:
        self.seen[who] = self.timetable.entry("sum")

    @rule(who=NAMES)
    def send(self, who: str) -> None:
        if (seen := self.seen.get(who)) is None:
            return
        schedule = self.schedule()
        tick = schedule.next_after(seen.cursor)
        answer = send(self.app, self.timetable, schedule, seen, tick)
        if not self.is_true(seen) or self.paused:
            assert answer is Answer.BEHIND
        elif self.overlap != "allow" and self.is_alive():
            is_skipped = self.overlap == "skip"
            assert answer is (Answer.SKIPPED if is_skipped else Answer.WAITS)
            if is_skipped:
                self.move(tick, "missed")
        else:
            assert answer is Answer.SENT
            self.last_job = schedule.job_id(tick)
            self.jobs.add(self.last_job)
            self.move(tick, "sent")

    def is_alive(self) -> bool:
        status = self.last_job and self.store.hget(keys.job(self.last_job), "status")
        return status == b"queued"

    def move(self, tick: datetime, outcome: str) -> None:
        assert tick not in self.outcomes
        assert tick > self.cursor
        self.cursor, self.outcomes[tick] = tick, outcome

    @rule(who=NAMES, count=st.integers(1, 3))
    def miss(self, who: str, count: int) -> None:
        if (seen := self.seen.get(who)) is None:
            return
        schedule, ticks = self.schedule(), []
        for _ in range(count):
            after = ticks[-1] if ticks else seen.cursor
            ticks.append(schedule.next_after(after))
        missed = Missed(first=ticks[0], last=ticks[-1], count=count, reason="why")
        done = self.timetable.miss(seen, missed, schedule.next_after(ticks[-1]))
        assert done is (self.is_true(seen) and seen.paused is self.paused)
        for tick in ticks if done else ():
            self.move(tick, "missed")

    @precondition(lambda self: self.cursor is not None)
    @rule()
    def pause(self) -> None:
        self.timetable.pause("sum")
        self.paused = True

    @rule(who=NAMES, limit=st.integers(5, 7), resumes=st.booleans())
    def replace(self, who: str, limit: int, resumes: bool) -> None:
        if (seen := self.seen.get(who)) is None:
            return
        wire = self.schedule(limit).to_wire()
        entry = replace(
            seen,
            wire=wire,
            version=version_of(wire),
            paused=seen.paused and not resumes,
        )
        done = self.timetable.put(entry, self.schedule().next_after(seen.cursor), seen)
        assert done is self.is_true(seen)
        if done:
            self.version = entry.version
            self.paused = self.paused and entry.paused == seen.paused

    @precondition(lambda self: self.cursor is not None)
    @rule()
    def remove(self) -> None:
        assert self.timetable.remove("sum")
        self.cursor, self.version, self.paused = None, "", False

    @precondition(lambda self: self.last_job)
    @rule()
    def end_the_job(self) -> None:
        self.store.hset(keys.job(self.last_job), "status", "finished")

    @invariant()
    def the_store_says_what_was_done(self) -> None:
        entry = self.timetable.entry("sum")
        assert (entry.cursor if entry else None) == self.cursor
        if entry:
            told = {tick.due: tick.job_id for tick in self.timetable.history("sum", 99)}
            job = {t for t, outcome in self.outcomes.items() if outcome == "sent"}
            assert {tick for tick, job_id in told.items() if job_id} == job
            assert told.keys() <= self.outcomes.keys()
            assert entry.paused is self.paused
        is_due = self.store.zscore(keys.SCHEDULES_DUE, "sum") is not None
        assert is_due is (entry is not None and not self.paused)

    @invariant()
    def each_tick_has_one_job(self) -> None:
        assert Counter(waiting(self.store)) == Counter(self.jobs)


def test_no_order_of_events_doubles_a_tick(app, store):
    World.app, World.store = app, store
    run_state_machine_as_test(
        World,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_record_that_cannot_be_read_keeps_no_other_outcome_from_being_written(
    app, timetable, store
):
    for name in "ab":
        app.schedules.add(a_schedule(name, Every(hours=1)))
    job = app.schedules.run_now("b")
    app.schedules.run_now("a")
    for tick in store.hkeys(keys.schedule_history("a")):
        store.hset(keys.schedule_history("a"), tick, '{"sent": "nonsense"}')
    store.zadd(keys.SCHEDULES_OPEN, {"gone:1": 1})
    job.cancel()
    timetable.note_outcomes(100)
    assert timetable.history("b", 1)[0].outcome == "canceled"
    assert store.zcard(keys.SCHEDULES_OPEN) == 0
