"""Every order of reserve, renew, acknowledge, release and recover, against the scripts.

Children come, work, die, are ended, or are taken for dead and go on. Whatever the
order: each job is in exactly one place, has one outcome at most, and knows how often it
was delivered and how many workers it has ended. `HEADWAY_MODEL_STEPS=100000
scripts/test wire/test_lease_model.py` is the long mode.
"""

from __future__ import annotations

import os
from collections import Counter

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from headway.lease import Gone, Lease, Recovered
from headway.wire import keys
from headway.wire.supervision import RedisSupervisorBroker
from tests.wire.test_worker_scripts import Child, send

STEPS = int(os.environ.get("HEADWAY_MODEL_STEPS", "6000"))
STEPS_EACH = 50
LIMIT = 3
QUEUES = ("high", "default")
NAMES = st.sampled_from(("a", "b"))
#: So few that the same jobs meet everything.
ALIVE = 3


class World(RuleBasedStateMachine):
    """The store, and what was done to it; made anew for each run."""

    # Set by the test that runs it.
    app, basic, store = None, None, None

    def __init__(self) -> None:
        super().__init__()
        self.store.flushdb()
        self.supervisor = RedisSupervisorBroker(self.store, QUEUES, lease=30.0)
        self.sent: list[str] = []
        #: Of these, what may not run twice by itself.
        self.once: set[str] = set()
        self.children: dict[str, Child] = {}
        #: What each child believes to hold, whether it still does or not.
        self.believed: dict[str, list[Lease]] = {}
        #: Lives that were taken for dead, and what these believe to hold.
        self.zombies: list[tuple[Child, list[Lease]]] = []
        self.lives = 0
        self.delivered: Counter[str] = Counter()
        self.crashed: Counter[str] = Counter()
        self.committed: set[str] = set()
        self.buried: set[str] = set()

    def teardown(self) -> None:
        for child in [*self.children.values(), *(each for each, _ in self.zombies)]:
            child.broker.close()

    @property
    def _ended(self) -> set[str]:
        return self.committed | self.buried

    def child(self, name: str) -> Child:
        if name not in self.children:
            self.lives += 1
            self.children[name] = Child(self.store, f"{self.lives:016x}")
            self.believed[name] = []
        return self.children[name]

    @precondition(lambda self: len(self.sent) - len(self._ended) < ALIVE)
    @rule(count=st.integers(1, 2), queue=st.sampled_from(QUEUES), once=st.booleans())
    def enqueue(self, count: int, queue: str, once: bool) -> None:
        on_orphan = "fail" if once else "requeue"
        sent = send(self.app, self.basic, count, queue=queue, on_orphan=on_orphan)
        self.sent += sent
        if once:
            self.once.update(sent)

    @rule(name=NAMES, wanted=st.integers(1, 3))
    def reserve(self, name: str, wanted: int) -> None:
        child = self.child(name)
        for lease in child.take(wanted):
            self.delivered[lease.job_id] += 1
            assert lease.delivery == self.delivered[lease.job_id], "fences grow by one"
            assert lease.job_id not in self._ended
            self.believed[name].append(lease)

    @rule(name=NAMES, count=st.integers(1, 4))
    def acknowledge(self, name: str, count: int) -> None:
        done = self.believed.get(name, [])[:count]
        if done:
            self._acknowledge(self.children[name], done)
            del self.believed[name][:count]

    def _acknowledge(self, child: Child, done: list[Lease]) -> None:
        held = child.held()
        stale = {lease.job_id for lease in done if lease.ordinal not in held}
        lost = child.acknowledge(*done).lost
        assert set(lost) == stale, "who holds it may, others not"
        for lease in done:
            if lease.ordinal in held:
                assert lease.job_id not in self.committed, "one outcome"
                self.committed.add(lease.job_id)

    @rule(name=NAMES, count=st.integers(1, 4), oldest=st.booleans())
    def release(self, name: str, count: int, oldest: bool) -> None:
        believed = self.believed.get(name, [])
        back = believed[:count] if oldest else believed[-count:]
        if back:
            self._release(self.children[name], back)
            self.believed[name] = [each for each in believed if each not in back]

    def _release(self, child: Child, back: list[Lease]) -> None:
        left = child.held().keys() - {lease.ordinal for lease in back}
        child.broker.release([(each.job_id, each.ordinal) for each in back])
        assert child.held().keys() == left, "no lease but those it names is ended"

    @rule(name=NAMES)
    def renew(self, name: str) -> None:
        if name in self.children:
            child = self.children[name].holder.child
            assert self.supervisor.renew([child]) == [], "nothing was recovered"

    @rule(
        name=NAMES,
        begun=st.integers(0, 3),
        goes_on=st.booleans(),
        gone=st.sampled_from(("dead", "ended")),
    )
    def die(self, name: str, begun: int, goes_on: bool, gone: Gone) -> None:
        """End a life that had begun so many jobs, or take it for dead in error."""
        child = self.children.pop(name, None)
        if child is None:
            return
        believed = self.believed.pop(name)
        ran = [lease.ordinal for lease in believed[:begun]]
        self._recover(child, ran, gone)
        if goes_on:
            self.zombies.append((child, believed))
        else:
            child.broker.close()

    @rule(name=NAMES, then=st.sampled_from(("nothing", "end", "back")))
    def freeze_past_the_lease(self, name: str, then: str) -> None:
        """Have others recover what a child holds; it goes on, and does not know."""
        child = self.children.get(name)
        if child is None or not child.held():
            return
        began = list(child.held())  # nobody can know which of them had
        assert self._recover(child, began, "late") == []
        self.store.zadd(keys.LEASES, {child.holder.child: 0})
        found = self._recover(child, began, "late")
        lost = self.supervisor.renew([child.holder.child])
        # What is left in the lease, for the application to decide, keeps it.
        assert bool(lost) is all(each.fate != "left" for each in found)
        self.store.delete(keys.recovered(child.holder.child))
        if then != "nothing":
            self._act_on_what_is_stale(name, then)

    def _act_on_what_is_stale(self, name: str, what: str) -> None:
        child, stale = self.children[name], self.believed[name]
        self.believed[name] = []
        for lease in child.take(3):  # perhaps the very jobs that it has lost
            self.delivered[lease.job_id] += 1
            self.believed[name].append(lease)
        if not stale:
            return
        if what == "end":
            self._acknowledge(child, stale)
        else:
            self._release(child, stale)

    def _recover(
        self, child: Child, begun: list[int], gone: Gone = "dead"
    ) -> list[Recovered]:
        held = {job_id for job_id, _queue in child.held().values()}
        found = self._recovered(child, None if gone == "late" else begun, gone)
        if gone == "late" and not found:
            return found
        assert {each.leased.job_id for each in found} == held, "none is passed over"
        for each in found:
            had_begun = each.leased.ordinal in begun
            crashes = had_begun and gone != "ended"
            self.crashed[each.leased.job_id] += crashes
            assert each.crashes == crashes * self.crashed[each.leased.job_id]
            assert each.fate == self._fate(each, had_begun, gone)
            if each.fate != "requeued":
                self._decide(child, each)
        return found

    def _recovered(
        self, child: Child, begun: list[int] | None, gone: Gone
    ) -> list[Recovered]:
        return self.supervisor.recover(
            child.holder, begun=begun, story="why", crash_limit=LIMIT, gone=gone
        )

    def _fate(self, orphan: Recovered, had_begun: bool, gone: Gone) -> str:
        if had_begun and orphan.leased.job_id in self.once:
            return "broken off" if gone == "ended" else "left"
        return "left" if orphan.crashes >= LIMIT else "requeued"

    def _decide(self, child: Child, left: Recovered) -> None:
        """Do what the application says; who was to ask it may have been lost."""
        if left.fate == "broken off":
            again = self._recovered(child, None, "dead")
            assert left in again, "no crash is counted for it"
        if left.fate == "broken off" and left.leased.ordinal % 2:
            self.supervisor.release(child.holder, [left.leased.ordinal])
            return
        self.supervisor.bury(left.leased, reason="enough", now=2e9)
        self.buried.add(left.leased.job_id)

    @precondition(lambda self: self.zombies)
    @rule(at=st.integers(0, 10), what=st.sampled_from(("end", "take", "back", "die")))
    def go_on_as_a_zombie(self, at: int, what: str) -> None:
        child, believed = self.zombies[at % len(self.zombies)]
        if what == "take":
            assert child.take(3) == [], "the dead are given nothing"
        elif what == "back":
            child.broker.release([(each.job_id, each.ordinal) for each in believed])
        elif what == "die":
            self._recover(child, [each.ordinal for each in believed])
        elif believed:
            self._acknowledge(child, believed)

    @invariant()
    def each_job_is_in_one_place(self) -> None:
        places: Counter[str] = Counter()
        for queue in QUEUES:
            places.update(self._ids(self.store.lrange(keys.queue(queue), 0, -1)))
            for registry in (keys.finished(queue), keys.failed(queue)):
                places.update(self._ids(self.store.zrange(registry, 0, -1)))
        for child in self.store.zrange(keys.LEASES, 0, -1):
            places.update(self._ids(self.store.hkeys(keys.lease(child.decode()))))
        assert places == Counter(self.sent), "none in no place, none in two"

    @invariant()
    def what_is_written_is_what_was_done(self) -> None:
        pipeline = self.store.pipeline(transaction=False)
        for job_id in self.sent:
            fields = ("status", "headway_delivery", "headway_crashes")
            pipeline.hmget(keys.job(job_id), *fields, "number_of_retries")
            pipeline.xlen(keys.results(job_id))
        found = pipeline.execute()
        for job_id, written, results in zip(
            self.sent, found[::2], found[1::2], strict=True
        ):
            status, delivered, crashes, retries = written
            assert int(delivered or 0) == self.delivered[job_id]
            assert int(crashes or 0) == self.crashed[job_id]
            assert not retries, "no retry is spent"
            ended = job_id in self._ended
            assert (status in (b"finished", b"failed")) is ended
            assert results == ended, "one outcome, if any"

    @staticmethod
    def _ids(found: list[bytes]) -> list[str]:
        return [each.decode() for each in found]


def test_no_order_of_events_loses_or_doubles_a_job(app, basic, store):
    World.app, World.basic, World.store = app, basic, store
    run_state_machine_as_test(
        World,
        settings=settings(
            max_examples=max(1, STEPS // STEPS_EACH),
            stateful_step_count=STEPS_EACH,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
