"""What is left to say of a job whose child was ended because of it.

A job that ran too long in code that does not return, or that a person has stopped,
takes its child with it. Its outcome may call callbacks or follow a rule for retries,
which are the application's: so the child's successor writes it, under the old lease.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, assert_never

from headway.app import App
from headway.errors import HeadwayError, JobKilledError, TaskTimeoutError
from headway.lease import Holder, Lease
from headway.outcome import Failed, Retried
from headway.wire import keys
from headway.worker.by_rq import RQCode
from headway.worker.delivering import Deliver
from headway.worker.notes import Notes
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
    match aftermath.why:
        case "succeeded":
            result = json.loads(aftermath.value) if aftermath.value else None
            by_rq.succeed(lease, result, aftermath.began)
        case "stopped":
            by_rq.stop(lease, aftermath.began)
        case "timeout" | "killed":
            _end(lease, _outcome(lease, aftermath, app, client), aftermath, by_rq)
    if not client.exists(keys.lease(aftermath.holder.child)):
        client.zrem(keys.LEASES, aftermath.holder.child)


def _end(
    lease: Lease, outcome: Retried | Failed, aftermath: Aftermath, by_rq: RQCode
) -> None:
    match outcome:
        case Retried(error=error, delay=delay):
            by_rq.retry(lease, error, delay, aftermath.began)
        case Failed(error=error):
            by_rq.fail(lease, error, aftermath.began)
        case _:
            assert_never(outcome)


def _outcome(
    lease: Lease, aftermath: Aftermath, app: App, client: Redis
) -> Retried | Failed:
    """Return what its task's rule, or that of the call, makes of a killed run."""
    kind = TaskTimeoutError if aftermath.why == "timeout" else JobKilledError
    error = kind(aftermath.reason)
    elapsed = app.clock.now() - datetime.fromtimestamp(aftermath.began, UTC)
    notes = Notes(client, aftermath.holder, lease, app.clock)
    try:
        delivery = Deliver(app.registry)(lease, notes)
    except HeadwayError:  # pickle, or nothing that can be read: there is no rule
        return Failed(error=error)
    return app.attempt().broken_off(delivery, error, elapsed)


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
