"""One job as `enqueue_one.lua` takes it: what nearly every call sends."""

from __future__ import annotations

from datetime import datetime

from headway.message import Envelope
from headway.wire import job_hash, keys
from headway.wire.line import pack
from headway.wire.scripts import Script
from headway.wire.standing import standing

_LISTED = Script("enqueue_one")
_CARRIED = Script("enqueue_carried")
#: How the command begins: whether a message carries the job, and whether the script is
#: whole.
_BEGINS = {
    (is_carried, whole): pack(*words, 4)
    for is_carried, script in ((False, _LISTED), (True, _CARRIED))
    for whole, words in (
        (False, (b"EVALSHA", script.sha)),
        (True, (b"EVAL", script.text)),
    )
}
#: The words of a command: name, script, number of keys, keys, and the arguments
#: before those that the terms decide.
_WORDS = 3 + 4 + 5
_PREFIX = keys.JOB_PREFIX.encode()
_BACK, _FRONT = pack(b"RPUSH"), pack(b"LPUSH")


def is_single(envelope: Envelope) -> bool:
    """Tell whether it begins now and is in nobody's way."""
    terms = envelope.terms
    return terms.due is None and terms.unique is None


def single(
    envelope: Envelope, now: datetime, *, whole: bool = False, message: bytes = b""
) -> bytes:
    """Return the command that enqueues a job, by the script's hash or whole.

    `message` is what hands it over to another engine, as `handed_over` packs it.
    """
    terms, job_id = envelope.terms, envelope.id.encode()
    common = standing(terms)
    key = _PREFIX + job_id
    data = job_hash.payload(terms.task, envelope.arguments)
    text = envelope.description.encode(errors="replace")
    return (
        b"*%d\r\n%b$%d\r\n%b\r\n%b$%d\r\n%b\r\n%b"
        b"$27\r\n%b\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n%b"
    ) % (
        _WORDS + common.rest_words,
        _BEGINS[bool(message), whole],
        len(key),
        key,
        common.queue,
        len(job_id),
        job_id,
        pack(message) if message else _FRONT if terms.at_front else _BACK,
        job_hash.time_text(now).encode(),
        len(data),
        data,
        len(text),
        text,
        common.rest,
    )
