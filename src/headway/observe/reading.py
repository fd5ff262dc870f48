"""What RQ wrote, read leniently: whoever can write to Redis can write nonsense.

One unreadable field hides itself, with a reason, and never the page it stands on.
"""

from __future__ import annotations

import binascii
import json
import zlib
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

#: What a page shows of one field; a payload may have megabytes.
SHOWN_BYTES = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A stored value as a person reads it, or the reason why it is not shown."""

    text: str = ""
    #: The value in JSON's own types.
    value: object = None
    unread: str = ""

    def __bool__(self) -> bool:
        return bool(self.text or self.unread)


class Fields:
    """The fields of a Redis hash, each of which may be missing or nonsense."""

    def __init__(self, raw: Mapping[str, object]) -> None:
        self._raw = raw

    def text(self, name: str) -> str:
        """Return the field as text, empty where it is missing."""
        return text(self._raw.get(name))

    def moment(self, name: str) -> datetime | None:
        """Return the field as an aware time."""
        try:
            written = datetime.fromisoformat(self.text(name))
        except ValueError:
            return None
        return written if written.tzinfo else written.replace(tzinfo=UTC)

    def integer(self, name: str) -> int | None:
        """Return the field as a whole number."""
        try:
            return int(self.text(name))
        except ValueError:
            return None

    def number(self, name: str) -> float:
        """Return the field as a number, 0 where it is none."""
        try:
            return float(self.text(name))
        except ValueError:
            return 0.0

    def raw(self, name: str) -> bytes | None:
        """Return the field's bytes."""
        value = self._raw.get(name)
        return value if isinstance(value, bytes) else None


def text(value: object) -> str:
    """Return bytes or text as text that any encoding of a page can carry."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    # JSON may spell half a surrogate pair, which UTF-8 cannot write.
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def inflated(raw: bytes) -> bytes:
    """Return what was compressed, no more of it than a page shows, or the bytes."""
    try:
        return zlib.decompressobj().decompress(raw, SHOWN_BYTES + 1)
    except zlib.error:
        return raw


def read_json(raw: bytes | None) -> Reading:
    """Read JSON, plain or compressed; never a pickle, which would run its sender."""
    if not raw:
        return Reading()
    plain = inflated(raw)
    if len(plain) > SHOWN_BYTES:
        return Reading(unread=f"too large to show ({len(raw):,} bytes stored)")
    try:
        value = json.loads(plain)
    except (ValueError, RecursionError):
        return Reading(unread=f"not JSON ({len(raw):,} bytes); pickles stay closed")
    return Reading(text=pretty(value), value=value)


def read_base64_json(raw: bytes | None) -> Reading:
    """Read what RQ keeps of a result: JSON in base64."""
    if not raw:
        return Reading()
    try:
        return read_json(b64decode(raw))
    except (binascii.Error, ValueError):
        return Reading(unread=f"not readable ({len(raw):,} bytes)")


def read_traceback(raw: bytes | None) -> str:
    """Read what RQ keeps of an exception: text, compressed, in base64."""
    if not raw:
        return ""
    try:
        return text(inflated(b64decode(raw, validate=True))[:SHOWN_BYTES])
    except (binascii.Error, ValueError):
        return text(raw[:SHOWN_BYTES])


def pretty(value: object) -> str:
    """Return a JSON value on as many lines as it needs."""
    try:
        return text(json.dumps(value, indent=2, ensure_ascii=False))
    except (TypeError, ValueError, RecursionError):
        return text(repr(value))
