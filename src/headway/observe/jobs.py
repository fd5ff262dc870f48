from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import cast

from redis import Redis
from redis.exceptions import ResponseError

from headway.errors import JobNotFoundError
from headway.job import JobStatus, Progress
from headway.observe.flow import (
    GIVEN_FIELDS,
    Given,
    ends_workflow,
    given,
    spelled,
    waited_for,
)
from headway.observe.registries import job_ids
from headway.wire import keys
from headway.wire.reading import Fields, Reading, read_json, text
from headway.wire.stored_job import (
    SUCCESSFUL,
    Call,
    StoredJob,
    call,
    errors_in,
    extras_in,
    moment,
    newest,
    progress_in,
)

#: What a page shows of one field; a payload may have megabytes.
SHOWN_BYTES = 200_000
_LINE_FIELDS = (
    "description",
    "origin",
    "status",
    "created_at",
    "enqueued_at",
    "started_at",
    "ended_at",
    "worker_name",
)
_PAGE_FIELDS = (
    *_LINE_FIELDS,
    "timeout",
    "result_ttl",
    "retries_left",
    "repeats_left",
    "number_of_retries",
    "dependency_ids",
    "headway_superseded",
)
#: A line that begins an exception's message in a traceback: `ValueError: ...`.
_EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*(?:: .*)?$", re.MULTILINE)
#: Fields of any size, which are asked for one by one.
_LARGE = ("data", "meta", "result", "headway_story", "exc_info")
#: How many results of others a page tells of.
_MOST_GIVEN = 100
#: What Redis may answer for one value before a page leaves it unread.
_MOST_BYTES = 8_000_000
_TOO_LARGE = Fields(
    {
        "type": SUCCESSFUL,
        "return_value": b64encode(json.dumps("too large to show").encode()),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLine:
    """A job as one line of a list."""

    id: str
    description: str = ""
    queue: str = ""
    status: str = ""
    created_at: datetime | None = None
    enqueued_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    worker: str = ""
    #: The traceback of the last attempt, if it failed.
    error: str = ""
    #: False where a registry names a job whose data has expired.
    exists: bool = True

    @property
    def name(self) -> str:
        """Return what stands before the arguments in the description."""
        return self.description.partition("(")[0] or self.id

    @property
    def reason(self) -> str:
        """Return the line of the traceback that says what happened."""
        found = _EXCEPTION.findall(self.error)
        lines_ = self.error.strip().splitlines()
        reason = (found or lines_ or [""])[-1]
        # What it announces stands below, and comes to an end in the last line.
        goes_on = reason.endswith(":") and lines_[-1] != reason
        return f"{reason} {lines_[-1].strip()}" if goes_on else reason


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPage:
    """Everything there is to show of one job."""

    line: JobLine
    task: str
    call: Reading
    args: tuple[str, ...] = ()
    kwargs: dict[str, str] = field(default_factory=dict[str, str])
    #: What stands for those of its arguments that are the results of others.
    given: tuple[Given, ...] = ()
    #: Whether the workflow that it is a node of ends with it, should it not finish.
    ends_workflow: bool = False
    result: Reading
    meta: Reading
    progress: Progress | None = None
    attempt: int = 0
    #: One line for each attempt that failed, oldest first.
    errors: tuple[str, ...] = ()
    #: One line for each worker that it has ended, oldest first.
    crashes: tuple[str, ...] = ()
    #: How many runs were for nothing, since others had the job by then.
    superseded: int = 0
    retries_left: int | None = None
    #: How many runs are to come after this one, where it repeats.
    repeats_left: int | None = None
    timeout: timedelta | None = None
    #: When Redis forgets the job; None where it keeps it.
    expires_in: int | None = None
    #: When a scheduled job is due.
    due: datetime | None = None
    #: What it waits for, with whether that still exists.
    dependencies: dict[str, bool] = field(default_factory=dict[str, bool])
    #: The workflow that it is a node of; empty for none.
    workflow: str = ""


def lines(redis: Redis, ids: Sequence[str]) -> list[JobLine]:
    """Return one line for each id, in that order, whether or not the job exists."""
    pipeline = redis.pipeline(transaction=False)
    for id_ in ids:
        pipeline.hmget(keys.job(id_), _LINE_FIELDS)
    answers = pipeline.execute(raise_on_error=False)
    return [
        _line(_stored(id_, _fields(_LINE_FIELDS, values), outcome))
        for id_, values, outcome in zip(
            ids, answers, _outcomes(redis, ids), strict=True
        )
    ]


def recent_failures(redis: Redis, queues: Iterable[str], limit: int) -> list[JobLine]:
    """Return the jobs that failed last, newest first."""
    ids = [
        id_
        for queue in queues
        for id_ in job_ids(redis, queue, "failed", length=limit, newest_first=True)
    ]
    failed = [line for line in lines(redis, ids) if line.exists]
    failed.sort(key=lambda line: line.ended_at or _LONG_AGO, reverse=True)
    return failed[:limit]


def job(redis: Redis, job_id: str) -> JobPage:
    """Return everything about a job.

    Raises:
        JobNotFoundError: Redis has no such job.
    """
    place = keys.job(job_id)
    pipeline = redis.pipeline(transaction=False)
    pipeline.hmget(place, _PAGE_FIELDS)
    for name in _LARGE:
        pipeline.hstrlen(place, name)
    pipeline.ttl(place)
    values, *sizes, ttl = pipeline.execute(raise_on_error=False)
    if not any(sizes[:1]):
        raise JobNotFoundError(
            f"no job {job_id!r}: it was deleted, or its time to live is over"
        )
    large = _large(redis, place, sizes)
    outcome = next(_outcomes(redis, [job_id]))
    found = _stored(job_id, _fields(_PAGE_FIELDS, values) | large, outcome)
    left = ttl if isinstance(ttl, int) and ttl >= 0 else None
    return _page(redis, found, left)


def _page(redis: Redis, found: StoredJob, expires_in: int | None) -> JobPage:
    line, payload, meta = _line(found), found.payload, found.meta
    if line.status == JobStatus.CANCELED:  # RQ keeps the time in its registry alone
        ended = moment(_score(redis, found, keys.canceled))
        line = replace(line, ended_at=line.ended_at or ended)
    extras, called = extras_in(meta), call(payload) or Call(task="")
    flow = text(extras.get("workflow"))
    by_others = _given(redis, called) if flow else ()
    tasks = {each.id: each.task or each.id for each in by_others}
    return JobPage(
        line=line,
        task=called.task or line.name,
        call=payload,
        args=tuple(spelled(value, tasks) for value in called.args),
        kwargs={
            text(name): spelled(value, tasks) for name, value in called.kwargs.items()
        },
        given=by_others,
        ends_workflow=bool(flow) and ends_workflow(redis, found.id),
        result=found.result,
        meta=meta,
        progress=progress_in(extras),
        attempt=found.attempt,
        errors=errors_in(extras),
        crashes=found.crashes,
        superseded=found.fields.integer("headway_superseded") or 0,
        retries_left=found.fields.integer("retries_left"),
        repeats_left=found.fields.integer("repeats_left"),
        timeout=found.timeout,
        expires_in=expires_in,
        due=moment(_score(redis, found, keys.scheduled)),
        dependencies=_dependencies(redis, found.fields.raw("dependency_ids")),
        workflow=flow,
    )


def _given(redis: Redis, called: Call) -> tuple[Given, ...]:
    """Return the results that the arguments of a node stand for."""
    ids = waited_for(called.args, called.kwargs)[:_MOST_GIVEN]
    pipeline = redis.pipeline(transaction=False)
    for id_ in ids:
        pipeline.hmget(keys.job(id_), GIVEN_FIELDS)
    answers = pipeline.execute(raise_on_error=False)
    return tuple(
        given(_stored(id_, _fields(GIVEN_FIELDS, values), outcome))
        for id_, values, outcome in zip(
            ids, answers, _outcomes(redis, ids), strict=True
        )
    )


_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def _stored(job_id: str, fields: dict[str, object], outcome: Fields) -> StoredJob:
    return StoredJob(
        id=text(job_id), fields=Fields(fields), outcome=outcome, most=SHOWN_BYTES
    )


def _fields(names: Sequence[str], values: object) -> dict[str, object]:
    if not isinstance(values, list):
        return {}  # the key is of another type
    return dict(zip(names, cast("list[object]", values), strict=True))


def _outcomes(redis: Redis, ids: Sequence[str]) -> Iterator[Fields]:
    """Yield the newest result of each job, but for those of many megabytes."""
    pipeline = redis.pipeline(transaction=False)
    for id_ in ids:
        pipeline.memory_usage(keys.results(id_))
    sizes = pipeline.execute(raise_on_error=False)
    for id_, size in zip(ids, sizes, strict=True):
        if isinstance(size, int) and size > _MOST_BYTES:
            pipeline.echo(b"")
        else:
            pipeline.xrevrange(keys.results(id_), count=1)
    for answer in pipeline.execute(raise_on_error=False):
        yield _TOO_LARGE if answer == b"" else newest(answer)


def _line(found: StoredJob) -> JobLine:
    fields = found.fields
    return JobLine(
        id=found.id,
        description=fields.text("description")[:SHOWN_BYTES],
        queue=fields.text("origin"),
        status=fields.text("status"),
        created_at=fields.moment("created_at"),
        enqueued_at=fields.moment("enqueued_at"),
        started_at=fields.moment("started_at"),
        ended_at=fields.moment("ended_at"),
        worker=fields.text("worker_name"),
        error=found.error,
        exists=bool(fields.text("created_at") or fields.text("status")),
    )


def _large(redis: Redis, place: str, sizes: Sequence[object]) -> dict[str, object]:
    """Return the large fields, but for those of many megabytes."""
    large: dict[str, object] = {}
    for name, size in zip(_LARGE, sizes, strict=True):
        if isinstance(size, int) and size > _MOST_BYTES:
            said = f"too large to show ({size:,} bytes stored)"
            large[name] = json.dumps(said).encode()
        else:
            large[name] = redis.hget(place, name)
    return large


def _score(
    redis: Redis, found: StoredJob, registry: Callable[[str], str]
) -> float | None:
    queue = found.fields.text("origin")
    try:
        return redis.zscore(registry(queue), found.id)
    except ResponseError:
        return None  # a key of a wrong type


def _dependencies(redis: Redis, written: bytes | None) -> dict[str, bool]:
    ids = read_json(written).value
    names = [text(id_) for id_ in ids][:100] if isinstance(ids, list) else []
    return {name: bool(redis.exists(keys.job(name))) for name in names}
