"""What nodes of a workflow have returned, for those that were sent to wait for it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from headway.errors import ArgumentError
from headway.job import JobStatus
from headway.reference import Failure, named, resolved
from headway.wire import job_hash, keys
from headway.wire.reading import Fields, text
from headway.wire.stored_job import StoredJob, newest

if TYPE_CHECKING:
    from redis import Redis

_FIELDS = ("status", "headway_became", "exc_info", "meta")
_STATE = (*_FIELDS, "started_at", "number_of_retries")


def nodes(client: Redis, ids: Sequence[str]) -> list[StoredJob]:
    """Return the state of nodes, and how those that have failed ended.

    What the others have returned may be large, and is not read.
    """
    pipeline = client.pipeline(transaction=False)
    for job_id in ids:
        pipeline.hmget(keys.job(job_id), _STATE)
    found = [
        StoredJob(
            id=job_id,
            fields=Fields(dict(zip(_STATE, values, strict=True))),
            outcome=Fields({}),
        )
        for job_id, values in zip(ids, pipeline.execute(), strict=True)
    ]
    failed = [job.id for job in found if has_failed(job.status)]
    for job_id in failed:
        pipeline.xrevrange(keys.results(job_id), count=1)
    latest = dict(zip(failed, map(newest, pipeline.execute()), strict=True))
    return [replace(job, outcome=latest.get(job.id, job.outcome)) for job in found]


def has_failed(status: JobStatus) -> bool:
    """Tell whether a node has ended without a result."""
    return status.is_final and status is not JobStatus.FINISHED


def results(client: Redis, workflow_id: str, ids: Sequence[str]) -> list[object]:
    """Return the result of each node, or a `Failure` where it has none.

    Of a node that has asked for others it is what these return.

    Raises:
        ArgumentError: a result is not there, or not any more.
    """
    pipeline = client.pipeline(transaction=False)
    for job_id in ids:
        pipeline.hmget(keys.job(job_id), _FIELDS)
        pipeline.xrevrange(keys.results(job_id), count=1)
        pipeline.hget(keys.workflow_nodes(workflow_id), job_id)
        pipeline.hget(keys.workflow_ends(workflow_id), job_id)
    answers = pipeline.execute()
    found: list[object] = []
    for place, job_id in enumerate(ids):
        values, latest, record, end = answers[4 * place : 4 * place + 4]
        fields = Fields(dict(zip(_FIELDS, values, strict=True)))
        if became := fields.raw("headway_became"):
            found.append(_grown(client, workflow_id, json.loads(became)))
        else:
            stored = StoredJob(id=job_id, fields=fields, outcome=newest(latest))
            task = text(job_hash.json_object(record).get("task"))
            found.append(_result(stored, task, text(end), is_there=bool(latest)))
    return found


def resolved_call(
    client: Redis,
    extras: job_hash.Extras,
    args: Sequence[object],
    kwargs: Mapping[str, object],
) -> tuple[Sequence[object], Mapping[str, object], list[str]]:
    """Return the arguments of a node with the results in them, and whose these are.

    Raises:
        ArgumentError: a result is not there, or not any more.
    """
    workflow_id = extras.get("workflow")
    ids = named([args, kwargs]) if workflow_id else []
    if not workflow_id or not ids:
        return args, kwargs, []
    found = dict(zip(ids, results(client, workflow_id, ids), strict=True))

    def fill(job_id: str) -> object:
        value = found[job_id]
        return asdict(value) if isinstance(value, Failure) else value

    filled = [resolved(each, fill) for each in args]
    by_name = {name: resolved(each, fill) for name, each in kwargs.items()}
    return filled, by_name, ids


def _grown(client: Redis, workflow_id: str, became: object) -> object:
    ids = named(became)
    found = dict(zip(ids, results(client, workflow_id, ids), strict=True))
    return resolved(became, found.__getitem__)


def _result(stored: StoredJob, task: str, end: str, *, is_there: bool) -> object:
    written = stored.fields.text("status")
    if written == JobStatus.FINISHED and is_there:
        return stored.result.value
    # Of a job that is gone its workflow knows how it ended, unless it has finished.
    status = written or end or JobStatus.FINISHED
    if status == JobStatus.FINISHED or not stored.status.is_final:
        state = "gone" if status == JobStatus.FINISHED else f"not there: it is {status}"
        raise ArgumentError(f"the result of job {stored.id} ({task}) is {state}")
    error = last_line(stored)
    return Failure(job_id=stored.id, task=task, status=status, error=error)


def last_line(stored: StoredJob) -> str:
    """Return the end of what is known of why a job has no result."""
    if stored.status is JobStatus.STOPPED:
        return ""  # RQ's own words say no more than the status does
    return stored.error.strip().rpartition("\n")[2]
