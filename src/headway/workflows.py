"""A workflow: `Workflow` asks, `WorkflowInfo` is what was answered, a store keeps.

Each node is a job like any other. What lets it go is the end of those it waits for, in
the same step that writes that end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, Literal, Protocol, TypeVar

from headway.errors import (
    ArgumentError,
    ConfigurationError,
    DuplicateJobError,
    JobFailedError,
    JobNotFoundError,
    JobStateError,
    ResultTimeoutError,
)
from headway.job import Job, JobStatus, Progress, in_seconds, waited
from headway.message import Envelope, Message
from headway.options import OnFailure
from headway.reference import Failure, named, resolved

R_co = TypeVar("R_co", covariant=True)

#: What a list of workflows is of; "failed" has those that were canceled, too.
WorkflowKind = Literal["open", "failed", "finished"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A message at its place in a workflow, its references filled with ids."""

    id: str
    message: Message[Any]
    parents: tuple[str, ...] = ()
    on_failure: OnFailure = "fail_fast"
    #: The node that undoes this one, and the one that this undoes; empty for none.
    undo: str = ""
    undoes: str = ""
    #: The line it stands in for its place in a bounded group; empty for none.
    line: str = ""
    #: The line in which its end lets another go.
    leaves: str = ""
    #: How many places that line's group has.
    limit: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Nodes that are sent together, and what they return together."""

    id: str
    nodes: tuple[Node, ...]
    #: In JSON's own types, with references by id.
    result: object


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeInfo:
    """What was known of a node at one moment."""

    id: str
    task: str
    status: JobStatus
    parents: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    #: The node that it undoes; empty for none.
    undoes: str = ""
    #: The last line of why it has no result.
    error: str = ""
    #: The attempt that runs or ran last, counted from 1; 0 before the first.
    attempt: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowInfo:
    """What was known of a workflow at one moment."""

    id: str
    #: Started, finished, failed or canceled.
    status: JobStatus
    #: Whether all of it is over, compensations too.
    has_ended: bool
    #: The node for which it has failed; empty for none.
    failed_by: str
    #: In the order in which they were written down, by id.
    nodes: Mapping[str, NodeInfo]
    #: What it returns, in JSON's own types with references by id.
    result: object = field(repr=False)
    created_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def progress(self) -> Progress:
        """Return how many of its nodes have ended."""
        counted = [node for node in self.nodes.values() if not node.undoes]
        done = sum(node.status.is_final for node in counted)
        return Progress(done=done, total=len(counted))

    def walk(self) -> Iterator[tuple[int, NodeInfo]]:
        """Yield the nodes with their depth, as a tree is drawn; compensations last."""
        undoing = [node for node in self.nodes.values() if node.undoes]
        roots = [
            (0, node)
            for node in self.nodes.values()
            if not node.parents and not node.undoes
        ]
        left, shown = roots[::-1], set[str]()
        while left:
            depth, node = left.pop()
            # A node of several parents stands below the last of them.
            if node.id in shown or not shown.issuperset(node.parents):
                continue
            shown.add(node.id)
            yield depth, node
            left += [(depth + 1, self.nodes[each]) for each in node.children[::-1]]
        yield from ((0, node) for node in undoing)

    def __str__(self) -> str:
        lines = [f"workflow {self.id}: {self.status}"]
        for depth, node in self.walk():
            what = f"{node.task} {node.status} ({node.id})"
            undoes = f", undoes {node.undoes}" if node.undoes else ""
            lines.append(f"{'  ' * (depth + 1)}{what}{undoes}{_why(node)}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowLine:
    """A workflow as one line of a list."""

    id: str
    status: JobStatus
    #: The task from which it returns; of several the first.
    task: str
    progress: Progress
    created_at: datetime | None = None
    ended_at: datetime | None = None
    #: The node for which it has failed.
    failed: NodeInfo | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowPage:
    """Some lines of a list of workflows."""

    #: How long the list is; it may name some that are gone.
    total: int
    lines: tuple[WorkflowLine, ...]


class WorkflowStore(Protocol):
    """What an engine's store does for workflows."""

    def send(self, plan: Plan, envelopes: Sequence[Envelope]) -> bool:
        """Write a workflow, all of it or nothing; tell whether it was not there.

        One that is there already is left as it is.

        Raises:
            DuplicateJobError: a job is in the way.
            EnqueueError: the store did not confirm; says whether it may have.
        """
        ...

    def grow(
        self,
        plan: Plan,
        envelopes: Sequence[Envelope],
        node: str,
        lease: tuple[str, str],
    ) -> None:
        """Write more nodes, once, in the place of what a running node returns.

        Raises:
            EnqueueError: the store did not confirm; says whether it may have.
            LeaseLostError: another worker has the node now.
        """
        ...

    def info(self, workflow_id: str) -> WorkflowInfo:
        """Return a snapshot.

        Raises:
            JobNotFoundError: there is no such workflow.
        """
        ...

    def page(self, kind: WorkflowKind, start: int, count: int) -> WorkflowPage:
        """Return a part of a list, newest first; those that are gone are left out."""
        ...

    def wait(self, workflow_id: str, timeout: float | None) -> JobStatus:
        """Return the status once it is final, or when the seconds are over.

        Raises:
            JobNotFoundError: there is no such workflow.
        """
        ...

    def results(self, workflow_id: str, ids: Sequence[str]) -> list[object]:
        """Return what nodes have returned in JSON's own types, or a `Failure` of each.

        Of a node that has asked for others it is what they return.

        Raises:
            ArgumentError: a result is not there, or not any more.
        """
        ...

    def cancel(self, workflow_id: str) -> bool:
        """Keep from running what has not begun, and stop what has; tell whether any.

        Raises:
            JobNotFoundError: there is no such workflow.
        """
        ...

    def retry(self, workflow_id: str) -> None:
        """Run again what has failed, was canceled or was undone, and what is behind.

        Raises:
            JobNotFoundError: there is no such workflow.
            JobStateError: nothing of it can be run again; says why.
        """
        ...


@dataclass(frozen=True, slots=True)
class Workflow(Generic[R_co]):
    """A workflow's id, and where to ask about it."""

    id: str
    store: WorkflowStore = field(repr=False, compare=False)
    #: Returns the handle of a job by its id.
    job_of: Callable[[str], Job[Any]] = field(repr=False, compare=False)
    #: Turns the stored result of a task into what it is annotated to return.
    read_result: Callable[[str, object], Any] = field(repr=False, compare=False)
    #: True when the call met a workflow of this id, which this handle is of.
    duplicate: bool = field(default=False, compare=False)

    @property
    def status(self) -> JobStatus:
        """Ask for the status: started, finished, failed or canceled.

        Raises:
            JobNotFoundError: the workflow is gone.
        """
        return self.store.wait(self.id, 0)

    @property
    def progress(self) -> Progress:
        """Ask how many of its nodes have ended.

        Raises:
            JobNotFoundError: the workflow is gone.
        """
        return self.tree().progress

    def tree(self) -> WorkflowInfo:
        """Ask for all there is to know, at one moment; as text it is drawn as a tree.

        Raises:
            JobNotFoundError: the workflow is gone.
        """
        return self.store.info(self.id)

    def job(self, node: str | NodeInfo) -> Job[Any]:
        """Return the handle of a node, by its id.

        Raises:
            ConfigurationError: it is neither a node nor an id.
        """
        given: object = node
        if not isinstance(given, str | NodeInfo):
            raise ConfigurationError(
                f"job({given!r:.80}): expected the id of a node, or a NodeInfo"
            )
        return self.job_of(node if isinstance(node, str) else node.id)

    def result(self, timeout: float | timedelta | None = None) -> R_co:
        """Wait for the end, and return what the last message returned, or all of them.

        `timeout` is in seconds; None waits for as long as it takes. What a node that
        may fail has not returned is a `Failure`.

        Raises:
            ResultTimeoutError: it has not ended in that time.
            JobFailedError: it failed or was canceled; names the node.
            JobNotFoundError: it is gone, or the time to live of its result is over.
        """
        return self._opened(self.store.wait(self.id, in_seconds(timeout)))

    async def result_async(self, timeout: float | timedelta | None = None) -> R_co:
        """Do what `result` does, without holding the event loop or a thread.

        Raises:
            ResultTimeoutError: it has not ended in that time.
            JobFailedError: it failed or was canceled; names the node.
            JobNotFoundError: it is gone, or the time to live of its result is over.
        """
        status = await waited(
            lambda: self.store.wait(self.id, 0), lambda found: found.is_final, timeout
        )
        return await asyncio.to_thread(self._opened, status)

    def _opened(self, status: JobStatus) -> R_co:
        if not status.is_final:
            raise ResultTimeoutError(
                f"workflow {self.id} is {status} after the time that was given: "
                "`tree()` shows what it waits for"
            )
        tree = self.tree()
        if status is not JobStatus.FINISHED:
            raise JobFailedError(self._reason(tree), traceback=self._traceback(tree))
        ids = named(tree.result)
        try:
            stored = dict(zip(ids, self.store.results(self.id, ids), strict=True))
        except ArgumentError as error:
            raise JobNotFoundError(
                f"workflow {self.id} has finished, and {error}: its job was deleted, "
                "or its time to live is over (`result_ttl`, 500 s if nothing is said)"
            ) from error

        def read(job_id: str) -> object:
            value = stored[job_id]
            if isinstance(value, Failure):
                return value
            return self.read_result(tree.nodes[job_id].task, value)

        result: Any = resolved(tree.result, read)
        return result  # type: ignore[no-any-return]

    def cancel(self) -> bool:
        """Keep from running what has not begun, and stop what has.

        False when it had ended. What has finished and can be undone is undone.

        Raises:
            JobNotFoundError: the workflow is gone.
        """
        return self.store.cancel(self.id)

    def retry(self) -> None:
        """Run what has failed, was canceled or was undone again; the rest stays.

        What has finished behind a failure that it was given runs again as well.

        Raises:
            JobNotFoundError: the workflow is gone.
            JobStateError: nothing of it can be run again; says why.
        """
        self.store.retry(self.id)

    def _reason(self, tree: WorkflowInfo) -> str:
        if tree.failed_by not in tree.nodes:
            return f"workflow {self.id} was canceled"
        node = tree.nodes[tree.failed_by]
        ended = f"ended as {node.status}: {node.error or 'no reason was recorded'}"
        if node.status in (JobStatus.STOPPED, JobStatus.CANCELED) and not node.error:
            ended = f"was {node.status}"
        return f"workflow {self.id} failed: {node.task} (job {node.id}) {ended}"

    def _traceback(self, tree: WorkflowInfo) -> str:
        if tree.failed_by not in tree.nodes:
            return ""
        try:
            return self.job(tree.failed_by).info().error or ""
        except JobNotFoundError:  # it was deleted
            return ""


def _why(node: NodeInfo) -> str:
    return f": {node.error}" if node.error else ""


def of_gone_job(end: str, workflow: JobStatus) -> tuple[JobStatus, str]:
    """Return the status of a node whose job is gone, and the reason in words.

    `end` is how it ended, where that was noted: of those that have not finished.
    """
    if end == "deleted" or not (end or workflow is JobStatus.FINISHED):
        return JobStatus.FAILED, "its job was deleted"
    gone = "its job is gone: it was deleted, or its time to live is over"
    return JobStatus(end or JobStatus.FINISHED), gone


def in_the_way(workflow_id: str, job_id: str) -> DuplicateJobError:
    """Say why a workflow is not sent."""
    return DuplicateJobError(
        f"workflow {workflow_id}: there is a job {job_id} already; nothing was "
        "sent: give the message another job_id, or none"
    )


def not_to_be_retried(workflow_id: str, status: str) -> JobStateError:
    """Say why a workflow is not run again."""
    said = {
        "": "is not known any more, and a node is not run without it: send it anew",
        "started": "has not ended: retry it when it has",
        "finished": "has finished, and nothing of it has failed: send it anew",
        "gone": "has a node whose job is gone: send it anew",
        "grown": "has a node behind a failure that has fanned out: send it anew",
    }.get(status, f"is {status}, and some of it still runs: retry it when that is over")
    return JobStateError(f"workflow {workflow_id} {said}")
