"""A task called inside of an rq job: any rq worker, ours or a stock one, does that.

RQ imports the dotted name that travelled, finds the task, and calls it with what JSON
left of the arguments. So it is the task that restores them, and that decides whether
a failure is retried: RQ understands a returned `Retry`, whichever worker it is.
"""

from __future__ import annotations

import math
import operator
import secrets
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never

from rq import Retry as RQRetry
from rq import get_current_job
from rq.job import Job as RQJob
from rq.timeouts import JobTimeoutException
from rq.utils import utcformat

from headway.attempt import Attempt, error_line
from headway.delivery import Delivery
from headway.errors import Interrupted, TaskTimeoutError
from headway.job import LOG_LINES, Progress
from headway.outcome import Failed, Retried, Succeeded
from headway.task import DefinedTask
from headway.wire import job_hash, repeating
from headway.wire.node_results import resolved_call
from headway.wire.unique import give_back

#: Attempts whose reasons are kept on the job.
ERRORS_KEPT = 10

#: The job that an attempt here runs already: its own calls are plain calls.
running_id: ContextVar[str | None] = ContextVar("headway_rq_job", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a worker of ours knows of the run that RQ's own code makes."""

    #: See `RunningJob.fence`.
    fence: int
    #: See `SavesNotes.incarnation`.
    incarnation: Callable[[], str]


#: Set by a worker of ours; a stock one knows neither.
run_of_ours: ContextVar[Run | None] = ContextVar("headway_rq_run", default=None)


class RQTaskTimeoutError(TaskTimeoutError, JobTimeoutException):
    """A timeout as both know it: Sentry and failure callbacks ask for RQ's class."""


# In a job's traceback it goes by the name that an application can catch.
RQTaskTimeoutError.__name__ = TaskTimeoutError.__name__
RQTaskTimeoutError.__qualname__ = TaskTimeoutError.__qualname__
RQTaskTimeoutError.__module__ = TaskTimeoutError.__module__


class ReturnedRetry(BaseException):
    """Raised for a task that returns RQ's own word for "again"."""

    def __init__(self, retry: RQRetry) -> None:
        super().__init__("the task returned rq.Retry")
        self.retry = retry


def look_for_retry(returned: object) -> None:
    """Refuse to take RQ's own word for a result.

    Raises:
        ReturnedRetry: it is one.
    """
    if isinstance(returned, RQRetry):
        raise ReturnedRetry(returned)


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """What RQ's worker is to be given."""

    returned: object


def deliver(
    attempt: Callable[[], Attempt],
    task: DefinedTask[Any, Any],
    args: Sequence[object],
    kwargs: dict[str, Any],
) -> Returned | None:
    """Run the task as a job, if an rq worker makes this very call of it.

    Raises:
        Exception: what the task raised, when it is not to run again.
    """
    job = get_current_job()
    if job is None or not _is_this_call(job, task, args, kwargs):
        return None
    token, ours = running_id.set(job.id), attempt()
    try:
        return Returned(returned=_JobRun(job, task).run(ours))
    finally:
        running_id.reset(token)
        # A stock worker's process may end with this job, and would close nothing.
        if not ours.resources.kept:
            ours.resources.close()


def _is_this_call(
    job: RQJob,
    task: DefinedTask[Any, Any],
    args: Sequence[object],
    kwargs: dict[str, Any],
) -> bool:
    """Tell the worker's call from one that the task's own code makes."""
    if running_id.get() == job.id or job.func_name != task.name:
        return False
    mine = [*job.args, *job.kwargs.values()]
    given = [*args, *kwargs.values()]
    return len(mine) == len(given) and all(map(operator.is_, mine, given))


class _JobRun:
    def __init__(self, job: RQJob, task: DefinedTask[Any, Any]) -> None:
        self._job = job
        self._task = task
        self._extras = job_hash.extras_of(job.meta)
        self._repeated = repeating.repeated(self._extras) if job.repeats_left else None
        self._run = run_of_ours.get()

    def run(self, attempt: Attempt) -> object:
        try:
            outcome = attempt.run(self._delivery())
        except ReturnedRetry as word:
            return word.retry
        match outcome:
            case Succeeded(result=result):
                if self._repeated:
                    self._prepare_next_run(self._repeated)
                else:
                    self._give_unique_key_back()
                return result
            case Retried(error=error, delay=delay):
                self._remember(error)
                return rq_retry(self._job, delay)
            case Failed(error=error):
                self._remember(error)
                if not self._goes_on_after_failure:
                    self._give_unique_key_back()
                raise error
            case _:
                assert_never(outcome)

    def _delivery(self) -> Delivery:
        expires_at = self._extras.get("expires_at")
        args, kwargs, waited_for = resolved_call(
            self._job.connection, self._extras, self._job.args, self._job.kwargs
        )
        return Delivery(
            job_id=self._job.id,
            task=self._task,
            queue=self._job.origin,
            args=args,
            kwargs=kwargs,
            attempt=(self._job.number_of_retries or 0) + 1,
            retry=job_hash.retry_of(self._extras, self._task.options.get("retry")),
            expires_at=datetime.fromisoformat(expires_at) if expires_at else None,
            notes=self,
            # A stock worker does not count: then no two runs have the same, no more.
            fence=self._run.fence if self._run else secrets.randbits(53),
            checkpoint=self._extras.get("checkpoint"),
            timeouts=(JobTimeoutException,),
            timeout_error=RQTaskTimeoutError,
            interrupts=(ReturnedRetry, Interrupted),
            inspect=look_for_retry,
            workflow=self._extras.get("workflow", ""),
            waited_for=waited_for,
        )

    def _prepare_next_run(self, rule: repeating.Repeated) -> None:
        """Have a stock worker write what ours writes itself, with the end of the run.

        A stock worker goes on after whole seconds, and never after a failure.
        """
        if self._run is None:
            due = datetime.now(UTC) + timedelta(seconds=math.ceil(rule.every))
            rule.begin_anew(self._extras, due)
            self._job.meta["headway"] = self._extras

    @property
    def _goes_on_after_failure(self) -> bool:
        rule = self._repeated if self._run is not None else None
        return rule is not None and not rule.until_failure

    def save_progress(self, progress: Progress) -> None:
        """Save how far it has come."""
        self._extras["progress"] = asdict(progress)
        self._save()

    def save_log(self, line: str) -> None:
        """Save a line of its log."""
        if self._extras.pop("log_is_old", None):
            self._extras["log"] = []
        lines = [*self._extras.get("log", []), line]
        self._extras["log"] = lines[-LOG_LINES:]
        self._save()

    def save_checkpoint(self, checkpoint: object) -> None:
        """Save its place."""
        self._extras["checkpoint"] = checkpoint
        self._save()

    def incarnation(self) -> str:
        """Return what tells the job from others that have had its id."""
        if self._run is not None:
            return self._run.incarnation()
        created = utcformat(self._job.created_at)
        return job_hash.incarnation(created, self._job.repeats_left)

    def _remember(self, error: BaseException) -> None:
        errors = [*self._extras.get("errors", []), error_line(error)]
        self._extras["errors"] = errors[-ERRORS_KEPT:]
        self._save()

    def _save(self) -> None:
        self._job.meta["headway"] = self._extras
        self._job.save_meta()  # type: ignore[no-untyped-call]

    def _give_unique_key_back(self) -> None:
        give_back(self._job.connection, self._job.id, self._job.meta)


def rq_retry(job: RQJob, delay: timedelta) -> RQRetry:
    """Return RQ's word for "again": `max` only must not be reached by it."""
    return RQRetry(
        max=(job.number_of_retries or 0) + 1,
        interval=[_rq_interval(delay)] if delay else 0,  # type: ignore[list-item]
    )


def _rq_interval(delay: timedelta) -> float:
    """Return the seconds after which RQ, which cuts due times, is not early."""
    now = datetime.now(UTC).timestamp()
    return math.ceil(now + delay.total_seconds()) - now
