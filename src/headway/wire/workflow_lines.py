"""Lists of workflows, a page of them at a time; of each its hash, and not its nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.job import JobStatus, Progress
from headway.wire import job_hash, keys
from headway.wire.node_results import last_line, nodes
from headway.wire.reading import Fields, text
from headway.wire.stored_job import StoredJob
from headway.workflows import (
    NodeInfo,
    WorkflowKind,
    WorkflowLine,
    WorkflowPage,
    of_gone_job,
)

if TYPE_CHECKING:
    from redis import Redis

_FIELDS = ("status", "task", "size", "created_at", "ended_at", "failed_by")


def page(client: Redis, kind: WorkflowKind, start: int, count: int) -> WorkflowPage:
    """Return a part of a list, newest first; those that are gone are left out."""
    pipeline = client.pipeline(transaction=False)
    pipeline.zcard(keys.listed_workflows(kind))
    pipeline.zrevrange(keys.listed_workflows(kind), start, start + count - 1)
    total, members = pipeline.execute()
    ids = list(map(text, members))
    for each in ids:
        pipeline.hmget(keys.workflow(each), _FIELDS)
        pipeline.scard(keys.workflow_open(each))
    answers = pipeline.execute()
    found = {
        each: (Fields(dict(zip(_FIELDS, values, strict=True))), left)
        for each, values, left in zip(ids, answers[::2], answers[1::2], strict=True)
    }
    there = [each for each in ids if found[each][0].text("status") in tuple(JobStatus)]
    failed_by = {each: found[each][0].text("failed_by") for each in there}
    failed = _failed(client, {key: node for key, node in failed_by.items() if node})
    lines = [_line(each, *found[each], failed.get(each)) for each in there]
    return WorkflowPage(total=total, lines=tuple(lines))


def _line(
    workflow_id: str, fields: Fields, left: int, failed: NodeInfo | None
) -> WorkflowLine:
    size = fields.integer("size") or 0
    return WorkflowLine(
        id=workflow_id,
        status=JobStatus(fields.text("status")),
        task=fields.text("task"),
        # A compensation that runs counts as one that is left.
        progress=Progress(done=max(size - left, 0), total=size),
        created_at=fields.moment("created_at"),
        ended_at=fields.moment("ended_at"),
        failed=failed,
    )


def _failed(client: Redis, by_workflow: dict[str, str]) -> dict[str, NodeInfo]:
    """Return the node for which each has failed."""
    pipeline = client.pipeline(transaction=False)
    for workflow_id, job_id in by_workflow.items():
        pipeline.hget(keys.workflow_nodes(workflow_id), job_id)
        pipeline.hget(keys.workflow_ends(workflow_id), job_id)
    answers = pipeline.execute()
    tasks = [text(job_hash.json_object(each).get("task")) for each in answers[::2]]
    jobs = nodes(client, list(by_workflow.values()))
    return {
        workflow_id: _node(task, job, text(end))
        for workflow_id, task, job, end in zip(
            by_workflow, tasks, jobs, answers[1::2], strict=True
        )
    }


def _node(task: str, job: StoredJob, end: str) -> NodeInfo:
    status, error = job.status, last_line(job)
    if not job.fields.text("status"):
        status, error = of_gone_job(end, JobStatus.FAILED)
    return NodeInfo(
        id=job.id, task=task, status=status, error=error, attempt=job.attempt
    )
