"""Whatever Redis answers, at whichever command: the worker waits, and nothing is lost.

The worker's Redis is a proxy that refuses commands, loses answers and cuts lines; what
the tests send and look at goes to the server behind it.
"""

from __future__ import annotations

import time
from collections import Counter

import pytest
from rq import Callback, Retry

from tests.worker.proxy import ANSWER_LOST, FAULTS, HALF_OPEN, Proxy
from tests.worker.running import until

MODES = [(), ("--threads", "3")]
#: How long an outage is here, in seconds: many attempts, and much less than a lease.
OUTAGE = 0.6
#: What a batch has to end, in seconds: whoever failed last pauses for some.
SOON = 30.0
#: So many unlike commands a batch needs at least, of which each fails once.
MANY = 12


@pytest.fixture
def proxy(redis_url):
    made = Proxy(redis_url)
    yield made
    made.rule = None
    made.close()


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


@pytest.mark.parametrize("mode", MODES, ids=["one", "threads"])
def test_a_redis_that_does_nothing_for_a_while(
    mode, app, tasks, worker, marks, stock, store, book, proxy
):
    running, batches = worker(*mode, REDIS_URL=proxy.url), []
    for name, fault in FAULTS.items():
        held = tasks.held.enqueue(name)
        marks.until(f"begin {name}", within=SOON)
        proxy.rule = lambda _label, fault=fault: fault
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
    assert [marks.count(f"begin {name}") for name in FAULTS] == [1] * len(FAULTS)
    assert "a child of" not in running.said  # none has ended
    assert running.stop() == 0


@pytest.mark.parametrize("name", FAULTS)
def test_each_command_fails_once(
    name, app, tasks, worker, marks, stock, store, book, proxy
):
    running = worker("--with-scheduler", REDIS_URL=proxy.url)
    marks.until("hook of one")
    proxy.once_each(FAULTS[name])
    batch = Batch(name, app, tasks, stock)
    until(lambda: batch.is_over, "all are over", within=SOON)
    assert len(proxy.hit) > MANY
    check([batch], marks, store, book)
    assert "a child of" not in running.said
    assert running.stop() == 0


@pytest.mark.parametrize("fault", [HALF_OPEN, ANSWER_LOST], ids=["half-open", "lost"])
def test_an_answer_that_never_comes(
    fault, app, tasks, worker, marks, stock, store, book, proxy
):
    running = worker(REDIS_URL=proxy.url)
    marks.until("hook of one")
    proxy.once_each(fault, "EVALSHA:reserve", "EVALSHA:renew", "EXEC")
    batch = Batch("late", app, tasks, stock)
    until(lambda: batch.is_over, "all are over", within=SOON)
    assert proxy.hit.keys() >= {"EVALSHA:reserve", "EXEC"}
    check([batch], marks, store, book)
    assert "a child of" not in running.said
    assert running.stop() == 0
