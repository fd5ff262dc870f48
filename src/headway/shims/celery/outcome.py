"""A snapshot of a job, as Celery's states and exceptions."""

from __future__ import annotations

import re
from typing import Any

from headway.job import JobInfo, JobStatus
from headway.shims.celery import plain, states
from headway.shims.celery.exceptions import (
    TaskRevokedError,
    TimeLimitExceeded,
    WorkerLostError,
    rebuilt,
)

#: The key of what a run says of itself, among what a job keeps.
NOTE = "celery"
#: What is said of a node that was canceled, and of which job's failure that is.
_BLAMED = re.compile(r"canceled with its workflow: .* \(job ([\w-]+)\) is ")
_EXPIRED = "headway.errors.JobExpiredError"
#: Errors of Headway's, as Celery has them.
_OURS: dict[str, type[Exception]] = {
    "headway.errors.TaskTimeoutError": TimeLimitExceeded,
    "headway.errors.JobCrashedError": WorkerLostError,
    "headway.errors.JobBrokenOffError": WorkerLostError,
    "headway.errors.JobKilledError": WorkerLostError,
}


def state_of(info: JobInfo | None) -> str:
    """Return the state: what is not known is taken to be pending, as in Celery."""
    if info is None:
        return states.PENDING
    state, note = states.STATE_OF[info.status], _note(info)
    if state == states.PENDING and info.attempt:
        return states.RETRY
    if state == states.STARTED or note.get("ignored"):
        return str(note.get("state") or state)
    if state == states.FAILURE and _last_line(info)[0] == _EXPIRED:
        return states.REVOKED
    return state


def value_of(info: JobInfo) -> Any:
    """Return what a job has returned or raised, or what it says of itself so far."""
    state = state_of(info)
    if state == states.SUCCESS:
        return plain.read(info.result)
    if state in states.PROPAGATE_STATES and not _note(info).get("ignored"):
        return _exception(info)
    return plain.read(_note(info).get("meta"))


def blamed(info: JobInfo) -> str | None:
    """Return the id of the job for whose failure this one was canceled."""
    is_canceled = info.status is JobStatus.CANCELED
    found = _BLAMED.match(info.error or "") if is_canceled else None
    return found and found[1]


def _note(info: JobInfo) -> dict[str, Any]:
    """Return what the last run has said; earlier ones do not count any more."""
    kept = info.checkpoint
    note: Any = kept.get(NOTE, {}) if isinstance(kept, dict) else {}
    return note if note.get("attempt") == info.attempt else {}


def _exception(info: JobInfo) -> Exception:
    name, text = _last_line(info)
    if info.status is not JobStatus.FAILED:
        return TaskRevokedError("terminated" if info.started_at else "revoked")
    if name == _EXPIRED:
        return TaskRevokedError("expired")
    if "error" in (note := _note(info)):
        kind, module, args = note["error"]
        return rebuilt(kind, module, plain.read(args))
    if name in _OURS:
        return _OURS[name](text)
    module, _, kind = name.rpartition(".")
    return rebuilt(kind, module or "builtins", [text] if text else [])


def _last_line(info: JobInfo) -> tuple[str, str]:
    """Return the name of what a job has raised, and its text."""
    line = (info.error or "").strip().rsplit("\n", 1)[-1]
    name, _, text = line.partition(": ")
    return name, text
