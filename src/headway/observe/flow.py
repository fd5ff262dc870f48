"""What a job has to do with the workflow that it is a node of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from redis import Redis
from redis.exceptions import ResponseError

from headway.job import JobStatus
from headway.options import JOB_ID
from headway.reference import Words, in_words, named
from headway.wire import job_hash, keys
from headway.wire.reading import pretty, read_json, text
from headway.wire.stored_job import StoredJob

#: What is read of a job for whose result another has waited.
GIVEN_FIELDS = ("description", "status", "headway_became", "exc_info")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The result of a job that stands for it in the arguments of another."""

    id: str
    #: The dotted name of its task; empty where the job is gone.
    task: str
    #: What it returned, as a person reads it; empty where `unread` says why not.
    text: str = ""
    unread: str = ""


def given(stored: StoredJob) -> Given:
    """Return what a job has returned, or why there is nothing."""
    status = stored.fields.text("status")
    task = stored.fields.text("description").partition("(")[0]
    if grown := read_json(stored.fields.raw("headway_became")):
        return Given(id=stored.id, task=task, text=spelled(grown.value, {}))
    if status == JobStatus.FINISHED and (result := stored.result):
        what, why = result.text, result.unread
        return Given(id=stored.id, task=task, text=what, unread=why)
    return Given(id=stored.id, task=task, unread=_missing(stored, status))


def _missing(stored: StoredJob, status: str) -> str:
    if status in ("", JobStatus.FINISHED):
        return "not kept any more"
    if not stored.status.is_final:
        return f"not there yet: the job is {status}"
    reason = stored.error.strip().rpartition("\n")[2]
    return f"none: the job is {status}" + (f" ({reason})" if reason else "")


def waited_for(*values: object) -> list[str]:
    """Return the ids of the jobs whose results stand in values."""
    try:
        return named(values)
    except RecursionError:  # a stranger's nest of lists
        return []


def spelled(value: object, tasks: Mapping[str, str]) -> str:
    """Return an argument as a person reads it, with its references in words."""
    try:
        words = in_words(value, tasks)
    except RecursionError:
        return pretty(value)
    return str(words) if isinstance(words, Words) else pretty(words)


def is_workflow(redis: Redis, an_id: str) -> bool:
    """Tell whether an id is that of a workflow, and of no job."""
    if not JOB_ID.fullmatch(an_id) or redis.exists(keys.job(an_id)):
        return False
    return bool(redis.exists(keys.workflow(an_id)))


def ends_workflow(redis: Redis, job_id: str) -> bool:
    """Tell whether the workflow of a job ends with it, should it not finish."""
    try:
        flow = text(redis.hget(keys.job(job_id), "headway_workflow"))
        if not flow:
            return False
        status = text(redis.hget(keys.workflow(flow), "status"))
        record = redis.hget(keys.workflow_nodes(flow), job_id)
    except ResponseError:
        return False  # a key of a wrong type
    node = job_hash.json_object(record)
    goes_on = not node or node.get("continues") or node.get("undoes")
    return status == JobStatus.STARTED and not goes_on


def failed_alone(redis: Redis, ids: Sequence[str]) -> list[str]:
    """Return those that failed, and that nobody has stopped.

    RQ lists both together. One that failed in a workflow that was canceled is left out
    as well: to run it again is to run that workflow.
    """
    pipeline = redis.pipeline(transaction=False)
    for job_id in ids:
        pipeline.hmget(keys.job(job_id), ["status", "headway_workflow"])
    answers = pipeline.execute(raise_on_error=False)
    found = [
        [text(each) for each in answer] if isinstance(answer, list) else ["", ""]
        for answer in answers
    ]
    for _, flow in found:
        pipeline.hget(keys.workflow(flow), "status")
    of_flows = map(text, pipeline.execute(raise_on_error=False))
    return [
        job_id
        for job_id, (status, _), flow in zip(ids, found, of_flows, strict=True)
        if status not in (JobStatus.STOPPED, JobStatus.CANCELED)
        and flow != JobStatus.CANCELED
    ]
