"""Schedules, on every engine: one job for each tick, and what people do to them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from headway import At, Cron, Every, Retry, Schedule
from headway.errors import ConfigurationError, ScheduleNotFoundError
from headway.scheduler import Scheduler
from tests.contract.cells import OURS

ENGINES = OURS
HOUR = timedelta(hours=1)


@pytest.fixture
def scheduler(engine) -> Scheduler:
    return Scheduler(engine.app)


@pytest.fixture
def schedules(engine):
    return engine.app.schedules


def every(engine, name="sum", **how) -> Schedule:
    timing = how.pop("timing", Every(hours=1))
    return Schedule(name, timing, engine.tasks.add.message(1, 2), **how)


def sent(schedules, name="sum"):
    return [tick for tick in schedules.history(name) if tick.job_id]


def test_a_tick_has_one_job_that_runs_as_its_message_says(engine, scheduler, schedules):
    schedules.add(every(engine))
    scheduler.round()
    assert sent(schedules) == []  # none of the ticks before it was there
    due = schedules.get("sum").next_due
    engine.pass_time(HOUR)
    for _ in range(3):
        scheduler.round()
    [tick] = sent(schedules)
    assert tick.outcome == "queued"
    assert tick.job_id.startswith("cron-sum-")
    assert timedelta(0) <= tick.sent_at - tick.due < HOUR
    engine.work()
    assert engine.app.job(tick.job_id).result() == 3
    assert sent(schedules)[0].outcome == "finished"
    assert schedules.get("sum").next_due > due


def test_the_options_of_the_message_travel(engine, scheduler, schedules):
    task = engine.tasks.add.using(
        queue="low",
        timeout=timedelta(seconds=7),
        retry=Retry(attempts=4),
        result_ttl=timedelta(seconds=90),
        expires=HOUR,
        description="by night",
    )
    schedules.add(Schedule("sum", Every(hours=1), task.message(1, other=5)))
    engine.pass_time(HOUR)
    scheduler.round()
    info = engine.app.job(sent(schedules)[0].job_id).info()
    assert (info.queue, info.timeout) == ("low", timedelta(seconds=7))
    assert info.description == "by night"
    engine.work()
    assert engine.app.job(info.id).result() == 6


@pytest.mark.parametrize(
    ("misfire", "jobs", "missed"), [("skip", 0, 5), ("once", 1, 4), ("all", 3, 2)]
)
def test_what_was_missed_is_sent_as_the_schedule_says(
    misfire, jobs, missed, engine, scheduler, schedules
):
    how = {"misfire": misfire, "misfire_limit": 3}
    anchor = schedules.timetables()[0].now() - timedelta(minutes=20)
    schedules.add(every(engine, timing=Every(hours=1, anchor=anchor), **how))
    engine.pass_time(5 * HOUR)
    for _ in range(5):
        scheduler.round()
    history = schedules.history("sum")
    assert len(sent(schedules)) == jobs
    assert sum(tick.count for tick in history if tick.outcome == "missed") == missed
    assert all("misfire" in t.reason for t in history if t.outcome == "missed")


def test_what_is_not_late_is_no_misfire(engine, scheduler, schedules):
    schedules.add(every(engine, misfire="skip", grace=timedelta(hours=2)))
    engine.pass_time(HOUR)
    scheduler.round()
    assert len(sent(schedules)) == 1


def test_a_tick_is_left_out_while_the_job_before_goes_on(engine, scheduler, schedules):
    schedules.add(every(engine, overlap="skip"))
    for _ in range(3):
        engine.pass_time(HOUR)
        scheduler.round()
    first = sent(schedules)[-1]
    assert len(sent(schedules)) == 1
    reasons = {t.reason for t in schedules.history("sum") if not t.job_id}
    assert reasons == {f"job {first.job_id} had not ended: overlap='skip'"}
    engine.work()
    engine.pass_time(HOUR)
    scheduler.round()
    assert len(sent(schedules)) == 2


def waiting_ticks(engine, schedules) -> Schedule:
    """Return a schedule of which a tick is 20 minutes old whenever an hour is over."""
    anchor = schedules.timetables()[0].now() - timedelta(minutes=20)
    how = {"overlap": "queue", "misfire": "skip", "grace": HOUR / 2}
    return every(engine, timing=Every(hours=1, anchor=anchor), **how)


def test_ticks_wait_for_the_job_before(engine, scheduler, schedules):
    schedules.add(replace(waiting_ticks(engine, schedules), grace=HOUR))
    for _ in range(3):
        engine.pass_time(HOUR)
        scheduler.round()
    assert len(sent(schedules)) == 1
    for count in (2, 3, 3):
        engine.work()
        engine.pass_time(timedelta(seconds=1))
        scheduler.round()
        assert len(sent(schedules)) == count
    assert all(tick.job_id for tick in schedules.history("sum"))


@pytest.mark.parametrize("goes_on", [False, True])
def test_ticks_that_came_while_no_scheduler_was_there_have_not_waited(
    goes_on, engine, scheduler, schedules
):
    schedules.add(waiting_ticks(engine, schedules))
    for _ in range(2):  # one is sent, and one waits for its job
        engine.pass_time(HOUR)
        scheduler.round()
    engine.pass_time(6 * HOUR)  # and nobody is there
    if goes_on:
        scheduler.round()
    for count in (2, 3, 3):
        engine.work()
        engine.pass_time(timedelta(seconds=1))
        scheduler.round()
        assert len(sent(schedules)) == count
    missed = [tick for tick in schedules.history("sum") if not tick.job_id]
    assert [tick.count for tick in missed] == [5]


def test_ticks_after_the_schedulers_were_back_wait_again(engine, scheduler, schedules):
    schedules.add(waiting_ticks(engine, schedules))
    for hours in (1, 1, 6, 0.45, 0.45, 0.45):
        engine.pass_time(hours * HOUR)
        scheduler.round()
    for count in (2, 3, 4, 4):
        engine.work()
        engine.pass_time(timedelta(seconds=1))
        scheduler.round()
        assert len(sent(schedules)) == count


def test_the_job_before_is_canceled(engine, scheduler, schedules):
    schedules.add(every(engine, overlap="cancel"))
    for _ in range(2):
        engine.pass_time(HOUR)
        scheduler.round()
    assert [tick.outcome for tick in sent(schedules)] == ["queued", "canceled"]


def test_nothing_is_sent_of_a_paused_one_and_the_gap_is_written_down(
    engine, scheduler, schedules
):
    schedules.add(every(engine, misfire="all"))
    schedules.pause("sum")
    assert schedules.get("sum").paused
    assert schedules.get("sum").next_due is None
    engine.pass_time(3 * HOUR)
    scheduler.round()
    assert schedules.history("sum") == []
    schedules.resume("sum")
    scheduler.round()
    [gap] = schedules.history("sum")
    assert (gap.outcome, gap.count, gap.reason) == ("missed", 3, "it was paused")
    engine.pass_time(HOUR)
    scheduler.round()
    assert len(sent(schedules)) == 1


@pytest.mark.parametrize(
    ("ahead", "goes_on"), [(3650 * 24 * HOUR, True), (HOUR / 2, False)]
)
def test_one_that_a_wrong_clock_moved_far_ahead_can_be_resumed(
    ahead, goes_on, engine, schedules
):
    schedules.add(every(engine, timing=Every(minutes=1)))
    [timetable] = schedules.timetables()
    entry, now = timetable.entry("sum"), timetable.now()
    assert timetable.put(replace(entry, cursor=now + ahead), now + ahead, entry)
    schedules.pause("sum")
    schedules.resume("sum")
    is_soon = schedules.get("sum").next_due <= timetable.now() + timedelta(minutes=1)
    assert is_soon is goes_on


def test_a_clock_that_is_put_back_far_is_told_of_once(
    engine, scheduler, schedules, caplog
):
    schedules.add(every(engine))
    for hours, times in ((0, 0), (-0.5, 0), (5, 0), (-3, 1), (0, 1)):
        engine.pass_time(hours * HOUR)
        scheduler.round()
        assert caplog.text.count("the clock of the store was put back by") == times


def test_one_can_be_run_by_hand(engine, scheduler, schedules):
    schedules.add(every(engine))
    job = schedules.run_now("sum")
    again = schedules.run_now("sum")
    engine.work()
    assert job.result() == again.result() == 3
    history = schedules.history("sum")
    assert {tick.job_id for tick in history} == {job.id, again.id}
    assert all(t.by_hand and t.outcome == "finished" for t in history)


def test_a_schedule_has_a_start_and_an_end(engine, scheduler, schedules):
    now = schedules.timetables()[0].now()
    schedules.add(every(engine, start=now + 2 * HOUR, end=now + 4 * HOUR))
    assert schedules.get("sum").next_due >= now + 2 * HOUR
    for _ in range(6):
        engine.pass_time(HOUR)
        scheduler.round()
    assert len(sent(schedules)) == 2
    assert schedules.get("sum").next_due is None


def test_a_moment_is_sent_once(engine, scheduler, schedules):
    now = schedules.timetables()[0].now()
    schedules.add(every(engine, timing=At(now + HOUR)))
    with pytest.raises(ConfigurationError, match="no tick after"):
        schedules.add(every(engine, "late", timing=At(now)))
    with pytest.raises(ConfigurationError, match="every hour, end=2000-01-01"):
        schedules.add(every(engine, "late", end=datetime(2000, 1, 1, tzinfo=UTC)))
    engine.pass_time(HOUR)
    for _ in range(2):
        scheduler.round()
    assert len(sent(schedules)) == 1
    assert schedules.get("sum").next_due is None


def test_some_can_be_asked_for_by_name(engine, schedules):
    for name in ("c", "a", "b"):
        schedules.add(every(engine, name))
    assert schedules.names() == ["a", "b", "c"]
    assert [info.name for info in schedules.all(["c", "gone", "a"])] == ["a", "c"]
    assert schedules.all([]) == []


def test_names_are_not_taken_twice_nor_made_up(engine, schedules):
    schedules.add(every(engine))
    with pytest.raises(ConfigurationError, match="there is a schedule 'sum'"):
        schedules.add(every(engine))
    for wrong in ("sum", [every(engine)]):
        with pytest.raises(ConfigurationError, match="expected one Schedule"):
            schedules.add(wrong)
    for act in (schedules.get, schedules.pause, schedules.run_now, schedules.remove):
        with pytest.raises(ScheduleNotFoundError, match="no schedule 'other'"):
            act("other")
    with pytest.raises(ScheduleNotFoundError, match="did you mean 'sum'"):
        schedules.get("sun")
    schedules.remove("sum")
    assert schedules.all() == []


def test_the_next_ticks_are_told_in_the_zone_of_the_schedule(engine, schedules):
    timing = Cron("0 3 * * *", zone="Asia/Tokyo")
    schedules.add(every(engine, timing=timing, end=engine.app.clock.now() + 70 * HOUR))
    coming = schedules.upcoming("sum")
    assert coming[0] == schedules.get("sum").next_due
    assert len(coming) in (2, 3)
    assert {tick.hour for tick in coming} == {3}
    assert len(schedules.upcoming("sum", 1)) == 1
    schedules.pause("sum")
    engine.pass_time(24 * HOUR)
    # As if it went on now: what is due meanwhile is missed.
    assert schedules.upcoming("sum") == coming[1:]


def test_another_message_in_its_place_changes_no_tick(engine, scheduler, schedules):
    schedules.add(every(engine))
    engine.pass_time(HOUR)
    message = engine.tasks.add.message(20, 2)
    schedules.replace(Schedule("sum", Every(hours=1), message))
    scheduler.round()
    engine.work()
    [tick] = sent(schedules)
    assert engine.app.job(tick.job_id).result() == 22


def test_another_timing_in_its_place_begins_now(engine, scheduler, schedules):
    schedules.add(every(engine))
    engine.pass_time(5 * HOUR)
    schedules.replace(every(engine, timing=Every(hours=2), misfire="all"))
    scheduler.round()
    assert schedules.history("sum") == []
    engine.pass_time(2 * HOUR)
    scheduler.round()
    assert len(sent(schedules)) == 1


def test_ticks_that_are_past_are_due_where_that_is_said(engine, scheduler, schedules):
    past = schedules.timetables()[0].now() - timedelta(seconds=30)
    timing = Every(hours=1, anchor=past)
    schedules.replace(every(engine, timing=timing), since=past - HOUR / 2)
    scheduler.round()
    assert [tick.due for tick in sent(schedules)] == [past]


def test_the_code_is_the_truth_of_what_it_declares(engine, schedules):
    schedules.add(every(engine, "by-hand"))
    first = schedules.declare({"tasks.schedules": [every(engine, n) for n in "ab"]})
    assert (first.added, first.changed, first.removed) == (["a", "b"], {}, [])
    assert not schedules.declare({"tasks.schedules": [every(engine, n) for n in "ab"]})
    schedules.pause("b")
    timing = Cron("0 3 * * *", zone="Europe/Oslo")
    second = schedules.declare(
        {"tasks.schedules": [every(engine, "b", timing=timing), every(engine, "c")]}
    )
    assert (second.added, second.removed) == (["c"], ["a"])
    [(name, what)] = second.changed.items()
    assert name == "b"
    assert what.startswith('timing {"hours": 1, "kind": "every"} -> {"kind": "cron"')
    assert [info.name for info in schedules] == ["b", "by-hand", "c"]
    assert schedules.get("b").paused  # what a person has stopped stays so
    assert schedules.get("b").timing == "0 3 * * * in Europe/Oslo"
    with pytest.raises(ConfigurationError, match=r"declared in tasks\.schedules"):
        schedules.remove("b")
    with pytest.raises(ConfigurationError, match=r"declared in tasks\.schedules"):
        schedules.replace(every(engine, "b"))


def test_what_another_application_declares_is_left_alone(engine, schedules):
    schedules.declare({"others.schedules": [every(engine, "theirs")]})
    schedules.declare({"tasks.schedules": [every(engine, "ours")]})
    assert [info.name for info in schedules] == ["ours", "theirs"]
    schedules.declare({"tasks.schedules": []})
    assert [info.name for info in schedules] == ["theirs"]


def test_a_schedule_can_be_moved_to_another_module(engine, schedules):
    schedules.declare({"a.schedules": [every(engine)], "b.schedules": []})
    before = schedules.timetables()[0].entry("sum").cursor
    diff = schedules.declare({"a.schedules": [], "b.schedules": [every(engine)]})
    assert diff.changed == {"sum": 'declared "a.schedules" -> "b.schedules"'}
    assert not diff.refused
    assert schedules.get("sum").declared == "b.schedules"
    assert schedules.timetables()[0].entry("sum").cursor == before


def test_a_name_that_is_taken_holds_up_no_other_of_the_code(engine, schedules, caplog):
    schedules.declare({"old.schedules": [every(engine)]})
    mine = [every(engine, misfire="all"), every(engine, "more")]
    Scheduler(engine.app, {"new.schedules": mine}).round()
    assert [info.name for info in schedules] == ["more", "sum"]
    assert schedules.get("sum").misfire == "once"
    assert "`headway schedules remove --declared sum`" in caplog.text
    schedules.remove("sum", declared=True)
    diff = schedules.declare({"new.schedules": mine})
    assert (diff.added, diff.refused) == (["sum"], {})


def test_a_schedule_that_cannot_be_read_holds_up_no_other_and_is_said_once(
    engine, scheduler, schedules, caplog
):
    lost = engine.tasks.add.message(1, 2)._replace(task="sample_tasks.basic.gone")
    schedules.add(Schedule("lost", Every(hours=1), lost))
    schedules.add(every(engine))
    assert "sample_tasks.basic" in schedules.get("lost").problem
    for _ in range(3):
        engine.pass_time(HOUR)
        scheduler.round()
    assert len(sent(schedules)) == 3
    assert schedules.history("lost") == []  # it is for those who know the task
    assert caplog.text.count("schedule lost: this fails") == 1
