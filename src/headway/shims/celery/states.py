"""The states of Celery, and which of them a job of ours is in."""

from __future__ import annotations

from headway.job import JobStatus

PENDING = "PENDING"
RECEIVED = "RECEIVED"
STARTED = "STARTED"
SUCCESS = "SUCCESS"
FAILURE = "FAILURE"
REVOKED = "REVOKED"
REJECTED = "REJECTED"
RETRY = "RETRY"
IGNORED = "IGNORED"

READY_STATES = frozenset({SUCCESS, FAILURE, REVOKED})
UNREADY_STATES = frozenset({PENDING, RECEIVED, STARTED, REJECTED, RETRY})
EXCEPTION_STATES = frozenset({RETRY, FAILURE, REVOKED})
PROPAGATE_STATES = frozenset({FAILURE, REVOKED})
ALL_STATES = READY_STATES | UNREADY_STATES

#: A job that waits once it has run is one that is retried.
STATE_OF = {
    JobStatus.QUEUED: PENDING,
    JobStatus.SCHEDULED: PENDING,
    JobStatus.DEFERRED: PENDING,
    JobStatus.STARTED: STARTED,
    JobStatus.FINISHED: SUCCESS,
    JobStatus.FAILED: FAILURE,
    JobStatus.CANCELED: REVOKED,
    JobStatus.STOPPED: REVOKED,
}
