"""The drill of kills, in small: the very program that `scripts/drill` runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.drills.journal import Journal
from benchmarks.drills.tally import Runs

ROOT = Path(__file__).parents[2]
#: The drill waits for a minute before it says that jobs are stuck.
DEADLINE = 120


@pytest.fixture
def journal(tmp_path) -> Journal:
    return Journal(tmp_path / "journal")


def drill(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.drills", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE, check=False
    )


def test_killed_children_cost_only_the_jobs_they_ran():
    ended = drill("kills", "--trials", "12", "--queues", "2", "--seed", "5")
    last = ended.stdout.splitlines()[-1:]
    assert ended.returncode == 0, ended.stderr
    assert re.fullmatch(
        r"drill=kills trials=12 jobs=\d+ lost=0 double_commits=0 "
        r"extra_runs_per_fault=[01] back_p99_s=[\d.]+ back_max_s=[\d.]+ wedged=0 "
        r"verdict=pass",
        *last,
    )


def test_a_drill_that_is_not_there_is_wrong_use():
    ended = drill("nosuch")
    assert ended.returncode == 2
    assert "kills" in ended.stderr


def test_the_run_that_a_death_has_ended_is_what_it_cost(journal):
    journal.write("begin", "j-1", 11)
    journal.write("death", pid=11)
    journal.write("begin", "j-1", 12)
    runs = Runs(journal.lines())
    assert list(runs.extra()) == [("j-1", 11, True)]
    assert len(runs.back) == 1


def test_a_job_that_had_ended_before_the_death_was_not_to_run_again(journal):
    journal.write("begin", "j-1", 11)
    journal.write("end", "j-1", 11)
    journal.write("begin", "j-2", 11)
    journal.write("death", pid=11)
    journal.write("begin", "j-1", 12)
    assert list(Runs(journal.lines()).extra()) == [("j-1", 11, False)]


def test_a_retry_after_an_exception_is_no_extra_run(journal):
    journal.write("begin", "j-1", 11)
    journal.write("raise", "j-1", 11)
    journal.write("begin", "j-1", 12)
    assert not list(Runs(journal.lines()).extra())


def test_a_run_that_comes_twice_without_a_death_is_noticed(journal):
    journal.write("begin", "j-1", 11)
    journal.write("begin", "j-1", 12)
    assert list(Runs(journal.lines()).extra()) == [("j-1", 11, False)]
