"""The drills, in small: the very program that `scripts/drill` runs."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import psutil
import pytest

from benchmarks.drills import account
from benchmarks.drills.__main__ import _arguments, _rows
from benchmarks.drills.account import tick_id
from benchmarks.drills.ledger import Line
from benchmarks.drills.load import Load
from benchmarks.drills.rows import DRILLS
from benchmarks.drills.tally import Runs, Tally, tally, waiting_for_failed
from headway.timetable import Tick

ROOT = Path(__file__).parents[2]
#: A drill waits for longer than a minute before it says that jobs are stuck.
DEADLINE = 240
#: All but those that wait for a lease of half a minute.
QUICK = (
    *("child-kill", "parent-kill", "fetch-window", "deploy", "redis-restart"),
    *("redis-kill", "redis-full", "poison", "bad-payloads"),
)


def drill(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.drills", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE, check=False
    )


def test_no_fault_costs_more_than_the_jobs_that_it_strikes():
    ended = drill(*QUICK, "--trials", "1", "--seed", "5")
    last = ended.stdout.splitlines()[-1:]
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.fullmatch(
        r"drill=child-kill\+.* trials=1 jobs=\d+ lost=0 double_commits=0 "
        r"extra_runs_per_fault=[\d.]+ back_p99_s=[\d.]+ back_max_s=[\d.]+ wedged=0 "
        r"verdict=pass",
        *last,
    )
    rows = [line for line in ended.stdout.splitlines() if " pass " in line]
    assert len(rows) == len(QUICK) + 2  # of the fetch window there are three


def test_each_tick_has_one_job_whatever_is_done_to_schedulers():
    ended = drill("ticks", "--schedulers", "3", "--minutes", "0.3", "--seed", "5")
    last = ended.stdout.splitlines()[-1:]
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.fullmatch(
        r"drill=ticks due=18 enqueued=18 lost=0 doubles=0 missed=0 late_p99_s=[\d.]+ "
        r"verdict=pass",
        *last,
    )
    assert "1 Redis killed" in ended.stdout


def test_each_chord_has_one_join_whoever_is_killed():
    ended = drill("workflow", "--trials", "5", "--seed", "5")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    last = "drill=workflow trials=5 joins=5 lost=0 doubles=0 verdict=pass"
    assert ended.stdout.splitlines()[-1] == last


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nosuch",), "child-kill"),
        (("gil", "--worker", "stock"), "fetch-window"),
        (("gil", "--minutes", "3"), "--minutes is for soak"),
        (("soak", "--minutes", "0"), "'0': expected minutes, more than 0"),
        (("gil", "--schedulers", "3"), "--schedulers is for ticks"),
        (("ticks", "--schedulers", "51"), "'51': expected 1 to 50"),
        (("ticks", "soak"), "ticks is played alone"),
        (("workflow", "soak"), "workflow is played alone"),
        (("gil", "--engine", "celery"), "--engine is for workflow"),
        (("ticks", "--trials", "2"), "ticks is one trial"),
        (("ticks", "--worker", "stock"), "--worker stock is for child-kill"),
        (("gil", "--json", "nosuch/file"), "'nosuch/file': expected a file"),
    ],
)
def test_a_drill_that_is_not_there_is_wrong_use(arguments, said):
    ended = drill(*arguments)
    assert ended.returncode == 2
    assert said in ended.stderr


def family_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def is_worker(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return "--lease" in process.cmdline()
    return False


def test_a_ctrl_c_ends_all_that_a_drill_has_started():
    command = [sys.executable, "-m", "benchmarks.drills", "deploy", "--trials", "1"]
    with subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as started:
        deadline, pause = monotonic() + DEADLINE, threading.Event()
        while not any(map(is_worker, family := family_of(started))):
            assert monotonic() < deadline, family
            pause.wait(0.05)
        os.killpg(started.pid, signal.SIGINT)
        _, said = started.communicate(timeout=DEADLINE)
    assert started.returncode == 128 + signal.SIGINT
    assert "drill: stopping its workers and servers" in said
    assert "Traceback" not in said
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive


def test_all_and_the_soak_are_all_and_the_soak(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["drill", "soak", "all", "gil"])
    names = [row.name for row in _rows(_arguments())]
    assert (names[0], names[-1], len(names)) == ("child-kill", "soak", 21)


def test_where_nothing_is_to_run_twice_one_run_is_too_much():
    (row,), (other,) = DRILLS["redis-kill"], DRILLS["child-kill"]
    found = Tally(struck=100, extra=1)
    assert row.shortfalls(found) == ["redis-kill: 1 runs more for 100 struck"]
    assert other.shortfalls(found) == []


def runs(*lines: tuple[str, str, int]) -> Runs:
    """Read what processes did, a second each."""
    return Runs(Line(what, job, pid, at) for at, (what, job, pid) in enumerate(lines))


def test_the_run_that_a_death_has_cut_short_is_what_it_cost():
    read = runs(("begin", "j-1", 11), ("strike", "-", 11), ("begin", "j-1", 12))
    assert list(read.extra()) == [("j-1", 0, True)]
    assert read.cut_short == {("j-1", 0)}
    assert read.back == [1.0]


def test_a_job_that_had_ended_long_before_the_death_was_not_to_run_again():
    read = runs(
        ("begin", "j-1", 11),
        ("end", "j-1", 11),
        ("strike", "-", 13),
        ("strike", "-", 11),
        ("begin", "j-1", 12),
    )
    assert list(read.extra()) == [("j-1", 0, False)]


def test_what_was_done_and_not_written_is_a_run_that_was_struck():
    lines = [
        Line("begin", "j-1", 11, 0.0),
        Line("end", "j-1", 11, 0.1),
        Line("begin", "j-2", 11, 0.1),
        Line("strike", "-", 11, 0.2),
        Line("begin", "j-1", 12, 0.3),
        Line("begin", "j-2", 12, 0.4),
    ]
    assert list(Runs(lines).extra()) == [("j-1", 0, True), ("j-2", 0, True)]


def test_a_child_that_its_struck_supervisor_had_ended_is_struck_with_it():
    lines = [
        Line("begin", "j-1", 11, 0.0, 10),
        Line("begin", "j-2", 12, 0.0, 10),  # it is ended: it has run for too long
        Line("begin", "j-3", 13, 0.0, 20),
        Line("strike", "-", 10, 3.0),
        Line("strike", "-", 11, 3.0),
        *(Line("begin", f"j-{n}", 30 + n, 6.0, 30) for n in (1, 2, 3)),
    ]
    extra = [("j-1", 0, True), ("j-2", 0, True), ("j-3", 0, False)]
    assert list(Runs(lines).extra()) == extra


def test_what_raised_while_the_store_was_away_is_waited_for_from_its_return():
    read = runs(
        ("begin", "j-1", 11),
        ("strike", "-", 11),
        ("raise", "j-1", 11),
        ("back", "-", 0),
        ("begin", "j-1", 12),
    )
    assert read.back == [1.0, 1.0]  # of the job, and of the store


def test_who_was_frozen_as_it_was_about_to_begin_a_job_runs_it_for_nothing():
    read = runs(
        ("begin", "j-0", 11),
        ("end", "j-0", 11),
        ("strike", "-", 11),
        ("begin", "j-1", 12),
        ("end", "j-1", 12),
        ("begin", "j-1", 11),
        ("begin", "j-2", 11),
        ("begin", "j-2", 12),
    )
    assert list(read.extra()) == [("j-1", 1, True), ("j-2", 0, False)]


def test_a_retry_after_an_exception_is_no_extra_run():
    read = runs(("begin", "j-1", 11), ("raise", "j-1", 11), ("begin", "j-1", 12))
    assert not list(read.extra())


def test_an_exception_that_was_not_written_costs_a_run():
    read = runs(
        ("begin", "j-1", 11),
        ("raise", "j-1", 11),
        ("strike", "-", 11),
        ("begin", "j-1", 12),
        ("raise", "j-1", 12),
    )
    assert len(list(read.extra())) == 1


def test_a_run_that_comes_twice_without_a_death_is_noticed():
    read = runs(("begin", "j-1", 11), ("begin", "j-1", 12))
    assert list(read.extra()) == [("j-1", 0, False)]


def test_who_waits_for_a_job_that_has_failed_is_left_and_not_wedged(
    store, redis_url, monkeypatch
):
    for name, value in (("REDIS", redis_url), ("LEDGER", "none"), ("TRIAL", "7")):
        monkeypatch.setenv(f"DRILL_{name}", value)
    load = Load(store, random.Random(1), 7)
    load.send_family("the-parent")
    [child] = load.parents
    assert waiting_for_failed(store, load) == set()
    store.hset("rq:job:the-parent", "status", "failed")
    store.lpop("rq:queue:first")
    store.zadd("rq:failed:first", {"the-parent": 1})
    assert waiting_for_failed(store, load) == {child}
    load.failing.add("the-parent")
    found = tally(store, load, [])
    assert (found.blamed, found.wedged, found.lost) == (1, 0, 0)


def test_each_commit_is_counted():
    read = runs(("begin", "j-1", 11), ("commit", "j-1", 11), ("commit", "j-1", 12))
    assert read.commits_of["j-1"] == 2


# Ticks


def tick(second: int, *, sent: float | None = None) -> Tick:
    sent_at = datetime.fromtimestamp(sent or second, UTC)
    due = datetime.fromtimestamp(second, UTC)
    return Tick(due=due, sent_at=sent_at, job_id="of it", outcome="queued")


def missed(last: int, count: int) -> Tick:
    due = datetime.fromtimestamp(last, UTC)
    return Tick(due=due, outcome="missed", count=count, reason="misfire='skip'")


def account_of(*ticks: Tick, runs=(), may_miss: str | None = "misfire='skip'"):
    """Lay four ticks beside what ran."""
    lines = [Line("begin", tick_id("t", second), 1, at) for second, at in runs]
    history = {each.due: each for each in ticks}
    read = account.Runs.of(lines)
    return account.of_schedule("t", range(1001, 1005), history, read, may_miss)


def test_a_tick_without_a_job_or_a_word_is_lost():
    found = account_of(tick(1001), missed(1003, 2), runs=[(1001, 1001.5)])
    assert (found.due, found.jobs, found.left_out, found.lost) == (4, 1, 2, 1)
    assert found.problems == [
        "t: cron-t-19700101T001644Z: neither a job nor a word of it"
    ]


def test_a_tick_that_was_run_and_missed_is_a_double_and_so_is_one_run_twice():
    ticks = [tick(1001), missed(1002, 1), tick(1003), tick(1004)]
    runs = [(second, second + 0.5) for second in (1001, 1002, 1003, 1004, 1004)]
    found = account_of(*ticks, runs=runs)
    assert (found.jobs, found.doubles, found.lost) == (4, 2, 0)
    assert len(found.problems) == 3  # of the one, it is not known when it was sent


@pytest.mark.parametrize("may_miss", [None, "overlap='skip'"])
def test_what_was_left_out_for_another_reason_is_wrong(may_miss):
    ticks = [missed(1001, 9), tick(1002), tick(1003), tick(1004)]
    runs = [(second, second + 0.5) for second in (1002, 1003, 1004)]
    found = account_of(*ticks, runs=runs, may_miss=may_miss)
    [problem] = found.problems  # those before the first are not looked at
    assert problem == "cron-t-19700101T001641Z was left out: misfire='skip'"


def test_lateness_is_told_with_what_it_was_for():
    sent = {1001: 1001.5, 1002: 1009, 1003: 1009, 1004: 1004}
    ticks = [tick(second, sent=at) for second, at in sent.items()]
    found = account_of(*ticks, runs=list(sent.items()))
    away, alone = [(1001.8, 1002.5)], [(1002.3, 1006.0)]
    assert sorted(found.late_beside(away)) == [0.0, 0.5, 6.0]
    assert found.late_for(away) == [7.0]
    assert found.late_for_nothing(away, alone) == 3.0
    assert found.early == 0
    early = account_of(tick(1001, sent=1000.9), runs=[(1001, 1001.5)])
    assert early.early == 1


def test_a_delayed_job_runs_once_and_not_before_its_time():
    lines = [Line("begin", job, 1, 10.0) for job in ("a", "b", "b", "c")]
    due = dict.fromkeys("abcd", 9.0) | {"c": 10.5}
    enqueued = dict.fromkeys("abc", 9.5)
    found = account.of_delays(due, due, enqueued, account.Runs.of(lines))
    assert (found.jobs, found.lost, found.doubles, found.early) == (3, 1, 1, 1)
    assert found.problems == ["delayed job b ran 2 times", "delayed job d ran 0 times"]


def test_jobs_that_overlap_are_told():
    lines = [
        Line(what, tick_id("t", second), 1, at)
        for what, second, at in (
            *(("begin", 1001, 1.0), ("end", 1001, 2.0)),
            *(("begin", 1002, 2.1), ("begin", 1003, 2.2), ("end", 1002, 3.0)),
        )
    ]
    [said] = account.overlaps(account.Runs.of(lines), "t")
    assert said == f"{tick_id('t', 1003)} began while {tick_id('t', 1002)} ran"
