"""What a job calls, read from bytes that anybody who reaches Redis may have written."""

from __future__ import annotations

import contextlib
import zlib
from typing import Any, NamedTuple

import msgspec

from headway.errors import UnreadableJobError
from headway.signing import Signer
from headway.wire import job_hash

#: How pickle begins from its second protocol on, and zlib.
PICKLE, ZLIB = 0x80, 0x78
_decode = msgspec.json.Decoder(tuple[str, str | None, list[Any], dict[str, Any]]).decode


class Call(NamedTuple):
    """A call as it travelled."""

    name: str
    args: list[Any]
    kwargs: dict[str, Any]


def unpacked(job_id: str, data: bytes) -> bytes:
    """Return a payload without its compression.

    Raises:
        UnreadableJobError: there is none.
    """
    if data and data[0] == ZLIB:
        with contextlib.suppress(zlib.error):
            data = zlib.decompress(data)
    if not data:
        raise UnreadableJobError(
            f"job {job_id} has no payload: `data` of its hash is empty"
        )
    return data


def check(signer: Signer, job_id: str, call: bytes, meta: bytes | None) -> None:
    """Refuse a job that is not signed.

    Raises:
        UnsignedJobError: that is so, and how.
    """
    extras = job_hash.extras_of(job_hash.json_object(meta))
    signer.check(job_id, call, extras.get("signature"))


def is_pickle(payload: bytes) -> bool:
    """Tell whether nothing of it may be read unless pickle is accepted."""
    return payload[0] == PICKLE


def read(job_id: str, payload: bytes) -> Call:
    """Return the call of a payload in JSON.

    Raises:
        UnreadableJobError: it is pickle, or no call.
    """
    if is_pickle(payload):
        raise UnreadableJobError(
            f"job {job_id} is pickle and not JSON, so nothing of it was read: whoever "
            "can write to Redis could run anything. Send it with "
            "Queue(serializer='json'), or accept it with App(accept_pickle=True)"
        )
    try:
        name, instance, args, kwargs = _decode(payload)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise UnreadableJobError(
            f"job {job_id} is not JSON of [function, null, arguments, named "
            f"arguments]: {error}"
        ) from error
    if instance is not None:
        raise UnreadableJobError(
            f"job {job_id} calls a method of an object that travelled with it: only "
            "functions may run"
        )
    return Call(name, args, kwargs)
