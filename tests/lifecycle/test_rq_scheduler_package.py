"""The package rq-scheduler beside us, all as processes, and then taken over."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from rq_scheduler import Scheduler

from headway.wire import keys

DEADLINE = 60
TICK = "sample_ledger.tick"
EVERY_SECOND = "* * * * * * *"
PUSHED = re.compile(r"Pushing \S+\((\S+)\) to default")


@pytest.fixture
def until() -> Callable[..., None]:
    def wait(holds: Callable[[], object], what: str) -> None:
        deadline, pause = time.monotonic() + DEADLINE, threading.Event()
        while not holds():
            assert time.monotonic() < deadline, f"not within {DEADLINE} s: {what}"
            pause.wait(0.02)

    return wait


@pytest.fixture
def ledger(tmp_path, environment) -> Callable[[], Counter[tuple[str, ...]]]:
    """How often each job has run, by what it was given and its id."""
    path = tmp_path / "ledger"
    path.touch()
    environment["SAMPLE_LOG"] = str(path)
    environment["HEADWAY_APP"] = "sample_pickle_app:app"
    return lambda: Counter(
        tuple(line.split()) for line in path.read_text().splitlines()
    )


@pytest.fixture
def worker(start, ledger):
    return start("headway", "worker", "--children", "2", "default")


@pytest.fixture
def ours(start, ledger):
    return start("headway", "scheduler")


@pytest.fixture
def rqscheduler(start, redis_url, ledger):
    return start("rqscheduler", "-u", redis_url, "-i", "0.05", "-v")


def pushed(process) -> Counter[str]:
    """End rq-scheduler's process; return how often it has sent each job."""
    os.killpg(process.pid, signal.SIGTERM)
    return Counter(PUSHED.findall(process.communicate(timeout=DEADLINE)[0]))


def ran(ledger, name: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for (said, job_id), count in ledger().items():
        if said == name:
            found[job_id] += count
    return found


def second_of(job_id: str) -> datetime:
    written = job_id.rpartition("-")[2]
    return datetime.strptime(written, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def test_its_jobs_run_on_our_worker(store, worker, rqscheduler, ledger, until):
    scheduler = Scheduler(connection=store)
    begin = datetime.now(UTC)
    often = scheduler.schedule(begin, TICK, ["often"], interval=1, repeat=3)
    once = scheduler.enqueue_in(timedelta(seconds=1), TICK, "once")
    lines = scheduler.cron(EVERY_SECOND, TICK, ["line"])
    until(lambda: ran(ledger, "once"), "the one that runs once")
    until(lambda: sum(ran(ledger, "often").values()) == 3, "the one with an interval")
    until(lambda: sum(ran(ledger, "line").values()) >= 3, "the one with a line of cron")
    scheduler.cancel(lines)
    until(lambda: not store.llen(keys.queue("default")), "none waits")
    sent = pushed(rqscheduler)
    assert (sent[often.id], sent[once.id]) == (3, 1)
    assert ran(ledger, "often") == {often.id: 3}
    until(lambda: ran(ledger, "line") == {lines.id: sent[lines.id]}, "all have run")


def test_it_is_taken_over_as_it_runs_and_no_tick_is_lost_or_doubled(
    store, worker, ours, rqscheduler, command, ledger, until
):
    scheduler = Scheduler(connection=store)
    begin = datetime.now(UTC)
    for number in range(4):
        scheduler.schedule(begin, TICK, [f"every{number}"], interval=1)
        scheduler.cron(EVERY_SECOND, TICK, [f"line{number}"])
    # Some before it is taken over, some after, and some as that is done.
    once = [
        scheduler.enqueue_at(begin + timedelta(seconds=n / 5), TICK, f"once{n}")
        for n in range(60)
    ]
    until(lambda: sum(ran(ledger, "every0").values()) >= 2, "it sends")
    done = command("headway", "schedules", "import", "--from", "rq-scheduler")
    assert done.returncode == 0, done.stdout + done.stderr
    assert store.zcard(keys.RQ_SCHEDULER_JOBS) == 0
    names = [f"{kind}{n}" for kind in ("every", "line") for n in range(4)]
    until(lambda: all(len(ran(ledger, name)) >= 4 for name in names), "ours go on")
    until(
        lambda: all(ran(ledger, f"once{n}") for n in range(60)), "those that run once"
    )
    assert rqscheduler.poll() is None
    sent = pushed(rqscheduler)
    assert [sum(ran(ledger, f"once{n}").values()) for n in range(60)] == [1] * 60
    assert all(count == 1 for count in (sent[job.id] for job in once if job.id in sent))
    for name in names:
        runs = ran(ledger, name)
        [(theirs, count)] = [r for r in runs.items() if not r[0].startswith("cron-")]
        assert sent[theirs] == count  # what it has sent has run
        ticks = {second_of(job_id): n for job_id, n in runs.items() if job_id != theirs}
        assert set(ticks.values()) == {1}
        last = datetime.fromisoformat(
            store.hget(keys.job(theirs), "enqueued_at").decode()
        )
        seam = last.replace(microsecond=0) + timedelta(seconds=1)
        assert sorted(ticks) == [seam + timedelta(seconds=n) for n in range(len(ticks))]
