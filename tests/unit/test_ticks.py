"""The rules for a schedule's ticks: which is sent, which is missed, and until when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway import App, Cron, Every, Queue, Schedule
from headway.ticks import COUNTED, missed_between, step
from headway.timetable import Waiting, still_waiting

app = App(queues=[Queue("default")], tasks="tasks", engine="memory")
CURSOR = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)


def work() -> None:
    return None


def hourly(**how) -> Schedule:
    timing = how.pop("timing", Every(hours=1))
    return Schedule("s", timing, app.task_of_work.message(), **how)


app.task_of_work = app.task(work)


def played(schedule, cursor, now, *, most=1000, **how):
    """Return what is sent and what is missed until nothing is due."""
    sent, missed = [], []
    for _ in range(most):
        todo = step(schedule, cursor, now, **how)
        if todo.missed is not None:
            missed.append(todo.missed)
            cursor = todo.missed.last
        elif todo.tick is not None:
            sent.append(todo.tick)
            cursor = todo.tick
        else:
            return sent, missed, todo.next_due
    raise AssertionError("it goes on and on")


def test_before_a_tick_there_is_only_its_time_to_wait_for():
    todo = step(hourly(), CURSOR, CURSOR + HOUR - SECOND)
    assert (todo.tick, todo.missed, todo.next_due) == (None, None, CURSOR + HOUR)


@pytest.mark.parametrize("misfire", ["skip", "once", "all"])
def test_in_time_every_tick_is_sent_whatever_the_policy(misfire):
    schedule = hourly(misfire=misfire, grace=3 * HOUR)
    sent, missed, due = played(schedule, CURSOR, CURSOR + 3 * HOUR)
    assert sent == [CURSOR + n * HOUR for n in (1, 2, 3)]
    assert (missed, due) == ([], CURSOR + 4 * HOUR)


def test_a_tick_that_is_late_by_the_grace_is_in_time():
    schedule = hourly(misfire="skip", grace=MINUTE)
    tick = CURSOR + HOUR
    assert played(schedule, CURSOR, tick + MINUTE)[0] == [tick]
    assert played(schedule, CURSOR, tick + MINUTE + SECOND)[0] == []


def test_once_sends_the_latest_of_the_late_and_all_in_time():
    schedule = hourly(misfire="once", grace=90 * MINUTE)
    sent, [gap], _ = played(schedule, CURSOR, CURSOR + 5 * HOUR + MINUTE)
    assert sent == [CURSOR + n * HOUR for n in (3, 4, 5)]
    assert (gap.first, gap.last, gap.count) == (CURSOR + HOUR, CURSOR + 2 * HOUR, 2)


def test_all_sends_no_more_than_its_limit_the_latest_ones():
    schedule = hourly(misfire="all", misfire_limit=3)
    sent, [gap], _ = played(schedule, CURSOR, CURSOR + 10 * HOUR)
    assert sent == [CURSOR + n * HOUR for n in (7, 8, 9, 10)]  # the last is in time
    assert (gap.count, gap.last) == (6, CURSOR + 6 * HOUR)
    assert "misfire_limit=3" in gap.reason


def test_what_is_in_time_fills_no_limit():
    schedule = hourly(timing=Every(seconds=1), misfire="all", misfire_limit=5)
    sent, missed, _ = played(schedule, CURSOR, CURSOR + 10 * SECOND)
    assert (len(sent), missed) == (10, [])


def test_what_is_counted_once_is_not_counted_again():
    schedule = hourly(misfire="all", misfire_limit=3)
    now = CURSOR + 3 * HOUR + 30 * MINUTE
    first = step(schedule, CURSOR, now)
    again = step(schedule, first.tick, now, all_until=first.all_until)
    assert (first.tick, again.tick) == (CURSOR + HOUR, CURSOR + 2 * HOUR)
    assert first.all_until == now - MINUTE


def test_what_has_waited_for_another_job_is_not_late():
    schedule = hourly(misfire="skip", overlap="queue")
    now = CURSOR + 4 * HOUR
    waiting = Waiting(since=CURSOR + 2 * HOUR, asked_at=now)
    sent, missed, _ = played(schedule, CURSOR + HOUR, now, waiting=waiting)
    assert (sent, missed) == ([CURSOR + n * HOUR for n in (2, 3, 4)], [])


def test_what_came_while_no_scheduler_was_there_has_not_waited():
    schedule = hourly(misfire="skip", overlap="queue")
    waiting = Waiting(since=CURSOR + HOUR, asked_at=CURSOR + 2 * HOUR + MINUTE)
    sent, [gap], _ = played(schedule, CURSOR, CURSOR + 9 * HOUR, waiting=waiting)
    assert sent == [CURSOR + n * HOUR for n in (1, 2, 9)]
    assert (gap.first, gap.count) == (CURSOR + 3 * HOUR, 6)


def test_what_came_after_schedulers_were_back_has_waited_again():
    schedule = hourly(misfire="skip", overlap="queue")
    now = CURSOR + 12 * HOUR + 30 * MINUTE
    waiting = Waiting(
        since=CURSOR + HOUR,
        asked_at=now,
        away_from=CURSOR + 2 * HOUR + MINUTE,
        away_until=CURSOR + 9 * HOUR - MINUTE,
    )
    sent, [gap], _ = played(schedule, CURSOR, now, waiting=waiting)
    assert sent == [CURSOR + n * HOUR for n in (1, 2, 9, 10, 11, 12)]
    assert (gap.first, gap.count) == (CURSOR + 3 * HOUR, 6)


def test_those_that_came_meanwhile_fill_no_limit_of_those_that_have_waited():
    schedule = hourly(misfire="skip", overlap="queue", misfire_limit=2)
    waiting = Waiting(since=CURSOR + HOUR, asked_at=CURSOR + 2 * HOUR)
    sent, [gap], _ = played(schedule, CURSOR, CURSOR + 9 * HOUR, waiting=waiting)
    assert sent == [CURSOR + n * HOUR for n in (1, 2, 9)]
    assert gap.count == 6


def test_waiting_begins_anew_with_a_tick_that_nobody_has_asked_about():
    begun = still_waiting(None, CURSOR, CURSOR + SECOND, MINUTE)
    assert begun == Waiting(since=CURSOR, asked_at=CURSOR + SECOND)
    later = still_waiting(begun, CURSOR, CURSOR + MINUTE, MINUTE)
    assert later == Waiting(since=CURSOR, asked_at=CURSOR + MINUTE)
    away = still_waiting(later, CURSOR, CURSOR + HOUR, MINUTE)
    assert away.away_from == CURSOR + MINUTE
    assert away.away_until == CURSOR + HOUR - MINUTE
    again = still_waiting(away, CURSOR, CURSOR + 3 * HOUR, MINUTE)
    assert again.away_from == CURSOR + MINUTE
    assert again.away_until == CURSOR + 3 * HOUR - MINUTE
    anew = still_waiting(again, CURSOR + 4 * HOUR, CURSOR + 5 * HOUR, MINUTE)
    assert anew == Waiting(since=CURSOR + 4 * HOUR, asked_at=CURSOR + 5 * HOUR)


def test_many_missed_ticks_are_told_of_at_once_and_not_counted():
    schedule = hourly(timing=Every(seconds=1), misfire="skip")
    _, missed, _ = played(schedule, CURSOR, CURSOR + timedelta(days=400))
    assert missed[0].count is None
    assert missed[0].last >= CURSOR + timedelta(days=400) - 2 * MINUTE
    short = missed_between(schedule, CURSOR, CURSOR + COUNTED * SECOND, "why")
    assert short.count == COUNTED


def test_start_and_end_are_ticks_themselves():
    schedule = hourly(start=CURSOR + 2 * HOUR, end=CURSOR + 3 * HOUR, misfire="all")
    sent, missed, due = played(schedule, CURSOR, CURSOR + 9 * HOUR)
    assert (sent, missed, due) == ([CURSOR + 2 * HOUR, CURSOR + 3 * HOUR], [], None)


MISFIRES = st.sampled_from(["skip", "once", "all"])
TIMINGS = st.sampled_from(
    [
        Every(minutes=7),
        Every(minutes=30, jitter=timedelta(minutes=20), seed="s"),
        Cron("*/10 * * * *"),
        Cron("30 2 * * *", zone="Europe/Oslo"),
        Cron("0 * * * *", zone="Australia/Lord_Howe"),
    ]
)


@given(TIMINGS, MISFIRES, st.lists(st.integers(1, 3000), max_size=8), st.data())
def test_each_tick_is_sent_or_missed_once_however_often_and_late_one_looks(
    timing, misfire, gaps, data
):
    limit = data.draw(st.integers(1, 5))
    schedule = hourly(timing=timing, misfire=misfire, misfire_limit=limit)
    begin = data.draw(st.sampled_from([CURSOR, datetime(2026, 10, 24, tzinfo=UTC)]))
    cursor = now = begin
    known = []
    for minutes in gaps:
        now += minutes * MINUTE
        sent, missed, due = played(schedule, cursor, now)
        known += [(tick, tick) for tick in sent]
        known += [(gap.first, gap.last) for gap in missed]
        assert due is None or due > now
        cursor = max([cursor, *sent, *(gap.last for gap in missed)])
    known.sort()
    tick = begin
    for first, last in known:
        tick = schedule.next_after(tick)
        assert first == tick  # none is left out, and none is there twice
        tick = last
    assert schedule.next_after(tick) > now


@given(TIMINGS, MISFIRES, st.integers(-300, 300))
def test_a_clock_that_is_stepped_sends_nothing_twice(timing, misfire, step_by):
    schedule = hourly(timing=timing, misfire=misfire)
    now = CURSOR + 5 * HOUR
    sent, missed, _ = played(schedule, CURSOR, now)
    cursor = max([CURSOR, *sent, *(gap.last for gap in missed)])
    later, gaps, _ = played(schedule, cursor, now + step_by * SECOND)
    assert all(tick > cursor for tick in later)
    assert all(gap.first > cursor for gap in gaps)
