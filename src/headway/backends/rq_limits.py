"""Jobs under RQ's rate limits: only RQ's own code knows whom a free slot lets in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job
from rq.rate_limit import RateLimitRegistry
from rq.registry import CanceledJobRegistry, FailedJobRegistry
from rq.serializers import JSONSerializer

if TYPE_CHECKING:
    from redis import Redis

#: What waits in lists that are RQ's own affair.
KEPT_BY_RQ = ("created", "rate_limited", "ready_to_enqueue")


def cancel(client: Redis, job_id: str) -> bool:
    """Cancel a job that waits for a slot; False when it waits no more."""
    try:
        Job.fetch(job_id, client, JSONSerializer).cancel()
    except (InvalidJobOperation, NoSuchJobError):
        return False
    return True


def requeue(client: Redis, job_id: str) -> str:
    """Let an ended job wait for a slot again; return "done", or its status."""
    try:
        job = Job.fetch(job_id, client, JSONSerializer)
    except NoSuchJobError:
        return ""
    status = job.get_status(refresh=False)
    kind = CanceledJobRegistry if status == "canceled" else FailedJobRegistry
    job.number_of_retries = None
    try:
        kind(job.origin, client, serializer=JSONSerializer()).requeue(job)
    except InvalidJobOperation:
        return str(status.value)
    return "done"


def free_slot(client: Redis, limit: str, job_id: str) -> None:
    """Give back the slot that a job may hold, and let the next one in."""
    # Where this is cut short, RQ's own upkeep does it later.
    RateLimitRegistry(limit, client).cancel(job_id)
