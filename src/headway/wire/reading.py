"""What RQ wrote, read leniently: whoever can write to Redis can write nonsense.

One unreadable field hides itself, with a reason, and never the page it stands on. A
pickle is never opened: that would run what its sender wished.
"""

from __future__ import annotations

import binascii
import json
import zlib
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A stored value, or the reason why it cannot be read; false where none is."""

    #: In JSON's own types.
    value: object = None
    unread: str = ""
    found: bool = False

    def __bool__(self) -> bool:
        return self.found or bool(self.unread)

    @property
    def text(self) -> str:
        """Return the value as a person reads it, empty where there is none."""
        return pretty(self.value) if self.found else ""


class Fields:
    """The fields of a Redis hash, each of which may be missing or nonsense."""

    def __init__(self, raw: Mapping[str, object]) -> None:
        self._raw = raw

    @classmethod
    def of(cls, answer: object) -> Fields:
        """Return what Redis answered, which may be an error or of another type."""
        found = cast("dict[object, object]", answer) if isinstance(answer, dict) else {}
        return cls({text(name): value for name, value in found.items()})

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
    """Return bytes or text as text that any encoding can carry; else nothing."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    # JSON may spell half a surrogate pair, which UTF-8 cannot write.
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def read_json(raw: bytes | None, most: int | None = None) -> Reading:
    """Read JSON, plain or compressed, of no more than `most` bytes."""
    if not raw:
        return Reading()
    plain = _inflated(raw, most)
    if most is not None and len(plain) > most:
        return Reading(unread=f"too large to show ({len(raw):,} bytes stored)")
    try:
        return Reading(value=json.loads(plain), found=True)
    except (ValueError, RecursionError):
        return Reading(unread=f"not JSON ({len(raw):,} bytes); pickles stay closed")


def read_base64_json(raw: bytes | None, most: int | None = None) -> Reading:
    """Read what RQ keeps of a result: JSON in base64."""
    if not raw:
        return Reading()
    try:
        return read_json(b64decode(raw), most)
    except (binascii.Error, ValueError):
        return Reading(unread=f"not readable ({len(raw):,} bytes)")


def read_traceback(raw: bytes | None, most: int | None = None) -> str:
    """Read what RQ keeps of an exception: text, compressed, in base64."""
    if not raw:
        return ""
    try:
        return read_text(b64decode(raw, validate=True), most)
    except (binascii.Error, ValueError):
        return read_text(raw, most)


def read_text(raw: bytes | None, most: int | None = None) -> str:
    """Read text, plain or compressed, no more than `most` bytes of it."""
    return text(_inflated(raw, most)[:most]) if raw else ""


def pretty(value: object) -> str:
    """Return a JSON value on as many lines as it needs."""
    try:
        return text(json.dumps(value, indent=2, ensure_ascii=False))
    except (TypeError, ValueError, RecursionError):
        return text(repr(value))


def _inflated(raw: bytes, most: int | None) -> bytes:
    """Return what was compressed, not much more than `most` of it, or the bytes."""
    inflating = zlib.decompressobj()
    try:
        plain = inflating.decompress(raw, 0 if most is None else most + 1)
    except zlib.error:
        return raw
    # "8" and "80" begin as if they were compressed, and come to no end.
    is_whole = inflating.eof or (most is not None and len(plain) > most)
    return plain if is_whole else raw
