"""Workflows in this process: what the scripts do in Redis, said in Python."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from headway.clock import Clock
from headway.errors import ArgumentError, JobNotFoundError
from headway.job import JobInfo, JobStatus
from headway.message import Envelope
from headway.reference import Failure, named, reference_to, resolved
from headway.workflows import (
    Node,
    NodeInfo,
    Plan,
    WorkflowInfo,
    WorkflowKind,
    WorkflowLine,
    WorkflowPage,
    in_the_way,
    not_to_be_retried,
    of_gone_job,
)

_WAITS = (JobStatus.QUEUED, JobStatus.SCHEDULED, JobStatus.DEFERRED)


class Jobs(Protocol):
    """What the memory engine does for nodes."""

    def find(self, job_id: str) -> JobInfo | None:
        """Return a snapshot, or None where there is no such job."""
        ...

    def defer(self, job_id: str, envelope: Envelope | None = None) -> None:
        """Keep a new job, or one that has ended, that waits for others."""
        ...

    def let_go(self, job_id: str, node: Node) -> None:
        """Have a deferred job run when it is due."""
        ...

    def drop(self, job_id: str, reason: str) -> None:
        """Cancel a job that has not begun."""
        ...

    def sent(self) -> None:
        """Run what is due where jobs run in the very call that sends them."""
        ...

    def until(self, holds: Callable[[], bool], timeout: float | None) -> None:
        """Return when it is so, or when the seconds are over."""
        ...


@dataclass(slots=True, kw_only=True)
class _Flow:
    result: object
    status: JobStatus = JobStatus.STARTED
    failed_by: str = ""
    created_at: datetime
    ended_at: datetime | None = None
    nodes: dict[str, Node] = field(default_factory=dict[str, Node])
    open: set[str] = field(default_factory=set[str])
    waits: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    lines: dict[str, deque[str]] = field(default_factory=dict[str, deque[str]])
    #: Compensations that are to be sent, the next one first; those never sent so far.
    undo: deque[str] = field(default_factory=deque[str])
    armed: set[str] = field(default_factory=set[str])
    #: How those nodes ended that did not finish.
    ends: dict[str, str] = field(default_factory=dict[str, str])
    undoing: str = ""
    #: What those stand for that have asked for others.
    became: dict[str, object] = field(default_factory=dict[str, object])

    @property
    def is_open(self) -> bool:
        return self.status is JobStatus.STARTED

    @property
    def has_ended(self) -> bool:
        return self.ended_at is not None

    @property
    def kind(self) -> WorkflowKind:
        """Return the list in which it is."""
        if not self.has_ended:
            return "open"
        return "finished" if self.status is JobStatus.FINISHED else "failed"

    def pass_on(self, other: str, met: str) -> bool:
        """Note that one of those it waits for is over; tell whether it was the last."""
        waits = self.waits.get(other, set())
        if met not in waits:
            return False
        waits.remove(met)
        return not waits


class MemoryWorkflows:
    """The workflows of a memory engine: a `WorkflowStore`."""

    def __init__(self, jobs: Jobs, lock: threading.Condition, clock: Clock) -> None:
        self._jobs = jobs
        self._lock = lock
        self._clock = clock
        self._flows: dict[str, _Flow] = {}

    def _flow(self, workflow_id: str) -> _Flow:
        try:
            return self._flows[workflow_id]
        except KeyError:
            raise JobNotFoundError(
                f"no workflow {workflow_id} in the memory engine"
            ) from None

    # Sending

    def send(self, plan: Plan, envelopes: Sequence[Envelope]) -> bool:
        """Keep a workflow, all of it or nothing; tell whether it was not there."""
        with self._lock:
            if plan.id in self._flows:
                return False
            if there := [each.id for each in envelopes if self._jobs.find(each.id)]:
                raise in_the_way(plan.id, there[0])
            flow = _Flow(result=plan.result, created_at=self._clock.now())
            self._flows[plan.id] = flow
            self._write(flow, plan.nodes, envelopes)
        self._jobs.sent()
        return True

    def grow(
        self,
        plan: Plan,
        envelopes: Sequence[Envelope],
        node: str,
        lease: tuple[str, str],  # noqa: ARG002 - nobody else can have the job here
    ) -> None:
        """Keep more nodes, once, in the place of what a running node returns."""
        flow, nodes, ends = self._flows[plan.id], list(plan.nodes), named(plan.result)
        if node in flow.became or not flow.is_open:
            return
        for other in [each for each in flow.nodes.values() if node in each.parents]:
            flow.nodes[other.id] = replace(other, parents=(*other.parents, *ends))
            flow.waits[other.id].update(ends)
        if (line := flow.nodes[node].leaves) and len(ends) == 1:
            place = [each.id for each in nodes].index(ends[0])
            nodes[place] = replace(nodes[place], leaves=line)
            flow.nodes[node] = replace(flow.nodes[node], leaves="")
        flow.became[node] = plan.result
        with self._lock:
            self._write(flow, nodes, envelopes)

    def _write(
        self, flow: _Flow, nodes: Sequence[Node], envelopes: Sequence[Envelope]
    ) -> None:
        for node, envelope in zip(nodes, envelopes, strict=True):
            flow.nodes[node.id] = node
            self._jobs.defer(node.id, envelope)
            if node.undoes:
                flow.armed.add(node.id)
                continue
            flow.open.add(node.id)
            flow.waits[node.id] = set(node.parents)
            if node.line:
                flow.waits[node.id].add(f"#{node.line}")
                flow.lines.setdefault(node.line, deque()).append(node.id)
            if not flow.waits[node.id]:
                self._jobs.let_go(node.id, node)

    # At the end of a node

    def settle(self, workflow_id: str, job_id: str) -> None:
        """Say that a job has ended, or was deleted; a second time does nothing."""
        flow = self._flows.get(workflow_id)
        if flow is None or job_id not in flow.open:
            return
        flow.open.remove(job_id)
        node, status = flow.nodes[job_id], self._status(job_id)
        went_well, goes_on = status == JobStatus.FINISHED, flow.is_open
        continues = node.on_failure == "continue"
        if node.undoes:
            flow.undoing = "" if flow.undoing == job_id else flow.undoing
        else:
            if not went_well:
                flow.ends[job_id] = status
            if node.undo and status != JobStatus.CANCELED:
                alone = goes_on and not went_well and continues
                if not (alone and self._undo(flow, node.undo)):
                    flow.undo.appendleft(node.undo)
            if goes_on and (went_well or continues):
                self._let_dependents_go(flow, node)
            elif goes_on:
                flow.status, flow.failed_by = JobStatus.FAILED, job_id
                why = f"canceled with its workflow: {node.message.task}"
                self._cancel_waiting(flow, f"{why} (job {job_id}) is {status}")
        self._undo_next(flow)
        self._close(flow)

    def _status(self, job_id: str) -> str:
        info = self._jobs.find(job_id)
        return info.status if info else "deleted"

    def _let_dependents_go(self, flow: _Flow, node: Node) -> None:
        met = [name for name in flow.nodes if flow.pass_on(name, node.id)]
        stood_in_line = node.id in flow.lines.get(node.line, ())
        if stood_in_line:  # and was canceled there: it has no place to leave
            flow.lines[node.line].remove(node.id)
        has_place = not stood_in_line or node.line != node.leaves
        if has_place and (line := flow.lines.get(node.leaves)):
            name = line.popleft()
            met += [name] if flow.pass_on(name, f"#{node.leaves}") else []
        for name in met:
            if self._status(name) == JobStatus.DEFERRED:
                self._jobs.let_go(name, flow.nodes[name])

    def _cancel_waiting(self, flow: _Flow, why: str) -> None:
        for job_id in sorted(flow.open):
            if self._status(job_id) in _WAITS and not flow.nodes[job_id].undoes:
                self._jobs.drop(job_id, why)
                flow.open.remove(job_id)
        flow.lines.clear()

    def _undo(self, flow: _Flow, job_id: str) -> bool:
        if job_id not in flow.armed or self._status(job_id) != JobStatus.DEFERRED:
            return False
        flow.armed.remove(job_id)
        flow.open.add(job_id)
        self._jobs.let_go(job_id, flow.nodes[job_id])
        return True

    def _undo_next(self, flow: _Flow) -> None:
        while not flow.is_open and not flow.undoing and flow.undo:
            job_id = flow.undo.popleft()
            flow.undoing = job_id if self._undo(flow, job_id) else ""

    def _close(self, flow: _Flow) -> None:
        if not flow.open and not flow.has_ended:
            flow.ended_at = self._clock.now()
            if flow.is_open:
                flow.status = JobStatus.FINISHED

    # Asking

    def page(self, kind: WorkflowKind, start: int, count: int) -> WorkflowPage:
        """Return a part of a list, those first that were sent last."""
        ids = [name for name, flow in self._flows.items() if flow.kind == kind][::-1]
        lines = tuple(map(self._line, ids[start : start + count]))
        return WorkflowPage(total=len(ids), lines=lines)

    def _line(self, workflow_id: str) -> WorkflowLine:
        info, flow = self.info(workflow_id), self._flows[workflow_id]
        ends = named(flow.result)
        return WorkflowLine(
            id=workflow_id,
            status=info.status,
            task=flow.nodes[ends[0]].message.task if ends else "",
            progress=info.progress,
            created_at=info.created_at,
            ended_at=info.ended_at,
            failed=info.nodes.get(info.failed_by),
        )

    def wait(self, workflow_id: str, timeout: float | None) -> JobStatus:
        """Return the status once it is final, or when the seconds are over."""
        flow = self._flow(workflow_id)
        self._jobs.until(lambda: flow.status.is_final, timeout)
        return flow.status

    def info(self, workflow_id: str) -> WorkflowInfo:
        """Return a snapshot."""
        flow = self._flow(workflow_id)
        shown = {
            name: node
            for name, node in flow.nodes.items()
            if name not in flow.armed and (self._jobs.find(name) or not node.undoes)
        }
        return WorkflowInfo(
            id=workflow_id,
            status=flow.status,
            has_ended=flow.has_ended,
            failed_by=flow.failed_by,
            nodes={name: self._node(flow, node) for name, node in shown.items()},
            result=resolved(flow.result, lambda name: _expanded(flow, name)),
            created_at=flow.created_at,
            ended_at=flow.ended_at,
        )

    def _node(self, flow: _Flow, node: Node) -> NodeInfo:
        info = self._jobs.find(node.id)
        children = [name for name, one in flow.nodes.items() if node.id in one.parents]
        gone = of_gone_job(flow.ends.get(node.id, ""), flow.status)
        status, error = (info.status, _last_line(info)) if info else gone
        return NodeInfo(
            id=node.id,
            task=node.message.task,
            status=status,
            parents=node.parents,
            children=tuple(children),
            undoes=node.undoes,
            error=error,
            attempt=info.attempt if info else 0,
        )

    def results(self, workflow_id: str, ids: Sequence[str]) -> list[object]:
        """Return what nodes have returned, or a `Failure` of each."""
        flow = self._flow(workflow_id)
        return [self._result(flow, job_id) for job_id in ids]

    def _result(self, flow: _Flow, job_id: str) -> object:
        if job_id in flow.became:
            return resolved(flow.became[job_id], lambda each: self._result(flow, each))
        info, task = self._jobs.find(job_id), flow.nodes[job_id].message.task
        if info and info.status is JobStatus.FINISHED:
            return info.result
        if info and not info.status.is_final:
            state = f"not there: it is {info.status}"
            raise ArgumentError(f"the result of job {job_id} ({task}) is {state}")
        if not info and job_id not in flow.ends:
            raise ArgumentError(f"the result of job {job_id} ({task}) is gone")
        status = info.status if info else flow.ends[job_id]
        return Failure(job_id=job_id, task=task, status=status, error=_last_line(info))

    def resolved_call(
        self, workflow_id: str, args: Sequence[object], kwargs: Mapping[str, object]
    ) -> tuple[tuple[object, ...], Mapping[str, object], list[str]]:
        """Return the arguments of a node with the results in them, and whose."""
        flow = self._flow(workflow_id)

        def fill(job_id: str) -> object:
            value = self._result(flow, job_id)
            return asdict(value) if isinstance(value, Failure) else value

        filled: Any = resolved([list(args), dict(kwargs)], fill)
        return tuple(filled[0]), filled[1], named([args, kwargs])

    # Acting

    def cancel(self, workflow_id: str) -> bool:
        """Keep from running what has not begun; tell whether there was a need."""
        flow = self._flow(workflow_id)
        if not flow.is_open:
            return False
        with self._lock:
            flow.status = JobStatus.CANCELED
            self._cancel_waiting(flow, "canceled with its workflow")
            self._undo_next(flow)
            self._close(flow)
        return True

    def retry(self, workflow_id: str) -> None:
        """Run again what has failed, was canceled or was undone, and what is behind."""
        flow = self._flow(workflow_id)
        has_finished = flow.status is JobStatus.FINISHED and not flow.ends
        if has_finished or not flow.has_ended:
            raise not_to_be_retried(workflow_id, flow.status)
        if any(self._status(name) == "deleted" for name in flow.nodes):
            raise not_to_be_retried(workflow_id, "gone")
        again, behind = self._to_be_run_again(flow)
        grown = behind & flow.became.keys()
        if any(self._status(name) == JobStatus.FINISHED for name in grown):
            raise not_to_be_retried(workflow_id, "grown")
        with self._lock:
            self._reopen(flow, again)
        self._jobs.sent()

    def _to_be_run_again(self, flow: _Flow) -> tuple[dict[str, Node], set[str]]:
        """Return the nodes by id, and the ids of those that stand behind a failure."""
        nodes = {name: node for name, node in flow.nodes.items() if not node.undoes}
        failed = {name for name in nodes if self._status(name) != JobStatus.FINISHED}
        behind, latest = set[str](), failed
        while latest:
            met = {name for name in nodes if latest.intersection(nodes[name].parents)}
            behind, latest = behind | met, met - behind
        again = {
            name: node
            for name, node in nodes.items()
            if name in failed | behind or (node.undo and node.undo not in flow.armed)
        }
        return again, behind

    def _reopen(self, flow: _Flow, again: Mapping[str, Node]) -> None:
        flow.status, flow.failed_by, flow.ended_at = JobStatus.STARTED, "", None
        flow.ends.clear()
        for name, node in again.items():
            for each in filter(None, (name, node.undo)):
                self._jobs.defer(each)
            flow.armed.update(filter(None, [node.undo]))
            flow.open.add(name)
            flow.waits[name] = set(again.keys() & set(node.parents))
        self._stand_in_line(flow, again)
        for name, node in again.items():
            if not flow.waits[name]:
                self._jobs.let_go(name, node)
        self._close(flow)

    def _stand_in_line(self, flow: _Flow, again: Mapping[str, Node]) -> None:
        entering: dict[str, list[Node]] = {}
        for node in again.values():
            if node.line:
                entering.setdefault(node.line, []).append(node)
        for line, nodes in entering.items():
            busy = sum(node.leaves == line for node in again.values()) - len(nodes)
            late = [node.id for node in nodes[max(0, nodes[0].limit - busy) :]]
            flow.lines[line] = deque(late)
            for name in late:
                flow.waits[name].add(f"#{line}")


def _expanded(flow: _Flow, job_id: str) -> object:
    if job_id not in flow.became:
        return reference_to(job_id)
    return resolved(flow.became[job_id], lambda each: _expanded(flow, each))


def _last_line(info: JobInfo | None) -> str:
    return (info.error or "").strip().rpartition("\n")[2] if info else ""
