from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from redis import Redis

from headway.errors import JobNotFoundError
from headway.job import Progress
from headway.observe.extras import errors_of, progress_of
from headway.observe.reading import (
    SHOWN_BYTES,
    Fields,
    Reading,
    pretty,
    read_base64_json,
    read_json,
    read_traceback,
    text,
)
from headway.observe.registries import job_ids, key
from headway.wire import keys
from headway.wire.job_hash import attempt

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
    "number_of_retries",
    "dependency_ids",
)
#: A line that begins an exception's message in a traceback: `ValueError: ...`.
_EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*(?:: .*)?$", re.MULTILINE)
#: What Redis may answer for one result before a page leaves it unread.
_RESULT_BYTES = 8_000_000


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
        return (found or lines_ or [""])[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPage:
    """Everything there is to show of one job."""

    line: JobLine
    task: str
    call: Reading
    args: tuple[str, ...] = ()
    kwargs: dict[str, str] = field(default_factory=dict[str, str])
    result: Reading
    meta: Reading
    progress: Progress | None = None
    attempt: int = 0
    #: One line for each attempt that failed, oldest first.
    errors: tuple[str, ...] = ()
    retries_left: int | None = None
    timeout: int | None = None
    #: When Redis forgets the job; None where it keeps it.
    expires_in: int | None = None
    #: When a scheduled job is due.
    due: datetime | None = None
    #: What it waits for, with whether that still exists.
    dependencies: dict[str, bool] = field(default_factory=dict[str, bool])


def lines(redis: Redis, ids: Sequence[str]) -> list[JobLine]:
    """Return one line for each id, in that order, whether or not the job exists."""
    pipeline = redis.pipeline(transaction=False)
    for id_ in ids:
        pipeline.hmget(keys.job(id_), _LINE_FIELDS)
    hashes = pipeline.execute(raise_on_error=False)
    return [
        _line(id_, _fields(_LINE_FIELDS, values), outcome)
        for id_, values, outcome in zip(ids, hashes, _outcomes(redis, ids), strict=True)
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
    for name in ("data", "meta", "result"):
        pipeline.hstrlen(place, name)
    pipeline.ttl(place)
    values, *sizes, ttl = pipeline.execute(raise_on_error=False)
    fields = _fields(_PAGE_FIELDS, values)
    if not any(sizes[:1]):
        raise JobNotFoundError(
            f"no job {job_id!r}: it was deleted, or its time to live is over"
        )
    outcome = next(_outcomes(redis, [job_id]))
    call = read_json(_stored(redis, place, "data", sizes[0]))
    meta = read_json(_stored(redis, place, "meta", sizes[1]))
    line = _line(job_id, fields, outcome)
    name, args, kwargs = _call(call.value)
    return JobPage(
        line=line,
        task=name or line.name,
        call=call,
        args=args,
        kwargs=kwargs,
        result=_result(redis, place, outcome, sizes[2]),
        meta=meta,
        progress=progress_of(meta.value),
        attempt=attempt(line.status, line.started_at, fields.text("number_of_retries")),
        errors=errors_of(meta.value),
        retries_left=fields.integer("retries_left"),
        timeout=fields.integer("timeout"),
        expires_in=ttl if isinstance(ttl, int) and ttl >= 0 else None,
        due=_due(redis, job_id, line),
        dependencies=_dependencies(redis, fields.raw("dependency_ids")),
    )


_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def _fields(names: Sequence[str], values: object) -> Fields:
    found: list[Any] = values if isinstance(values, list) else [None] * len(names)
    return Fields(dict(zip(names, found, strict=True)))


def _outcomes(redis: Redis, ids: Sequence[str]) -> Iterator[Fields]:
    """Yield the newest result of each job, but for those of many megabytes."""
    pipeline = redis.pipeline(transaction=False)
    for id_ in ids:
        pipeline.memory_usage(keys.results(id_))
    sizes = pipeline.execute(raise_on_error=False)
    for id_, size in zip(ids, sizes, strict=True):
        if isinstance(size, int) and size > _RESULT_BYTES:
            pipeline.echo(b"")
        else:
            pipeline.xrevrange(keys.results(id_), count=1)
    for answer in pipeline.execute(raise_on_error=False):
        yield Fields(_newest(answer))


def _newest(answer: object) -> dict[str, object]:
    if not isinstance(answer, list):
        # Too large to be asked for, or not a stream at all.
        return {"return_value": answer} if answer == b"" else {}
    entries: list[Any] = answer
    newest = entries[0][1] if entries else {}
    return {text(name): value for name, value in newest.items()}


def _line(job_id: str, fields: Fields, outcome: Fields) -> JobLine:
    return JobLine(
        id=text(job_id),
        description=fields.text("description")[:SHOWN_BYTES],
        queue=fields.text("origin"),
        status=fields.text("status"),
        created_at=fields.moment("created_at"),
        enqueued_at=fields.moment("enqueued_at"),
        started_at=fields.moment("started_at"),
        ended_at=fields.moment("ended_at"),
        worker=fields.text("worker_name"),
        error=read_traceback(outcome.raw("exc_string")),
        exists=bool(fields.text("created_at") or fields.text("status")),
    )


def _stored(redis: Redis, place: str, name: str, size: object) -> bytes | None:
    if isinstance(size, int) and size > _RESULT_BYTES:
        return json.dumps(f"too large to show ({size:,} bytes stored)").encode()
    value: object = redis.hget(place, name)
    return value if isinstance(value, bytes) else None


def _result(redis: Redis, place: str, outcome: Fields, size: object) -> Reading:
    written = outcome.raw("return_value")
    if written == b"":
        return Reading(unread="too large to show")
    # Before RQ had result streams, the job itself held the result.
    return read_base64_json(written) or read_json(_stored(redis, place, "result", size))


def _call(value: object) -> tuple[str, tuple[str, ...], dict[str, str]]:
    """Return the task's name and the arguments, where the payload is RQ's."""
    match value:
        case [str(name), _, list(args), dict(kwargs)]:
            shown = {text(key_): pretty(value_) for key_, value_ in kwargs.items()}
            return text(name), tuple(pretty(arg) for arg in args), shown
        case _:
            return "", (), {}


def _due(redis: Redis, job_id: str, line: JobLine) -> datetime | None:
    score: object = redis.zscore(key(line.queue, "scheduled"), job_id)
    if not isinstance(score, float):
        return None
    try:
        return datetime.fromtimestamp(score, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _dependencies(redis: Redis, written: bytes | None) -> dict[str, bool]:
    ids = read_json(written).value
    names = [text(id_) for id_ in ids][:100] if isinstance(ids, list) else []
    return {name: bool(redis.exists(keys.job(name))) for name in names}
