"""Workflows in Redis: written whole, looked at, and brought to an end or run again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from redis.exceptions import RedisError

from headway.clock import Clock
from headway.errors import EnqueueError, JobNotFoundError, LeaseLostError
from headway.job import FIRST_LOOK, JobStatus
from headway.message import Envelope
from headway.reference import named, reference_to, resolved
from headway.wire import job_hash, keys
from headway.wire.expiry import nodes_without_expiry
from headway.wire.node_results import has_failed, last_line, nodes, results
from headway.wire.outage import Asker, explained, way_out
from headway.wire.reading import Fields, text
from headway.wire.scripts import Scripts, Value
from headway.wire.workflow_lines import page
from headway.workflows import (
    Node,
    NodeInfo,
    Plan,
    WorkflowInfo,
    WorkflowKind,
    WorkflowPage,
    in_the_way,
    not_to_be_retried,
    of_gone_job,
)

if TYPE_CHECKING:
    from redis import Redis

#: How often one who waits for the end looks at most, in seconds.
LONGEST_LOOK = 0.1
#: RQ's own, for results that do not say how long they are kept, in seconds.
KEPT = 500


class RQWorkflows(Asker):
    """Workflows whose nodes are RQ's jobs: a `WorkflowStore`."""

    def __init__(
        self,
        connect: Callable[[], Redis],
        clock: Clock,
        *,
        noted: Callable[[Envelope], Envelope],
        cancel_job: Callable[[str], bool],
    ) -> None:
        super().__init__(connect)
        self._clock = clock
        self._noted = noted
        self._cancel_job = cancel_job
        self._scripts = Scripts()

    # Sending

    def send(self, plan: Plan, envelopes: Sequence[Envelope]) -> bool:
        """Write a workflow, all of it or nothing; tell whether it was not there.

        Raises:
            DuplicateJobError: a job is in the way.
            EnqueueError: Redis did not confirm; says whether it may have.
        """
        answer, other = self._add(plan, envelopes, "", ("", ""))
        if answer == "taken":
            raise in_the_way(plan.id, other)
        return answer == "done"

    def grow(
        self,
        plan: Plan,
        envelopes: Sequence[Envelope],
        node: str,
        lease: tuple[str, str],
    ) -> None:
        """Write more nodes, once, in the place of what a running node returns.

        Raises:
            EnqueueError: Redis did not confirm, or a job is in the way.
            LeaseLostError: another worker has the node now.
        """
        answer, other = self._add(plan, envelopes, node, lease)
        if answer == "lost":
            raise LeaseLostError(
                f"job {node}: its lease was lost, so what it fans out to is not sent: "
                "another worker has the job now"
            )
        if answer == "taken":
            raise EnqueueError(f"job {node} fans out to a job {other}, which is there")

    def _add(
        self,
        plan: Plan,
        envelopes: Sequence[Envelope],
        asking: str,
        lease: tuple[str, str],
    ) -> tuple[str, str]:
        now = self._clock.now()
        first = int(now.timestamp() * 1e6)
        noted = list(map(self._noted, envelopes))
        packed = [
            _packed(node, envelope, job_hash.time_text(now), first + place)
            for place, (node, envelope) in enumerate(
                zip(plan.nodes, noted, strict=True)
            )
        ]
        ends = named(plan.result)
        tasks = {node.id: node.message.task for node in plan.nodes}
        arguments: list[Value] = [
            plan.id,
            msgspec.msgpack.encode(packed),
            json.dumps(plan.result),
            json.dumps(ends),
            asking,
            lease[1],
            job_hash.time_text(now),
            sum(not node.undoes for node in plan.nodes),
            tasks[ends[0]] if ends else "",
            *(job_hash.payload(each.terms.task, each.arguments) for each in noted),
        ]
        try:
            told = self._scripts.add_nodes(self.client, [lease[0]], arguments)
        except RedisError as error:
            why = str(error).rstrip(".")
            raise EnqueueError(
                f"workflow {plan.id}: Redis did not confirm: {why}. All of it may be "
                "there all the same: send it again with the same workflow_id, and "
                f"there will be one. {way_out(why)}"
            ) from error
        return text(told[0]), text(told[1])

    # Asking

    @explained
    def page(self, kind: WorkflowKind, start: int, count: int) -> WorkflowPage:
        """Return a part of a list, newest first; those that are gone are left out.

        Raises:
            StoreError: Redis does not answer.
        """
        return page(self.client, kind, start, count)

    @explained
    def wait(self, workflow_id: str, timeout: float | None) -> JobStatus:
        """Return the status once it is final, or when the seconds are over.

        Raises:
            JobNotFoundError: there is no such workflow.
            StoreError: Redis does not answer.
        """
        until = None if timeout is None else self._clock.monotonic() + timeout
        look = FIRST_LOOK
        while True:
            written = self.client.hget(keys.workflow(workflow_id), "status")
            if written is None:
                raise _no_workflow(workflow_id)
            status = JobStatus(text(written))
            if status.is_final or (until and self._clock.monotonic() >= until):
                return status
            self._clock.sleep(look)
            look = min(look * 1.5, LONGEST_LOOK)

    @explained
    def info(self, workflow_id: str) -> WorkflowInfo:
        """Return a snapshot.

        Raises:
            JobNotFoundError: there is no such workflow.
            StoreError: Redis does not answer.
        """
        pipeline = self.client.pipeline()
        pipeline.hgetall(keys.workflow(workflow_id))
        pipeline.hgetall(keys.workflow_nodes(workflow_id))
        pipeline.hgetall(keys.workflow_ends(workflow_id))
        found, written, ended = pipeline.execute()
        if not found:
            raise _no_workflow(workflow_id)
        records = {text(each): json.loads(node) for each, node in written.items()}
        ids = sorted(records, key=lambda job_id: records[job_id]["place"])
        fields = Fields.of(found)
        status = JobStatus(fields.text("status"))
        in_order = {job_id: records[job_id] for job_id in ids}
        known, grown = self._nodes(in_order, Fields.of(ended), status)
        return WorkflowInfo(
            id=workflow_id,
            status=status,
            has_ended=bool(fields.text("ended_at")),
            failed_by=fields.text("failed_by"),
            nodes=known,
            result=_expanded(json.loads(fields.text("result")), grown),
            created_at=fields.moment("created_at"),
            ended_at=fields.moment("ended_at"),
        )

    def _nodes(
        self, records: Mapping[str, dict[str, Any]], ends: Fields, flow: JobStatus
    ) -> tuple[dict[str, NodeInfo], dict[str, object]]:
        """Return the nodes, and what those stand for that have asked for others."""
        children: dict[str, list[str]] = {job_id: [] for job_id in records}
        for job_id, record in records.items():
            for parent in record["parents"]:
                children.setdefault(parent, []).append(job_id)
        known: dict[str, NodeInfo] = {}
        grown: dict[str, object] = {}
        for job in nodes(self.client, list(records)):
            record, is_there = records[job.id], bool(job.fields.text("status"))
            if became := job.fields.raw("headway_became"):
                grown[job.id] = json.loads(became)
            status, error = job.status, ""
            if record.get("undoes") and (status == JobStatus.DEFERRED or not is_there):
                continue  # nothing is to be undone so far
            if not is_there:
                status, error = of_gone_job(ends.text(job.id), flow)
            elif has_failed(status):
                error = last_line(job)
            known[job.id] = NodeInfo(
                id=job.id,
                task=record["task"],
                status=status,
                parents=tuple(record["parents"]),
                children=tuple(children[job.id]),
                undoes=record.get("undoes", ""),
                error=error,
                attempt=job.attempt,
            )
        return known, grown

    @explained
    def results(self, workflow_id: str, ids: Sequence[str]) -> list[object]:
        """Return what nodes have returned, or a `Failure` of each.

        Raises:
            ArgumentError: a result is not there, or not any more.
            StoreError: Redis does not answer.
        """
        return results(self.client, workflow_id, ids)

    # Acting

    @explained
    def cancel(self, workflow_id: str) -> bool:
        """Keep from running what has not begun, and stop what has; tell whether any.

        Raises:
            JobNotFoundError: there is no such workflow.
            StoreError: Redis does not answer.
        """
        answer = self._scripts.cancel_workflow(self.client, [], [workflow_id])
        status, *running = map(text, answer)
        if not status:
            raise _no_workflow(workflow_id)
        for job_id in running:
            self._cancel_job(job_id)
        return status == JobStatus.STARTED

    @explained
    def retry(self, workflow_id: str) -> None:
        """Run again what has failed, was canceled or was undone, and what is behind.

        Raises:
            JobNotFoundError: there is no such workflow.
            JobStateError: nothing of it can be run again; says why.
            StoreError: Redis does not answer.
        """
        metas = nodes_without_expiry(self.client, workflow_id)
        arguments = [workflow_id, *metas]
        answer = text(self._scripts.retry_workflow(self.client, [], arguments))
        if not answer:
            raise _no_workflow(workflow_id)
        if answer != "done":
            raise not_to_be_retried(workflow_id, answer)


def _packed(node: Node, envelope: Envelope, now: str, place: int) -> list[object]:
    """Return a node as `add_nodes.lua` takes it."""
    terms = replace(envelope.terms, due=None)
    fields: dict[str, object] = {
        **job_hash.standing(terms),
        "status": JobStatus.DEFERRED.value,
        "created_at": now,
        "description": envelope.description.encode(errors="replace").decode(),
        "meta": job_hash.meta(terms, None),
        # Kept until the workflow has ended: another node may need the result.
        "result_ttl": -1,
        "headway_workflow": terms.workflow,
    }
    if node.parents:
        fields["dependency_id"] = node.parents[0]  # as RQ writes them
        fields["dependency_ids"] = json.dumps(node.parents)
    words = [word for pair in fields.items() for word in pair]
    record = json.dumps(_record(node, envelope, place))
    return [node.id, record, node.parents, bool(node.undoes), words]


def _record(node: Node, envelope: Envelope, place: int) -> dict[str, object]:
    terms, options = envelope.terms, node.message.options
    ttl, at = terms.result_ttl, options.get("at")
    delay = options.get("delay", timedelta(0))
    record: dict[str, object] = {
        "task": terms.task,
        "queue": terms.queue,
        "parents": node.parents,
        "place": str(place),  # Lua's JSON has 14 digits for a number
        "keep": KEPT if ttl is None else max(1, job_hash.whole_seconds(ttl)),
        "continues": node.on_failure == "continue",
        "undo": node.undo,
        "undoes": node.undoes,
        "line": node.line,
        "leaves": node.leaves,
        "limit": node.limit,
        "front": terms.at_front,
        "due": at.timestamp() if at else 0,
        "delay": delay.total_seconds(),
    }
    # What is missing is nothing in Lua, where 0 and "" are something.
    return {name: value for name, value in record.items() if value or name == "parents"}


def _expanded(value: object, grown: Mapping[str, object]) -> object:
    def fill(job_id: str) -> object:
        if job_id in grown:
            return _expanded(grown[job_id], grown)
        return reference_to(job_id)

    return resolved(value, fill)


def _no_workflow(workflow_id: str) -> JobNotFoundError:
    return JobNotFoundError(
        f"no workflow {workflow_id}: it never was, or the time to live of its results "
        "is over (`result_ttl`, 500 s unless said otherwise)"
    )
