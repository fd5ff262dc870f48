"""An engine's messages: one that comes twice does nothing, and a lost one no harm."""

from __future__ import annotations

from datetime import timedelta

import pytest

from headway import JobStatus
from headway.wire import keys
from tests.contract.cells import CARRIED

ENGINES = CARRIED
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("copies", [1, 3])
def test_copies_of_a_message_run_the_job_once(engine, store, log, copies):
    job = engine.tasks.order.enqueue("once")
    for _ in range(copies):
        store.rpush(keys.queue("default"), job.id)
        assert engine.app.backend().relay(["default"]) == 1
    engine.work()
    assert (log(), job.info().attempt) == (["once"], 1)


def test_a_job_whose_message_is_lost_is_sent_again(engine, store, log):
    job = engine.tasks.order.using(delay=HOUR).enqueue("found")
    store.zrem(keys.scheduled("default"), job.id)
    store.hset(keys.job(job.id), "status", "queued")
    store.zadd(keys.sent("default"), {job.id: 1})  # and its broker lost its disk
    engine.work()
    assert (log(), job.status) == (["found"], JobStatus.FINISHED)


def test_messages_of_jobs_that_are_gone_do_nothing(engine, log):
    canceled, deleted = engine.app.enqueue_many(
        [engine.tasks.order.message("canceled"), engine.tasks.order.message("deleted")]
    )
    canceled.cancel()
    deleted.delete()
    last = engine.tasks.order.enqueue("last")
    engine.work()
    assert (log(), last.status) == (["last"], JobStatus.FINISHED)
    assert canceled.status is JobStatus.CANCELED
