"""When a task runs again: it says so itself, each time, by what it raises."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from headway.retry import Retry as Rule
from headway.shims.celery.exceptions import Ignore, Reject, Retry

#: A task's `max_retries` says how often; this one only has to be more.
_ENDLESS = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Rule):
    """Follows what `self.retry` has decided when it was called."""

    attempts: int = _ENDLESS

    def delay_after(
        self,
        attempt: int,
        error: BaseException,
        *,
        now: datetime | None = None,
    ) -> timedelta | None:
        """Return the wait that the task has asked for; None where it has not."""
        if isinstance(error, Retry):
            return timedelta(seconds=max(error.wait, 0.0))
        if isinstance(error, Reject) and error.requeue:
            return timedelta(0)
        return None


ASKED = Asked()


def retried(task: Any, error: Exception) -> Exception:
    """Return what `autoretry_for` makes of an error: a Retry, or the error itself."""
    if isinstance(error, Ignore | Retry | Reject):
        return error
    if isinstance(error, tuple(task.dont_autoretry_for)):
        return error
    if not isinstance(error, tuple(task.autoretry_for)):
        return error
    given = dict(task.retry_kwargs)
    if task.retry_backoff:
        given["countdown"] = _backoff(task)
    try:
        task.retry(exc=error, **given)
    except Exception as outcome:  # noqa: BLE001 - it always raises; what is the answer
        return outcome
    raise AssertionError("retry() raises")


def _backoff(task: Any) -> int:
    factor = max(1, int(task.retry_backoff))
    longest = int(task.retry_backoff_max)
    countdown = min(longest, factor * 2 ** min(task.request.retries, 32))
    return random.randrange(countdown + 1) if task.retry_jitter else countdown  # noqa: S311
