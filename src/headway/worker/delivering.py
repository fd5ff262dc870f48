"""From what the store wrote down to what an attempt can run.

Anybody who reaches Redis may have written it: each field is checked before any code of
the application runs.
"""

from __future__ import annotations

import math
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rq.timeouts import JobTimeoutException

from headway.app import App
from headway.backends.rq_delivery import (
    ReturnedRetry,
    RQTaskTimeoutError,
    look_for_retry,
)
from headway.delivery import Delivery
from headway.errors import Interrupted, UnreadableJobError
from headway.lease import Lease
from headway.retry import Retry
from headway.task import DefinedTask
from headway.wire import job_hash
from headway.wire.node_results import resolved_call
from headway.wire.steadfast import SteadfastRedis
from headway.worker import payload
from headway.worker.ending import Stopped
from headway.worker.notes import Notes

if TYPE_CHECKING:
    from redis import Redis

#: RQ's own default, in seconds (rq/defaults.py).
TIMEOUT = 180.0
#: What RQ gives a callback that does not say, and we its webhooks, in seconds.
CALLBACK, WEBHOOKS = 60, 60


class Deliver:
    """Makes deliveries of leases; a task is looked up once."""

    def __init__(self, app: App, client: Redis) -> None:
        #: Asked for the results that a node of a workflow waited for.
        self._client = SteadfastRedis(client.connection_pool)
        self._registry = app.registry
        self._signer = app.signer if app.checks_signatures else None
        self._tasks: dict[str, DefinedTask[..., Any]] = {}

    def __call__(self, lease: Lease, notes: Notes) -> Delivery:
        """Return what is to be run.

        Raises:
            UnreadableJobError: what is stored is not a call, or is not signed.
            TaskNotAllowedError: it calls what may not run here.
            UnknownTaskError: it calls what is not there.
            ArgumentError: a result that it waited for is gone.
        """
        _whole(lease, "result_ttl", lease.result_ttl)  # now: it is needed at the end
        raw = payload.unpacked(lease.job_id, lease.data)
        if self._signer is not None:
            payload.check(self._signer, lease.job_id, raw, lease.meta)
        call = payload.read(lease.job_id, raw)
        task = self._task(call.name)
        retry, expires_at, extras = task.options.get("retry"), None, job_hash.Extras()
        if lease.meta:
            extras = job_hash.extras_of(job_hash.json_object(lease.meta))
            retry, expires_at = _rule_and_time(lease, extras, retry)
        args, kwargs, waited_for = resolved_call(
            self._client, extras, call.args, call.kwargs
        )
        return Delivery(
            job_id=lease.job_id,
            task=task,
            queue=lease.queue,
            args=args,
            kwargs=kwargs,
            attempt=_whole(lease, "number_of_retries", lease.retried) + 1,
            retry=retry,
            expires_at=expires_at,
            notes=notes,
            fence=lease.delivery,
            checkpoint=extras.get("checkpoint"),
            timeouts=(JobTimeoutException,),
            timeout_error=RQTaskTimeoutError,
            interrupts=(ReturnedRetry, Interrupted, Stopped),
            inspect=look_for_retry,
            workflow=extras.get("workflow", ""),
            waited_for=waited_for,
            lease=notes.lease,
        )

    def _task(self, name: str) -> DefinedTask[..., Any]:
        task = self._tasks.get(name)
        if task is None:
            task = self._tasks[name] = self._registry.resolve(name)
        return task


def timeout_of(lease: Lease) -> float:
    """Return the seconds that a job may run; -1 for as long as it likes.

    Raises:
        UnreadableJobError: what is stored is no number.
    """
    seconds = _seconds(lease.timeout)
    if seconds is None:
        raise _unreadable(lease, "timeout", lease.timeout, "seconds")
    return seconds


@lru_cache(maxsize=128)  # most jobs of an application say one of a few
def _seconds(written: bytes) -> float | None:
    try:
        seconds = float(written) if written else TIMEOUT
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) else None


def _whole(lease: Lease, field: str, written: bytes) -> int:
    try:
        return int(written or 0)
    except ValueError as error:
        raise _unreadable(lease, field, written, "a whole number") from error


def _unreadable(
    lease: Lease, field: str, written: object, wanted: str
) -> UnreadableJobError:
    return UnreadableJobError(
        f"job {lease.job_id}: its {field} is {written!r}, expected {wanted}"
    )


def time_of_callbacks(lease: Lease) -> int:
    """Return the seconds that RQ gives to what it calls after the job."""
    seconds = WEBHOOKS if lease.fields.get(b"webhooks") else 0
    for kind in (b"success", b"failure"):
        if lease.fields.get(b"%b_callback_name" % kind):
            seconds += int(lease.fields.get(b"%b_callback_timeout" % kind) or CALLBACK)
    return seconds


def _rule_and_time(
    lease: Lease, extras: job_hash.Extras, retry: Retry | None
) -> tuple[Retry | None, datetime | None]:
    try:
        retry = job_hash.retry_of(extras, retry)
        expires_at = extras.get("expires_at")
        return retry, datetime.fromisoformat(expires_at) if expires_at else None
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        wanted = "a rule and a time as Headway writes them"
        raise _unreadable(lease, "meta", lease.meta, wanted) from error
