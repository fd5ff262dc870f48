"""What happens between the look at the lease and the transaction that ends the job."""

from __future__ import annotations

import pytest

from headway.errors import LeaseLostError
from headway.lease import Leased
from headway.wire import keys
from headway.wire.burial import bury
from headway.wire.fence import FencedPipeline, FencedRedis
from headway.wire.supervision import RedisSupervisorBroker
from tests.wire.test_worker_scripts import Child, recover, send


class InterruptedPipeline(FencedPipeline):
    """Something else happens once, at the worst of moments."""

    def _holds_lease(self):
        held = super()._holds_lease()
        self.owner.looks += 1
        if self.owner.acts:
            self.owner.acts.pop()()
        return held


class Interrupted(FencedRedis):
    pipeline_class = InterruptedPipeline

    def __init__(self, store, child, lease, *acts):
        super().__init__(store.connection_pool, child.holder, lease)
        self.looks, self.acts = 0, list(acts)

    def end(self):
        pipeline = self.pipeline()
        pipeline.set("outcome", self.lease.job_id)
        pipeline.commit()
        pipeline.execute()


@pytest.fixture
def child(store):
    child = Child(store)
    yield child
    child.broker.close()


LOSSES = {
    "recovered": lambda store, child, lease: recover(
        RedisSupervisorBroker(store, ["default"], lease=30.0),
        child,
        begun=[lease.ordinal],
    ),
    "released": lambda _store, child, lease: child.broker.release([lease]),
    "buried": lambda store, child, lease: bury(
        store,
        Leased(child.holder, lease.job_id, lease.ordinal, lease.queue),
        reason="why",
        now=0.0,
    ),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_lease_that_is_lost_after_the_look_at_it_ends_nothing(
    loss, app, basic, store, child
):
    (job_id,) = send(app, basic, 1)
    (lease,) = child.take()
    client = Interrupted(store, child, lease, lambda: LOSSES[loss](store, child, lease))
    with pytest.raises(LeaseLostError, match=job_id):
        client.end()
    assert client.looks == 2
    assert not store.exists("outcome")


def test_the_other_jobs_of_a_child_come_and_go_beside_the_end_of_one(
    app, basic, store, child
):
    send(app, basic, 3)
    lease, other = child.take(2)

    def come_and_go():
        child.acknowledge(other)
        assert len(child.take(1)) == 1

    client = Interrupted(store, child, lease, come_and_go)
    client.end()
    assert client.looks == 1
    assert store.get("outcome").decode() == lease.job_id
    assert not store.hexists(keys.lease(child.holder.child), lease.job_id)


def test_what_the_task_itself_notes_only_makes_it_look_again(app, basic, store, child):
    send(app, basic, 1)
    (lease,) = child.take()
    note = lambda: store.hset(keys.job(lease.job_id), "meta", "{}")  # noqa: E731
    client = Interrupted(store, child, lease, note, note)
    client.end()
    assert client.looks == 3
    assert store.exists("outcome")
