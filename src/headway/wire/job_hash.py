"""RQ's job hash, written field by field; `stored_job.py` reads it.

Source: `Job.to_dict` of rq 3.0.0. The suite in tests/wire compares what is written
here with what RQ itself writes.
"""

from __future__ import annotations

import json
import marshal
import zlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from json.encoder import encode_basestring_ascii
from typing import Any, TypedDict, cast

from headway.codec import Arguments
from headway.errors import ArgumentError
from headway.job import JobStatus
from headway.message import Terms
from headway.retry import Retry, RetryWire
from headway.wire import repeating
from headway.wire.repeating import RepeatWire

#: RQ compresses every payload, and reads what is not. Below this many bytes it saves
#: nothing, and costs more than all the rest of writing a job.
LONGEST_PLAIN = 256
MIB = 1024 * 1024
#: Redis and each worker hold a call in memory as a whole, in bytes.
LARGEST_CALL = 16 * MIB
#: The form of marshal that writes a value whole each time that it is met; JSON is never
#: longer than that by more than this factor ("\\u0000" for a byte, "true, " for one).
_NO_REFERENCES, _LONGER = 2, 12
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
    #: How a job that repeats goes on.
    repeat: RepeatWire
    #: The unique key to give back when the job ends.
    unique: str
    #: What `Signer.sign` has made of its call.
    signature: str
    #: The workflow that it is a node of.
    workflow: str
    progress: dict[str, Any]
    #: What the job said last, line by line.
    log: list[str]
    #: That is of the last run of a job that repeats: the next begins a new one.
    log_is_old: bool
    #: Where an attempt has come to, in the task's own words.
    checkpoint: Any
    #: One line for each attempt that failed.
    errors: list[str]


def time_text(when: datetime) -> str:
    """Return a time as RQ writes it."""
    utc = when if when.tzinfo is UTC else when.astimezone(UTC)
    # As isoformat() has it, which asks the zone for its offset and takes twice as long.
    day = (utc.year, utc.month, utc.day)
    time = (utc.hour, utc.minute, utc.second, utc.microsecond)
    return (b"%04d-%02d-%02dT%02d:%02d:%02d.%06dZ" % (*day, *time)).decode()


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
    if terms.at_front and (terms.due or terms.repeat):
        fields["enqueue_at_front"] = 1
    if terms.result_ttl is not None:
        fields["result_ttl"] = whole_seconds(terms.result_ttl)
    if terms.failure_ttl is not None:
        fields["failure_ttl"] = whole_seconds(terms.failure_ttl)
    if terms.on_orphan:
        fields["headway_on_orphan"] = terms.on_orphan
    return {**fields, **repeating.fields(terms)} if terms.repeat else fields


def meta(terms: Terms, unique_key: str | None) -> str:
    """Return what RQ has no field for; empty where there is nothing."""
    others = dict(terms.meta or {})
    extras = Extras()
    if terms.expires_at:
        extras["expires_at"] = terms.expires_at.isoformat()
    if terms.retry or not terms.retries:
        extras["retry"] = terms.retry.to_wire() if terms.retry else None
    if rule := repeating.wire(terms):
        extras["repeat"] = rule
    if unique_key and terms.unique and terms.unique.until == "end":
        extras["unique"] = unique_key
    if terms.signature:
        extras["signature"] = terms.signature
    if terms.workflow:
        extras["workflow"] = terms.workflow
    if extras:
        others["headway"] = extras
    return json.dumps(others) if others else ""


def payload(task: str, arguments: Arguments) -> bytes:
    """Return a call as RQ keeps it: a long one compressed.

    Raises:
        ArgumentError: it is larger than any queue should carry.
    """
    written = call(task, arguments)
    if len(written) > LARGEST_CALL:
        raise _too_large(task, written)
    return written if len(written) <= LONGEST_PLAIN else zlib.compress(written)


def check_sizes(calls: Iterable[tuple[str, Arguments]], count: int) -> None:
    """Refuse calls of which one is too large, before the first of them is sent.

    Raises:
        ArgumentError: one is, and which.
    """
    for number, (task, arguments) in enumerate(calls, 1):
        if _may_be_too_large(arguments):
            written = call(task, arguments)
            if len(written) > LARGEST_CALL:
                which = f"number {number} of {count}, {task}"
                raise _too_large(which, written)


def _may_be_too_large(arguments: Arguments) -> bool:
    values: Any = (arguments.args, arguments.kwargs)
    try:  # a tenth of the time that JSON takes, for calls as most are
        size = len(marshal.dumps(values, _NO_REFERENCES))
    except ValueError:  # a mapping of another kind
        return True
    return size * _LONGER > LARGEST_CALL


def _too_large(which: str, written: bytes) -> ArgumentError:
    return ArgumentError(
        f"{which}: its arguments are {len(written) / MIB:.1f} MiB as JSON, at most "
        f"{LARGEST_CALL // MIB} travel: keep the data in a file, a bucket or a "
        "table, and send where it is"
    )


def call(task: str, arguments: Arguments) -> bytes:
    """Return a call as RQ's JSON serializer writes it."""
    args = ", ".join([_json(value) for value in arguments.args])
    kwargs = json.dumps(arguments.kwargs) if arguments.kwargs else "{}"
    return f"[{_json(task)}, null, [{args}], {kwargs}]".encode()


def _json(value: object) -> str:
    # As json.dumps has it, which takes longer to begin than most values to write.
    kind = type(value)
    if kind is str:
        return encode_basestring_ascii(cast("str", value))
    return int.__repr__(cast("int", value)) if kind is int else json.dumps(value)


def extras_of(meta: Mapping[str, Any]) -> Extras:
    """Return what Headway keeps in a job's meta."""
    found = meta.get("headway")
    return cast("Extras", found) if isinstance(found, dict) else Extras()


def workflow_of(meta: bytes) -> str:
    """Return the workflow that a job is a node of; empty for none."""
    if b'"workflow"' not in meta:  # as of nearly all
        return ""
    return extras_of(json_object(meta)).get("workflow", "")


def retry_of(extras: Extras, of_task: Retry | None) -> Retry | None:
    """Return the rule of this one call, or else that of its task."""
    if "retry" not in extras:
        return of_task
    wire = extras["retry"]
    return Retry.from_wire(wire) if wire else None


def incarnation(created_at: str, repeats_left: object) -> str:
    """Return what tells a job from others that have had its id, and its repeats."""
    return f"{created_at}:{repeats_left or ''}".rstrip(":")


def json_object(text: str | bytes | None) -> dict[str, Any]:
    """Return a stored JSON object; an empty one for anything else."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def whole_seconds(time: timedelta) -> int:
    """Return a time as RQ keeps it."""
    # RQ's timeouts and times to live are whole seconds; never shorten one.
    return -int(-time.total_seconds() // 1)
