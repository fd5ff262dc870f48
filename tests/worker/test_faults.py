"""Whatever Redis answers, at whichever command: the worker waits, and nothing is lost.

The worker's Redis is a proxy that refuses commands, loses answers and cuts lines; what
the tests send and look at goes to the server behind it.
"""

from __future__ import annotations

import importlib
import signal
import time
from collections import Counter
from datetime import timedelta

import pytest
from rq import Callback, Retry

from headway.clock import SystemClock
from headway.lease import Served
from headway.wire import client as wire_client
from headway.wire.broker import RedisChildBroker
from headway.worker.member import new_holder
from headway.worker.order import Ordering
from headway.worker.slot import Slot, Told
from headway.worker.supply import Supply
from tests.wire.proxy import ANSWER_LOST, FAULTS, HALF_OPEN
from tests.worker.running import Worker, until

#: How long an outage is here, in seconds: many attempts, and much less than a lease.
OUTAGE = 0.6
#: What a batch has to end, in seconds: whoever failed last pauses for some.
SOON = 30.0
TENTH = timedelta(seconds=0.1)
#: So many unlike commands a batch needs at least, of which each fails once.
MANY = 12


class Batch:
    """One job of each kind, and what becomes of it."""

    def __init__(self, name, app, tasks, stock):
        self._app, self._name = app, name
        enqueue = stock.enqueue
        parent = enqueue("worker_tasks.short", f"parent of {name}")
        self.jobs = {
            "plain": tasks.short.enqueue(f"plain {name}"),
            "reports": tasks.report.enqueue(3),
            "unique": tasks.short.using(unique=f"one {name}").enqueue(f"unique {name}"),
            "again": tasks.again.enqueue(f"again {name}"),
            "fails": tasks.run_and_fail.enqueue(f"fails {name}"),
            "long": tasks.run_for.enqueue(f"long {name}", 0.4),
            "parent": app.job(parent.id),
            "dependent": self._of(
                enqueue("worker_tasks.short", f"dependent {name}", depends_on=parent)
            ),
            "called back": self._of(
                enqueue(
                    "worker_tasks.short",
                    f"called back {name}",
                    on_success=Callback("worker_tasks.called_back"),
                )
            ),
            "rq again": self._of(
                enqueue("worker_tasks.again", f"rq again {name}", retry=Retry(2))
            ),
        }

    def _of(self, job):
        return self._app.job(job.id)

    @property
    def statuses(self):
        return {kind: job.status for kind, job in self.jobs.items()}

    @property
    def is_over(self):
        return all(s in ("finished", "failed") for s in self.statuses.values())

    @property
    def runs(self):
        """How often each of its functions is to be run."""
        twice = ("again", "rq again")
        once = set(self.jobs) - {*twice, "reports", "parent"}
        runs = {f"run {kind} {self._name}": 1 for kind in once}
        runs |= {f"run {kind} {self._name}": 2 for kind in twice}
        return runs | {f"run parent of {self._name}": 1}


def check(batches, marks, store, book):
    """Have all ended as they should, once, and nothing be left of them."""
    for batch in batches:
        failed = {kind for kind, s in batch.statuses.items() if s == "failed"}
        assert failed == {"fails"}, batch.statuses
        for kind, job in batch.jobs.items():
            assert book.results(job) == (2 if "again" in kind else 1), kind
            assert not job.info().crashes, kind
    ran = Counter(line for line in marks.all() if line.startswith("run "))
    assert ran == sum((Counter(batch.runs) for batch in batches), Counter())
    assert marks.count("called back") == len(batches)
    assert book.leased() == book.waiting() == book.of("wip") == []
    for left in ("headway:unique:*", "rq:executions:*", "rq:ready:*", "rq:deferred:*"):
        assert store.keys(left) == []


@pytest.mark.parametrize(
    ("mode", "names"),
    [
        ((), ("loading", "readonly", "oom", "cut before")),
        (("--threads", "3"), ("noauth", "misconf", "cut after")),
    ],
    ids=["one", "threads"],
)
def test_a_redis_that_does_nothing_for_a_while(
    mode, names, app, tasks, worker, marks, stock, store, book, proxy
):
    running, batches = worker(*mode, REDIS_URL=proxy.url), []
    for name in names:
        held = tasks.held.enqueue(name)
        marks.until(f"begin {name}", within=SOON)
        proxy.rule = lambda _label, fault=FAULTS[name]: fault
        ends = time.monotonic() + OUTAGE
        marks.open(name)  # it ends in the midst of the outage
        batches.append(Batch(name, app, tasks, stock))
        until(lambda ends=ends: time.monotonic() > ends, "the outage is over")
        assert proxy.hit
        proxy.rule = None
        assert held.result(timeout=SOON) == name
        until(lambda: batches[-1].is_over, "all are over", within=SOON)
        proxy.hit.clear()
    check(batches, marks, store, book)
    assert [marks.count(f"begin {name}") for name in names] == [1] * len(names)
    assert "a child of" not in running.said  # none has ended
    assert running.stop() == 0


@pytest.mark.parametrize("name", FAULTS)
def test_each_command_fails_once(
    name, app, tasks, worker, marks, stock, store, book, proxy
):
    declared = importlib.import_module("worker_tasks.schedules").schedules
    app.schedules.declare({"worker_tasks.schedules": declared})
    app.schedules.pause("tick")  # its jobs are none of the batch
    running = worker("--with-scheduler", REDIS_URL=proxy.url)
    marks.until("hook of one")
    proxy.once_each(FAULTS[name])
    batch = Batch(name, app, tasks, stock)
    until(lambda: batch.is_over, "all are over", within=SOON)
    assert len(proxy.hit) > MANY
    check([batch], marks, store, book)
    assert "a child of" not in running.said
    assert running.stop() == 0


def test_answers_that_never_come(app, tasks, worker, marks, stock, store, book, proxy):
    running = worker(REDIS_URL=proxy.url)
    marks.until("hook of one")
    silent = {"EVALSHA:reserve": HALF_OPEN, "EXEC": ANSWER_LOST}
    proxy.rule = lambda label: silent.pop(label, None)
    batch = Batch("late", app, tasks, stock)
    until(lambda: batch.is_over, "all are over", within=SOON)
    assert silent == {}
    check([batch], marks, store, book)
    assert "a child of" not in running.said
    assert running.stop() == 0


@pytest.mark.parametrize("name", ["oom", "cut after"])
def test_each_command_fails_once_as_it_begins(name, app, tasks, worker, store, proxy):
    job = tasks.short.enqueue("first")
    proxy.once_each(FAULTS[name], but=("PING", "HELLO"))  # it is up, and lets us in
    running = worker("--name", "w", REDIS_URL=proxy.url)
    assert job.result(timeout=SOON) == "first"
    assert {"HSET", "EVALSHA:reserve"} <= proxy.hit.keys()
    until(lambda: store.hget("rq:worker:w", "state") == b"idle", "said so to rq")
    assert store.smembers("rq:workers") == {b"rq:worker:w"}
    proxy.rule = None
    assert running.stop() == 0
    assert not store.smembers("rq:workers")


def test_a_scheduler_sends_each_due_job_once(app, tasks, start, store, book, proxy):
    scheduler = Worker(start("headway", "scheduler", env={"REDIS_URL": proxy.url}))
    until(lambda: "scheduler started" in scheduler.said, "started")
    jobs = []
    names = ("loading", "readonly", "oom", "cut after")
    for fault in (FAULTS[name] for name in names):
        due = [tasks.short.using(delay=TENTH * n).message("due") for n in range(1, 6)]
        jobs += app.enqueue_many(due)
        proxy.rule = lambda _label, fault=fault: fault
        until(lambda: proxy.hit, "it asked in vain")
        proxy.once_each(fault)
        waiting = len(jobs)
        until(lambda n=waiting: len(book.waiting()) == n, "all are sent", within=SOON)
    assert sorted(book.waiting()) == sorted(job.id for job in jobs)
    assert book.of("scheduled") == []
    assert scheduler.stop() == 0
    # One job for each second and schedule: a tick has an id of its own.
    ticks = [job_id.decode() for job_id in store.lrange("rq:queue:high", 0, -1)]
    assert len(ticks) == len(set(ticks)) > 0


@pytest.fixture
def supply(proxy):
    """A child's jobs, without the child."""
    client = wire_client.connect(proxy.url, patience=wire_client.LOOP)
    served = Served(name="default", prefetch=10)
    broker = RedisChildBroker(client, new_holder("w"), lease=30)
    broker.serve([served])
    yield Supply(
        broker,
        Slot(),
        Ordering((served,), "default"),
        SystemClock(),
        lease=30.0,
        default_ttl=500,
        finish_parent=lambda _noted: None,
    )
    broker.close()
    client.close()


def test_a_job_that_is_here_once_more_is_not_given_back(supply, tasks, proxy, book):
    """A retry may be reserved again before its first run is seen to be over."""
    job = tasks.short.enqueue("again")
    (first,) = supply.take(1)
    supply.release([first])  # as its retry does
    supply.take(1)
    supply.forget(first)
    proxy.once_each(FAULTS["cut before"], "EVALSHA:reserve")
    assert supply.take(1) == []
    assert book.waiting() == []
    assert book.leased() == [job.id]


def test_what_could_not_be_released_is_released_later(supply, tasks, proxy, book):
    job = tasks.short.enqueue("back")
    leases = supply.take(1)
    proxy.once_each(FAULTS["cut before"], "EVALSHA:release")
    supply.release(leases)
    assert book.leased() == [job.id]
    assert [lease.job_id for lease in supply.take(1)] == [job.id]
    assert book.waiting() == []


def test_a_reservation_that_brings_nothing_prolongs_nothing(supply, tasks):
    tasks.short.enqueue("one")
    (lease,) = supply.take(1)
    slot = supply._slot
    slot.hold([lease.ordinal])
    slot.reserve_until(1.0)  # long ago: the process stood still
    assert supply.take(1) == []
    assert slot.begin(0, 2.0, 0.0) == Told.REVOKED


@pytest.mark.parametrize(
    "mode", [("--threads", "3"), ("--concurrency", "3")], ids=["threads", "loop"]
)
def test_what_runs_may_end_though_redis_is_away_when_the_worker_stops(
    mode, app, tasks, worker, marks, proxy, book
):
    running = worker(*mode, REDIS_URL=proxy.url)
    task = tasks.held_async if "--concurrency" in mode else tasks.held
    job = task.enqueue("gate")
    marks.until("begin gate")
    proxy.rule = lambda _label: FAULTS["cut before"]
    proxy.cut()
    until(lambda: "the child waits" in running.said, "away")
    running.send(signal.SIGTERM)
    until(lambda: "stopping" in running.said, "stopping")
    since = time.monotonic()
    until(lambda: time.monotonic() - since > 2.5, "longer than a pause")
    assert running.process.poll() is None
    marks.open("gate")
    marks.until("end gate")
    proxy.rule = None
    assert running.end(20) == 0
    assert marks.count("begin gate") == 1
    until(lambda: job.status in ("finished", "started"), "written, or left leased")
