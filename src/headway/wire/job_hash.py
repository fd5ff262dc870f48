"""RQ's job hash and result stream, written and read field by field.

Source: `Job.to_dict`, `Job.restore` and `Result.serialize` of rq 3.0.0. The suite in
tests/wire compares what is written here with what RQ itself writes. What is read may
be nonsense, for whoever reaches Redis can write it: a field that cannot be read is
left out, so that one such job does not hide the others of a list.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from json.encoder import encode_basestring_ascii
from typing import Any, TypedDict, cast

from headway.codec import Arguments
from headway.job import JobInfo, JobStatus, Progress
from headway.message import Terms
from headway.retry import RetryWire

TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
#: RQ compresses every payload, and reads what is not. Below this many bytes it saves
#: nothing, and costs more than all the rest of writing a job.
LONGEST_PLAIN = 256
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
#: Result.Type of RQ.
SUCCESSFUL, FAILED, MAX_RETRIES_EXCEEDED = b"1", b"2", b"5"


#: Fields that RQ writes without a value.
EMPTY = (
    "success_callback_name",
    "failure_callback_name",
    "stopped_callback_name",
    "started_at",
    "ended_at",
    "last_heartbeat",
    "worker_name",
    "group_id",
)


class Extras(TypedDict, total=False):
    """What RQ has no field for: `meta["headway"]`."""

    #: An aware time in ISO format.
    expires_at: str
    #: A rule for this one call; None for no rule at all.
    retry: RetryWire | None
    #: The unique key to give back when the job ends.
    unique: str
    progress: dict[str, Any]
    #: What the job said last, line by line.
    log: list[str]
    #: One line for each attempt that failed.
    errors: list[str]


def time_text(when: datetime) -> str:
    """Return a time as RQ writes it."""
    utc = when if when.tzinfo is UTC else when.astimezone(UTC)
    return f"{utc.isoformat(timespec='microseconds')[:-6]}Z"


def text(value: object) -> str:
    """Return what Redis answered as text."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def standing(terms: Terms) -> dict[str, str | int]:
    """Return the fields of a new job that its terms alone decide.

    Beside them a job has its payload and description, its times, and its meta.
    """
    return {
        **dict.fromkeys(EMPTY, ""),
        "origin": terms.queue,
        "timeout": whole_seconds(terms.timeout),
        "status": str(JobStatus.SCHEDULED if terms.due else JobStatus.QUEUED),
        **optional(terms),
    }


def optional(terms: Terms) -> dict[str, str | int]:
    """Return those of these fields that few jobs have."""
    fields: dict[str, str | int] = {}
    if terms.due and terms.at_front:
        fields["enqueue_at_front"] = 1
    if terms.result_ttl is not None:
        fields["result_ttl"] = whole_seconds(terms.result_ttl)
    if terms.failure_ttl is not None:
        fields["failure_ttl"] = whole_seconds(terms.failure_ttl)
    return fields


def meta(terms: Terms, unique_key: str | None) -> str:
    """Return what RQ has no field for; empty where there is nothing."""
    extras = Extras()
    if terms.expires_at:
        extras["expires_at"] = terms.expires_at.isoformat()
    if terms.retry or not terms.retries:
        extras["retry"] = terms.retry.to_wire() if terms.retry else None
    if unique_key and terms.unique and terms.unique.until == "end":
        extras["unique"] = unique_key
    return json.dumps({"headway": extras}) if extras else ""


def payload(task: str, arguments: Arguments) -> bytes:
    """Return a call as RQ's JSON serializer writes it, a long one compressed."""
    args = ", ".join([_json(value) for value in arguments.args])
    kwargs = json.dumps(arguments.kwargs) if arguments.kwargs else "{}"
    written = f"[{_json(task)}, null, [{args}], {kwargs}]".encode()
    return written if len(written) <= LONGEST_PLAIN else zlib.compress(written)


def _json(value: object) -> str:
    # As json.dumps has it, which takes longer to begin than most values to write.
    kind = type(value)
    if kind is str:
        return encode_basestring_ascii(cast("str", value))
    return int.__repr__(cast("int", value)) if kind is int else json.dumps(value)


def read(
    job_id: str,
    fields: Mapping[bytes, bytes],
    latest_result: Mapping[bytes, bytes] | None = None,
    due: float | None = None,
) -> JobInfo:
    """Return the snapshot that a hash, its last result and its due time tell."""
    text = {
        key.decode(errors="replace"): value.decode(errors="replace")
        for key, value in fields.items()
        if key not in (b"data", b"exc_info", b"result")
    }
    task, args, kwargs = read_call(fields.get(b"data", b""))
    status = _status(text.get("status", ""))
    extras = extras_of(json_object(text.get("meta")))
    return JobInfo(
        id=job_id,
        task=task,
        queue=text.get("origin", ""),
        status=status,
        args=args,
        kwargs=kwargs,
        description=text.get("description", ""),
        attempt=attempt(
            status, text.get("started_at"), text.get("number_of_retries", "")
        ),
        created_at=_time(text.get("created_at")),
        enqueued_at=_time(text.get("enqueued_at")),
        due=_moment(due),
        started_at=_time(text.get("started_at")),
        ended_at=_time(text.get("ended_at")),
        timeout=_duration(text.get("timeout")),
        progress=_progress(extras),
        log=_lines(extras.get("log")),
        worker=text.get("worker_name") or None,
        error=_error(status, fields, latest_result, extras),
        errors=_lines(extras.get("errors")),
        result=_result(status, latest_result),
    )


def read_call(data: bytes) -> tuple[str, tuple[object, ...], dict[str, object]]:
    """Return task, args and kwargs; never unpickles, whatever the bytes are."""
    with contextlib.suppress(zlib.error):
        data = zlib.decompress(data)
    try:
        task, _instance, args, kwargs = json.loads(data)
        return str(task), tuple(args), dict(kwargs)
    except (ValueError, TypeError, RecursionError):
        return "(a payload that is not JSON)", (), {}


def extras_of(meta: Mapping[str, Any]) -> Extras:
    """Return what Headway keeps in a job's meta."""
    found = meta.get("headway")
    return cast("Extras", found) if isinstance(found, dict) else Extras()


def json_object(text: str | bytes | None) -> dict[str, Any]:
    """Return a stored JSON object; an empty one for anything else."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _status(text: str) -> JobStatus:
    if text in _WAITING:
        return _WAITING[text]
    try:
        return JobStatus(text)
    except ValueError:
        return JobStatus.FAILED  # a corrupt hash never runs; its error says more


def attempt(status: str, started_at: object, retried: str) -> int:
    """Return the number of the attempt that runs or ran last; 0 before the first."""
    # RQ keeps the time of the last start while a job waits for its next.
    begun = 1 if started_at and status in _BEGUN else 0
    return (int(retried) if retried.isdecimal() else 0) + begun


def _progress(extras: Extras) -> Progress | None:
    try:
        return Progress(**extras.get("progress", {}))
    except TypeError:
        return None  # none yet, or not ours


def _error(
    status: JobStatus,
    fields: Mapping[bytes, bytes],
    latest: Mapping[bytes, bytes] | None,
    extras: Extras,
) -> str | None:
    if status is JobStatus.FINISHED:
        return None
    if latest and latest.get(b"type") in (FAILED, MAX_RETRIES_EXCEEDED):
        text = _unpacked(_from_base64(latest.get(b"exc_string", b"")))
    else:
        text = _unpacked(fields.get(b"exc_info", b""))
    return text or "\n".join(_lines(extras.get("errors"))[-1:]) or None


def _lines(written: object) -> tuple[str, ...]:
    return tuple(map(str, written)) if isinstance(written, list) else ()


def _result(status: JobStatus, latest: Mapping[bytes, bytes] | None) -> object:
    if status is not JobStatus.FINISHED or not latest:
        return None
    if latest.get(b"type") != SUCCESSFUL or b"return_value" not in latest:
        return None
    try:
        return json.loads(base64.b64decode(latest[b"return_value"]))
    except (ValueError, RecursionError):
        return None  # pickled by a stock worker: never opened


def _from_base64(data: bytes) -> bytes:
    try:
        return base64.b64decode(data)
    except binascii.Error:
        return data


def _unpacked(data: bytes) -> str:
    with contextlib.suppress(zlib.error):
        data = zlib.decompress(data)
    return data.decode(errors="replace")


def _time(text: str | None) -> datetime | None:
    try:
        return datetime.strptime(text or "", TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None


def _moment(seconds: float | None) -> datetime | None:
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _duration(text: str | None) -> timedelta | None:
    try:
        return timedelta(seconds=float(text or ""))
    except (ValueError, OverflowError):
        return None


def whole_seconds(time: timedelta) -> int:
    """Return a time as RQ keeps it."""
    # RQ's timeouts and times to live are whole seconds; never shorten one.
    return -int(-time.total_seconds() // 1)
