"""The one reader of what Redis keeps of a job, for its handle and for the pages.

Source: `Job.restore` and `Result.restore` of rq 3.0.0, which fail on a field that they
cannot read. Here it is left out, so that one such job does not hide others of a list.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from headway.job import JobInfo, JobStatus, Progress
from headway.wire.job_hash import Extras, extras_of
from headway.wire.reading import (
    Fields,
    Reading,
    pretty,
    read_base64_json,
    read_json,
    read_text,
    read_traceback,
    text,
)

#: Result.Type of RQ.
SUCCESSFUL = "1"
#: RQ's statuses that have no word of ours: the job waits all the same.
_WAITING = {
    "created": JobStatus.DEFERRED,
    "rate_limited": JobStatus.DEFERRED,
    "ready_to_enqueue": JobStatus.DEFERRED,
}
#: In these an attempt has begun that is not counted as a retry yet.
_BEGUN = (
    JobStatus.STARTED,
    JobStatus.FINISHED,
    JobStatus.FAILED,
    JobStatus.STOPPED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A task's name and its arguments, in JSON's own types."""

    task: str
    args: tuple[object, ...] = ()
    kwargs: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredJob:
    """A job's hash, or those of its fields that were asked for, and its last result."""

    id: str
    fields: Fields
    #: The newest entry of its stream of results.
    outcome: Fields
    #: How many bytes of one value are read at most; None reads all.
    most: int | None = None

    @property
    def status(self) -> JobStatus:
        """Return the status in our words."""
        written = self.fields.text("status")
        if written in _WAITING:
            return _WAITING[written]
        try:
            return JobStatus(written)
        except ValueError:
            return JobStatus.FAILED  # a corrupt hash never runs; its error says more

    @property
    def attempt(self) -> int:
        """Return the number of the attempt that runs or ran last; 0 before any."""
        # RQ keeps the time of the last start while a job waits for its next.
        started = bool(self.fields.text("started_at")) and self.status in _BEGUN
        retried = self.fields.text("number_of_retries")
        return (int(retried) if retried.isdecimal() else 0) + started

    @property
    def timeout(self) -> timedelta | None:
        """Return how long an attempt may run; RQ writes -1 for as long as it likes."""
        try:
            return timedelta(seconds=float(self.fields.text("timeout")))
        except (ValueError, OverflowError):
            return None

    @property
    def payload(self) -> Reading:
        """Return the call as it was sent; a pickle stays closed."""
        return read_json(self.fields.raw("data"), self.most)

    @property
    def meta(self) -> Reading:
        """Return what anybody has noted of the job."""
        return read_json(self.fields.raw("meta"), self.most)

    @property
    def result(self) -> Reading:
        """Return what the task returned, where it did."""
        if self._went_well:
            written = self.outcome.raw("return_value")
            if reading := read_base64_json(written, self.most):
                return reading
        # Before RQ had result streams, the job itself held the result.
        return read_json(self.fields.raw("result"), self.most)

    @property
    def error(self) -> str:
        """Return the last attempt's traceback, empty where it did not fail."""
        # Before RQ had result streams, the job itself held it.
        return read_traceback(self.outcome.raw("exc_string"), self.most) or read_text(
            self.fields.raw("exc_info"), self.most
        )

    @property
    def crashes(self) -> tuple[str, ...]:
        """Return a line for each worker that it has ended, oldest first."""
        return tuple(self.fields.text("headway_story").splitlines())

    def info(self, due: float | None = None) -> JobInfo:
        """Return the snapshot for an application; `due` is its score as scheduled."""
        fields, status = self.fields, self.status
        called = call(self.payload) or Call(task="(a payload that is not JSON)")
        extras = extras_in(self.meta)
        finished = status is JobStatus.FINISHED
        return JobInfo(
            id=self.id,
            task=called.task,
            queue=fields.text("origin"),
            status=status,
            args=called.args,
            kwargs=dict(called.kwargs),
            description=fields.text("description"),
            attempt=self.attempt,
            repeats_left=fields.integer("repeats_left"),
            created_at=fields.moment("created_at"),
            enqueued_at=fields.moment("enqueued_at"),
            due=moment(due),
            started_at=fields.moment("started_at"),
            ended_at=fields.moment("ended_at"),
            timeout=self.timeout,
            progress=progress_in(extras),
            log=_lines(extras.get("log")),
            checkpoint=extras.get("checkpoint"),
            worker=fields.text("worker_name") or None,
            workflow=fields.text("headway_workflow") or None,
            error=None if finished or self._went_well else self._reason(extras),
            errors=errors_in(extras),
            crashes=self.crashes,
            superseded=fields.integer("headway_superseded") or 0,
            result=self.result.value if finished else None,
        )

    @property
    def _went_well(self) -> bool:
        """Tell whether the last attempt did, as of a job that repeats."""
        return self.outcome.text("type") == SUCCESSFUL

    def _reason(self, extras: Extras) -> str | None:
        return self.error or "\n".join(errors_in(extras)[-1:]) or None


def call(payload: Reading) -> Call | None:
    """Return the call in a payload, where it is RQ's."""
    match cast("Any", payload.value):
        case [str(task), _, list(args), dict(kwargs)]:
            return Call(task=text(task), args=tuple(args), kwargs=kwargs)
        case _:
            return None


def extras_in(meta: Reading) -> Extras:
    """Return the part of a job's meta that is Headway's."""
    return extras_of(_mapping(meta.value))


def progress_in(extras: Extras) -> Progress | None:
    """Return how far the job says it has come."""
    written = _mapping(extras.get("progress"))
    done, total = _number(written.get("done")), _number(written.get("total"))
    if done is None or total is None:
        return None
    return Progress(done=done, total=total, note=text(written.get("note")))


def errors_in(extras: Extras) -> tuple[str, ...]:
    """Return one line for each attempt that failed, oldest first."""
    return _lines(extras.get("errors"))


def moment(seconds: float | None) -> datetime | None:
    """Return the time of a score, where it is one."""
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def newest(answer: object) -> Fields:
    """Return the last result, as XREVRANGE answers."""
    entries = answer if isinstance(answer, list) else []
    return Fields.of(entries[0][1] if entries else None)


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _number(value: object) -> float | None:
    try:
        fine = isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:
        return None  # a whole number of hundreds of digits
    return cast("float", value) if fine else None


def _lines(written: object) -> tuple[str, ...]:
    lines = cast("list[object]", written) if isinstance(written, list) else []
    return tuple(
        text(line) if isinstance(line, str) else pretty(line) for line in lines
    )
