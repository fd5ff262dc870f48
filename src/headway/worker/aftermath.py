"""What is left to say of a job whose child was ended because of it.

A job that ran too long in code that does not return, or that a person has stopped,
takes its child with it. Its outcome may call callbacks or follow a rule for retries,
which are the application's: so the child's successor writes it, under the old lease.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from headway.app import App
from headway.errors import (
    JobKilledError,
    TaskNotAllowedError,
    TaskTimeoutError,
    UnknownTaskError,
    UnreadableJobError,
)
from headway.lease import Holder, Lease
from headway.retry import Retry
from headway.wire import job_hash, keys
from headway.worker import payload
from headway.worker.by_rq import RQCode
from headway.worker.plan import Plan
from headway.worker.trusted_job import TrustedJob

if TYPE_CHECKING:
    from redis import Redis


Why = Literal["timeout", "stopped", "killed", "succeeded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """A job that ended its child, or was ended with it."""

    job_id: str
    ordinal: int
    queue: str
    holder: Holder
    #: Seconds since 1970.
    began: float
    why: Why
    reason: str = ""
    #: What it returned, as JSON; empty for None.
    value: bytes = b""


def settle(
    aftermath: Aftermath,
    app: App,
    client: Redis,
    job_class: type[TrustedJob],
    plan: Plan,
) -> None:
    """Write the outcome of a job whose child is dead."""
    by_rq = RQCode(
        job_class,
        client,
        aftermath.holder,
        app.clock,
        queues=[queue.name for queue in plan.queues],
        options=plan.rq_options,
    )
    fields: Any = client.hgetall(keys.job(aftermath.job_id))
    lease = _lease(aftermath, fields)
    if aftermath.why == "succeeded":
        result = json.loads(aftermath.value) if aftermath.value else None
        by_rq.succeed(lease, result, aftermath.began)
    elif aftermath.why == "stopped":
        by_rq.stop(lease, aftermath.began)
    else:
        _fail(lease, aftermath, app, by_rq)
    if not client.exists(keys.lease(aftermath.holder.child)):
        client.zrem(keys.LEASES, aftermath.holder.child)


def _fail(lease: Lease, aftermath: Aftermath, app: App, by_rq: RQCode) -> None:
    kind = TaskTimeoutError if aftermath.why == "timeout" else JobKilledError
    error = kind(aftermath.reason)
    rule = _rule(lease, app)
    attempt = int(lease.retried or 0) + 1
    delay = rule.delay_after(attempt, error, now=app.clock.now()) if rule else None
    if delay is None:
        by_rq.fail(lease, error, aftermath.began)
    else:
        by_rq.retry(lease, error, delay, aftermath.began)


def _rule(lease: Lease, app: App) -> Retry | None:
    """Return the rule of the call or of its task, if either can be read."""
    extras = job_hash.extras_of(job_hash.json_object(lease.meta))
    if "retry" in extras:
        wire = extras["retry"]
        return Retry.from_wire(wire) if wire else None
    try:
        raw = payload.unpacked(lease.job_id, lease.data)
        return app.registry.resolve(payload.read(lease.job_id, raw).name).options.get(
            "retry"
        )
    except (UnreadableJobError, UnknownTaskError, TaskNotAllowedError):
        return None


def _lease(aftermath: Aftermath, fields: dict[bytes, bytes]) -> Lease:
    return Lease(
        aftermath.job_id,
        aftermath.ordinal,
        int(fields.get(b"headway_delivery", b"1")),
        aftermath.queue,
        fields.get(b"data", b""),
        fields.get(b"timeout", b""),
        fields.get(b"result_ttl", b""),
        fields.get(b"meta", b""),
        fields.get(b"number_of_retries", b""),
        fields,
    )
