"""What is left to say of a job whose child is gone.

A job that ran too long in code that does not return, that a person has stopped, that
has ended too many workers, or that was broken off and may not run twice: its outcome
may call callbacks or follow a rule for retries, which are the application's. So a
process that has the application writes it, under the old lease.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, assert_never

from headway.app import App
from headway.errors import (
    ConfigurationError,
    HeadwayError,
    JobBrokenOffError,
    JobCrashedError,
    JobKilledError,
    TaskTimeoutError,
)
from headway.lease import Holder, Lease, Leased
from headway.outcome import Failed, Retried
from headway.wire import keys
from headway.wire.reading import Fields, text
from headway.wire.steadfast import SteadfastRedis, until_taken
from headway.wire.stored_job import StoredJob
from headway.wire.supervision import RedisSupervisorBroker
from headway.worker.by_rq import RQCode
from headway.worker.delivering import Deliver
from headway.worker.notes import Notes
from headway.worker.plan import CRASH_LIMIT, Plan
from headway.worker.trusted_job import TrustedJob

if TYPE_CHECKING:
    from redis import Redis


log = logging.getLogger("headway.worker")

Why = Literal["timeout", "stopped", "killed", "succeeded", "crashed", "broken off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """A job that ended its child, or was ended with it."""

    leased: Leased
    why: Why
    #: Seconds since 1970.
    began: float
    reason: str = ""
    #: What it returned, as JSON; empty for None.
    value: bytes = b""

    @property
    def holder(self) -> Holder:
        """Return whose lease it is."""
        return self.leased.holder


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
    client = SteadfastRedis(client.connection_pool)
    fields: Any = client.hgetall(keys.job(aftermath.leased.job_id))
    lease = _lease(aftermath.leased, fields)
    match aftermath.why:
        case "succeeded":
            result = json.loads(aftermath.value) if aftermath.value else None
            by_rq.succeed(lease, result, aftermath.began)
        case "stopped":
            by_rq.stop(lease, aftermath.began)
        case "crashed" | "broken off" if _may_run_again(lease, fields, app):
            broker = RedisSupervisorBroker(client, (), lease=plan.lease.total_seconds())
            ordinals = [aftermath.leased.ordinal]
            until_taken(lambda: broker.release(aftermath.holder, ordinals))
        case "crashed":
            by_rq.fail(lease, _crashed(fields), aftermath.began)
        case "broken off":
            by_rq.fail(lease, _broken_off(fields), aftermath.began)
        case "timeout" | "killed":
            _end(lease, _outcome(lease, aftermath, app, client), aftermath, by_rq)


def _may_run_again(lease: Lease, fields: dict[bytes, bytes], app: App) -> bool:
    """Tell what the task says of it, where it has not cost too many workers."""
    said = text(fields.get(b"headway_on_orphan"))
    if int(text(fields.get(b"headway_crashes")) or 0) >= CRASH_LIMIT or said == "fail":
        return False
    try:
        return _fate(lease, fields, app) != "fail"
    except Exception:  # its author decides; without a word it is as for any other
        log.exception("on_orphan of job %s cannot be asked: it goes back", lease.job_id)
        return True


def _fate(lease: Lease, fields: dict[bytes, bytes], app: App) -> object:
    stored = StoredJob(id=lease.job_id, fields=Fields.of(fields), outcome=Fields({}))
    info = stored.info()
    decide = app.registry.resolve(info.task).options.get("on_orphan")
    if not callable(decide):  # another version of the code
        return decide
    fate = decide(info)
    if fate not in ("requeue", "fail"):
        raise ConfigurationError(
            f"{info.task}: on_orphan returned {fate!r}, expected 'requeue' or 'fail'"
        )
    return fate


def _crashed(fields: dict[bytes, bytes]) -> JobCrashedError:
    times = text(fields.get(b"headway_crashes"))
    # Of a job that repeats, earlier runs may have ended workers as well.
    story = text(fields.get(b"headway_story")).splitlines()[-int(times) :]
    # Its last line is what lists and messages show of it.
    last = f"the worker that ran it ended {times} times, the last time: {story[-1]}"
    if times == "1":
        last = f"the worker that ran it ended, and it may not run again: {story[-1]}"
    return JobCrashedError("\n".join(["no worker is given it again:", *story, last]))


def _broken_off(fields: dict[bytes, bytes]) -> JobBrokenOffError:
    _execution, _, story = text(fields.get(b"headway_broken_off")).partition(" ")
    return JobBrokenOffError(f"it was broken off, and may not run again: {story}")


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
        delivery = Deliver(app, client)(lease, notes)
    except HeadwayError:  # pickle, or nothing that can be read: there is no rule
        return Failed(error=error)
    return app.attempt().broken_off(delivery, error, elapsed)


def _lease(leased: Leased, fields: dict[bytes, bytes]) -> Lease:
    return Lease(
        leased.job_id,
        leased.ordinal,
        1,
        leased.queue,
        fields.get(b"data", b""),
        fields.get(b"timeout", b""),
        fields.get(b"result_ttl", b""),
        fields.get(b"meta", b""),
        fields.get(b"number_of_retries", b""),
        fields,
    )
