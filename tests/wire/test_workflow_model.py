"""Any graph, ended in any order and told of more than once, against a model of it.

Nodes finish, fail, are canceled, or are ended by others than our own verbs; each end
may be said again. Whatever the order: a node is let go once, when all that it waits for
is over, and never where it is not. What has failed is run again, some of the times.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from headway import group
from headway.errors import JobStateError
from headway.lease import Leased
from headway.wire import keys
from headway.wire.burial import bury
from headway.wire.leftovers import Leftovers
from headway.worker.ending import SETTLE
from tests.wire.test_worker_scripts import Child

EXAMPLES = int(os.environ.get("HEADWAY_MODEL_STEPS", "6000")) // 60
OVER = ("finished", "failed", "canceled")


class Model:
    """What a workflow is to be, said as plainly as can be."""

    def __init__(self, nodes, limit):
        self.nodes, self.limit = nodes, limit
        self.status = dict.fromkeys(nodes, "deferred")
        self.has_failed, self.undoing, self.to_undo = False, None, []
        self.runs = Counter()
        self._let_go()

    def of(self, *statuses):
        return sorted(
            name for name, status in self.status.items() if status in statuses
        )

    def end(self, name, status):
        self.status[name] = status
        node = self.nodes.get(name)
        if node is None:
            self.undoing = None if name == self.undoing else self.undoing
        else:
            self._end_node(name, node, status)
        self._undo_next()

    def _end_node(self, name, node, status):
        passes = status == "finished" or node["continues"]
        if node["undo"] and status != "canceled":
            if status == "failed" and passes and not self.has_failed:
                self._send(node["undo"])
            else:
                self.to_undo.insert(0, node["undo"])
        if not passes and not self.has_failed:
            self.has_failed = True
            for each in self.of("deferred", "queued"):
                self.status[each] = "canceled" if each in self.nodes else "queued"
        self._let_go()

    def _undo_next(self):
        while self.has_failed and self.undoing is None and self.to_undo:
            name = self.to_undo.pop(0)
            if name not in self.status:  # else it was sent for an earlier run
                self.undoing = name
                self._send(name)

    @property
    def can_be_retried(self):
        return self.has_failed or bool(self._failed)

    @property
    def _failed(self):
        return {name for name in self.nodes if self.status[name] != "finished"}

    def retry(self):
        failed = self._failed
        for name, node in self.nodes.items():  # parents stand before their children
            if failed.intersection(node["parents"]):
                failed = failed | {name}
        again = failed | {n for n in self.nodes if self.nodes[n]["undo"] in self.status}
        for name in again:
            self.status[name] = "deferred"
            self.status.pop(self.nodes[name]["undo"], None)
        self.has_failed = False
        self.runs.clear()
        self._let_go()

    def _let_go(self):
        for name, node in self.nodes.items():
            waits = [p for p in node["parents"] if self.status[p] not in OVER]
            if self.status[name] == "deferred" and not waits and self._has_place(node):
                self._send(name)

    def _has_place(self, node):
        line = [name for name, one in self.nodes.items() if one["line"]]
        going = [name for name in line if self.status[name] in ("queued", "started")]
        return not node["line"] or len(going) < self.limit

    def _send(self, name):
        self.status[name] = "queued"
        self.runs[name] += 1

    @property
    def outcome(self):
        if self.of("deferred", "queued", "started"):
            return "failed" if self.has_failed else "started"
        return "failed" if self.has_failed else "finished"


class World:
    """The workflow in the store, with what is done to it."""

    def __init__(self, app, basic, store, draw):
        self.app, self.store, self.draw = app, store, draw
        store.flushdb()
        self.child, self.leases, self.past = Child(store), {}, []
        nodes, messages = {}, []
        for number in range(draw(st.integers(1, 7))):
            mine = (
                draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else ()
            )
            messages.append(self._message(basic, nodes, messages, number, sorted(mine)))
        limit = draw(st.integers(1, 3))
        beside = [
            self._message(basic, nodes, (), f"beside{n}", (), line=True)
            for n in range(draw(st.integers(1, 4)))
        ]
        flow = group(group(*messages), group(*beside, limit=limit))
        self.flow = flow.enqueue(workflow_id="flow")
        self.model = Model(nodes, limit)

    def _message(self, basic, nodes, messages, number, parents, *, line=False):
        name, continues = f"n{number}", self.draw(st.booleans())
        undo = f"u{number}" if self.draw(st.booleans()) else None
        nodes[name] = {
            "parents": [f"n{parent}" for parent in parents],
            "continues": continues,
            "undo": undo,
            "line": line,
        }
        options = (
            {"compensate": basic.order.using(job_id=undo).message("")} if undo else {}
        )
        using = basic.add.using(
            job_id=name,
            on_failure="continue" if continues else "fail_fast",
            after=[messages[parent] for parent in parents],
            **options,
        )
        return using.message(1)

    def step(self):
        """Do one thing of those that can be done."""
        queued, started = self.model.of("queued"), self.model.of("started")
        waiting = [
            n for n in self.model.of("queued", "deferred") if n in self.model.nodes
        ]
        can = ["take"] * bool(queued) + ["cancel"] * bool(waiting)
        can += ["finish", "finish", "fail", "by another"] * bool(started)
        what = self.draw(st.sampled_from([*can, "say it again", "sweep"]))
        match what:
            case "take":
                for lease in self.child.take(1):
                    self.leases[lease.job_id] = lease
                    assert self.model.status[lease.job_id] == "queued"
                    self.model.status[lease.job_id] = "started"
            case "cancel":
                name = self.draw(st.sampled_from(waiting))
                self.app.backend().cancel(name)
                self.model.end(name, "canceled")
            case "say it again":
                for lease in self.past:
                    self.child.acknowledge(lease)
                for name in self.model.of(*OVER):
                    SETTLE(self.store, [], ["flow", name])
            case "sweep":
                Leftovers(self.store, ["default"]).go_on()
            case _:
                self._end(what, self.draw(st.sampled_from(started)))

    def _end(self, what, name):
        lease = self.leases.pop(name)
        self.past.append(lease)
        leased = Leased(self.child.holder, name, lease.ordinal, lease.queue)
        match what:
            case "finish":
                assert self.child.acknowledge(lease).lost == ()
            case "fail":
                assert bury(self.store, leased, reason="so", now=2e9)
            case _:
                self.store.hdel(keys.lease(self.child.holder.child), name)
                self.store.hset(keys.job(name), "status", "finished")
                Leftovers(self.store, ["default"]).go_on()
        self.model.end(name, "failed" if what == "fail" else "finished")

    def check(self):
        """Hold that the store has what the model says."""
        found, names = {}, [*self.model.nodes, *self.model.status]
        for name in names:
            found[name] = (self.store.hget(keys.job(name), "status") or b"").decode()
        assert found == {name: self.model.status[name] for name in names}
        waiting = [
            each.decode() for each in self.store.lrange("rq:queue:default", 0, -1)
        ]
        assert sorted(waiting) == self.model.of("queued"), "each is let go once"
        deferred = {
            each.decode() for each in self.store.zrange("rq:deferred:default", 0, -1)
        }
        assert sorted(deferred) == self.model.of("deferred")
        assert self.flow.status == self.model.outcome

    def go_on(self):
        """Do one thing after the other until all is over."""
        self.check()
        while self.model.of("deferred", "queued", "started"):
            self.step()
            self.check()
        assert set(self.model.runs.values()) <= {1}
        assert self.flow.tree().has_ended
        assert self.store.zcard(keys.WORKFLOWS) == 0
        has_failed = self.model.has_failed
        [line] = self.app.workflows("failed" if has_failed else "finished")
        assert line.progress == self.flow.progress
        for kind in ("open", "finished" if has_failed else "failed"):
            assert self.store.zcard(keys.listed_workflows(kind)) == 0
        assert not self.store.keys("headway:workflow:flow:waits:*")
        assert not self.store.keys("headway:workflow:flow:line:*")
        for kind in (keys.JOB_PREFIX, keys.RESULTS_PREFIX, keys.WORKFLOW_PREFIX):
            for key in self.store.scan_iter(f"{kind}*"):
                assert self.store.ttl(key) > 0, f"{key} is kept for ever"

    def retry(self):
        """Run again what can be; tell whether any was."""
        if not self.model.can_be_retried:
            with pytest.raises(JobStateError, match="has finished"):
                self.flow.retry()
            return False
        self.flow.retry()
        self.model.retry()
        return True

    def close(self):
        self.child.broker.close()


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=(Phase.generate,),  # to make an example smaller takes minutes
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_each_node_is_let_go_once_whatever_the_order(app, basic, store, data):
    world = World(app, basic, store, data.draw)
    try:
        world.go_on()
        for _ in range(data.draw(st.integers(0, 2))):
            if world.retry():
                world.go_on()
    finally:
        world.close()
