"""Who loses a lease cannot commit; what was leased comes back."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from headway.clock import SystemClock
from headway.lease import Lease
from headway.worker.by_rq import RQCode
from headway.worker.member import new_holder
from headway.worker.slot import Slot, Told
from headway.worker.trusted_job import job_class_of
from tests.worker.running import until

MODES = [(), ("--threads", "3"), ("--concurrency", "3")]


def is_gone(pid):
    return not Path(f"/proc/{pid}").exists() or "Z" in state_of(pid)


def state_of(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def test_children_die_with_their_worker_and_another_has_their_jobs(
    app, tasks, worker, marks, book
):
    lost = worker()
    job = tasks.held.enqueue("long")
    marks.until("begin long")
    waiting = app.enqueue_many([tasks.short.message(str(n)) for n in range(20)])
    children = lost.children
    lost.send(signal.SIGKILL)
    until(lambda: all(map(is_gone, children)), "children gone", within=3)
    other = worker()
    marks.open("long")
    assert job.result(timeout=8) == "long"  # its host is ours: no lease is waited for
    assert marks.count("begin long") == 2
    until(lambda: len(book.of("finished")) == 21, "all finished")
    assert [marks.count(f"run {n}") for n in range(20)] == [1] * 20
    assert book.field(job, "headway_crashes") == "1"
    assert all(each.status == "finished" for each in waiting)
    assert book.of("wip") == []
    assert "its worker was killed" in other.said


@pytest.mark.parametrize(
    ("mode", "way"),
    [((), "succeeds"), (("--threads", "3"), "fails")],
    ids=["one-succeeds", "threads-fails"],
)
def test_a_frozen_worker_whose_lease_ran_out_cannot_commit(
    mode, way, app, tasks, worker, marks, book, store
):
    frozen = worker("--lease", "3", *mode)
    task = tasks.held if way == "succeeds" else tasks.held_then_fail
    job = task.enqueue("long")
    marks.until("begin long")
    pids = [frozen.process.pid, *frozen.children]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    worker("--lease", "3", *mode)
    marks.until("begin long", times=2)
    marks.open("long")
    ended = "finished" if way == "succeeds" else "failed"
    until(lambda: job.status == ended, "ended")
    before = store.hgetall(f"rq:job:{job.id}")
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    # It goes on to its end, or its own supervisor is faster and ends it.
    until(
        lambda: marks.count("end long") == 2 or "is ended" in frozen.said,
        "the superseded run is over",
    )
    until(lambda: "superseded" in frozen.said, "said so")
    assert book.results(job) == 1
    after = store.hgetall(f"rq:job:{job.id}")
    after.pop(b"headway_superseded", None)  # a count of such runs is all they leave
    assert after == before
    assert book.of(ended) == [job.id]
    assert book.of("wip") == book.leased() == book.waiting() == []
    assert tasks.short.enqueue("after").result(timeout=5) == "after"


def test_what_was_held_while_the_process_stood_still_is_not_begun():
    slot = Slot()
    slot.hold([1, 2, 3])
    slot.reserve_until(10.0)
    assert slot.begin(0, 9.0, 0.0) == Told.NOTHING
    assert slot.begin(1, 11.0, 0.0) == Told.REVOKED  # others may have it
    slot.renew_until(13.0)
    assert slot.begin(2, 12.0, 0.0) == Told.NOTHING
    slot.close()


@pytest.mark.parametrize("mode", MODES, ids=["one", "threads", "loop"])
def test_a_job_that_holds_the_interpreter_for_three_leases_keeps_its_own(
    mode, app, tasks, worker, marks, book
):
    both = [worker("--lease", "3", *mode) for _ in range(2)]
    job = tasks.hold_the_lock.enqueue(9)
    marks.until("begin lock")
    other = tasks.short.enqueue("other")
    assert other.result(timeout=5) == "other"  # by the other worker
    assert job.result(timeout=15) == "held"
    assert marks.count("begin lock") == 1
    assert book.results(job) == 1
    assert not job.info().crashes
    assert [running.stop() for running in both] == [0, 0]
    assert book.leased() == book.waiting() == []


def test_a_superseded_run_does_not_give_away_the_unique_key(app, tasks, store):
    job = tasks.fail.using(unique="one").enqueue("why")
    meta = store.hget(f"rq:job:{job.id}", "meta")
    lease = Lease(job.id, 1, 1, "default", b"", b"", b"", meta, b"", {})
    by_rq = RQCode(
        job_class_of(app), store, new_holder("w"), SystemClock(), queues=[], options={}
    )
    by_rq.fail(lease, ValueError("why"), 0.0)  # the lease is another's
    assert tasks.fail.using(unique="one").enqueue("why").id == job.id
    store.hset(f"rq:job:{job.id}", "status", "failed")
    by_rq.let_go(lease)
    assert tasks.fail.using(unique="one").enqueue("why").id != job.id
