"""All that a database holds, flat, with what must differ between two runs levelled.

Each path is a key, a member or a field; its value is text, a `Near`, or bytes. Times
become `<time>`, since two runs are never at the same one, but only where they are
written as RQ writes them and lie within the run. Scores and times to live are counted
from the end of the job that they belong to, and compared with a tolerance.
"""

from __future__ import annotations

import base64
import contextlib
import json
import pickle
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import time

from redis import Redis

#: Seconds by which two runs may differ in what is counted from a job's end, and in
#: what has to be counted from the moment of reading, for its job is gone.
TOLERANCE, LOOSE = 3, 60
WRITTEN_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"
EXECUTION = re.compile(r"\b[0-9a-f]{32}\b")
FRAME = re.compile(r'^  File "(?P<file>[^"]+)", line \d+, in .+$')


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """A moment: the same as another at that time, or as long after its job's end."""

    seconds: float
    at: float
    tolerance: float = TOLERANCE

    def is_as(self, other: Near) -> bool:
        apart = abs(self.seconds - other.seconds), abs(self.at - other.at)
        return min(apart) <= max(self.tolerance, other.tolerance)


Value = str | bytes | Near
Snapshot = dict[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Reads what one run left in its database."""

    client: Redis
    worker: str
    #: What stands in place of what: random ids, ports.
    aliases: Mapping[str, str] = field(default_factory=dict)
    #: The time before the first job was sent.
    began: float
    #: What stands in front of RQ's keys.
    prefix: str = "rq"

    def read(self) -> Snapshot:
        """Return all keys with type, time to live and content."""
        found: Snapshot = {}
        for raw in self.client.scan_iter(count=1000):
            key = raw.decode()
            kind = self.client.type(raw).decode()
            if kind == "none":
                continue  # it expired just now
            path = self.level(key.replace(f"{self.prefix}:", "rq:", 1))
            found[path] = f"a {kind}"
            found[f"{path} ttl"] = self._ttl(key)
            for part, value in READERS[kind](self, key):
                found[f"{path}{part}"] = value
        return found

    def level(self, text: str) -> str:
        """Return the text without what is one run's own."""
        for own, common in self.aliases.items():
            text = text.replace(own, common)
        text = re.sub(rf"\b{re.escape(self.worker)}(-\d+)?\b", "<worker>", text)
        return EXECUTION.sub("<execution>", text)

    def _ttl(self, key: str) -> Value:
        left = self.client.pttl(key)
        if left == -1:
            return "for ever"
        return self._near(time() + left / 1000, key)

    def _near(self, at: float, text: str) -> Near:
        """Count a moment from the end of the job that a key or a member names."""
        end = self._end(text)
        if end is None:
            return Near(seconds=at - time(), at=at, tolerance=LOOSE)
        return Near(seconds=at - end, at=at)

    def _end(self, text: str) -> float | None:
        for job_id in re.findall(r"[\w-]+--[\w-]+", text) or self._own_ids(text):
            fields = self.client.hmget(f"{self.prefix}:job:{job_id}", *ENDS)
            for written in fields:
                if written:
                    return _moment(written.decode())
        return None

    def _own_ids(self, text: str) -> list[str]:
        return [own for own in self.aliases if own in text]

    # One reader a type

    def _string(self, key: str) -> Iterator[tuple[str, Value]]:
        yield "=", self.level((self.client.get(key) or b"").decode())

    def _list(self, key: str) -> Iterator[tuple[str, Value]]:
        items = [item.decode() for item in self.client.lrange(key, 0, -1)]
        yield "[]", self.level(" ".join(items))

    def _set(self, key: str) -> Iterator[tuple[str, Value]]:
        for member in self.client.smembers(key):
            yield f"[{self.level(member.decode())}]", "a member"

    def _zset(self, key: str) -> Iterator[tuple[str, Value]]:
        for raw, score in self.client.zrange(key, 0, -1, withscores=True):
            member = raw.decode()
            counted = abs(score) > 1e9 and abs(score) < 1e11
            value = self._near(score, member) if counted else str(score)
            yield f"[{self.level(member)}]", value

    def _hash(self, key: str) -> Iterator[tuple[str, Value]]:
        fields = {k.decode(): v for k, v in self.client.hgetall(key).items()}
        for name, value in fields.items():
            if name == "meta":
                yield from _meta(value)
            else:
                yield f".{self.level(name)}", self._field(name, value)
        yield " in order", str(_in_order(fields))

    def _stream(self, key: str) -> Iterator[tuple[str, Value]]:
        for index, (_id, fields) in enumerate(self.client.xrange(key)):
            for name, value in fields.items():
                field = name.decode()
                yield f"[{index}].{field}", self._field(field, value)

    def _field(self, name: str, value: bytes) -> Value:
        if name in READ_FIELDS:
            value = READ_FIELDS[name](value)
        if name in ("data", "return_value"):
            return value
        text = value.decode(errors="backslashreplace")
        if name in TIMES and self._is_of_this_run(text):
            return "<time>"
        if name in FIGURES and FIGURES[name].fullmatch(text):
            return f"<{name}>"
        return self.level(text)

    def _is_of_this_run(self, text: str) -> bool:
        return self.began - 1 <= _moment(text) <= time() + 1


def _meta(packed: bytes) -> Iterator[tuple[str, Value]]:
    """Return what the application keeps on a job, and apart from it what Headway does.

    Both serializers write a mapping; these jobs are our own, so their pickle is safe.
    """
    loads = json.loads if packed.startswith(b"{") else pickle.loads
    for name, value in loads(packed).items():
        yield f".meta.{name}", repr(value)


def _moment(text: str) -> float:
    with contextlib.suppress(ValueError):
        return datetime.strptime(text, WRITTEN_TIME).replace(tzinfo=UTC).timestamp()
    return float(text) if re.fullmatch(r"\d+\.\d+", text) else 0


def _in_order(fields: dict[str, bytes]) -> bool:
    """Tell whether a job was sent, then taken, then begun, then ended."""
    names = ("created_at", "enqueued_at", "started_at", "ended_at")
    times = [_moment(fields[name].decode()) for name in names if fields.get(name)]
    return times == sorted(times)


def _traceback(packed: bytes) -> bytes:
    return own_frames(_unpacked(packed).decode()).encode()


def _unpacked(data: bytes) -> bytes:
    """Return it as RQ reads it, which takes what is not compressed as well."""
    with contextlib.suppress(zlib.error):
        return zlib.decompress(data)
    return data


def own_frames(text: str) -> str:
    """Return what of a traceback tells of the job, not of the worker that runs it."""
    kept: list[str] = []
    ours = True
    for line in text.splitlines():
        if match := FRAME.match(line):
            ours = "/parity_tasks/" in match["file"]
        elif not line.startswith("    "):
            ours = True
        if ours:
            kept.append(line)
    return "\n".join(kept)


#: How what is packed in a field is unpacked.
READ_FIELDS: dict[str, Callable[[bytes], bytes]] = {
    "exc_string": lambda value: _traceback(base64.b64decode(value)),
    "exc_info": _traceback,
    "return_value": base64.b64decode,
    "data": _unpacked,
}
TIMES = {
    "created_at",
    "enqueued_at",
    "started_at",
    "ended_at",
    "last_heartbeat",
    "execution_started_at",
    "execution_ended_at",
    "birth",
    "death",
    "shutdown_requested_date",
}
#: The first of these that a job has is its end, for what is counted from there.
ENDS = ("ended_at", "enqueued_at", "created_at")
FIGURES = {
    "pid": re.compile(r"\d+"),
    "total_working_time": re.compile(r"\d+\.?\d*(e-\d+)?"),
    "ip_address": re.compile(r"127\.0\.0\.1:\d+"),
}
Parts = Iterator[tuple[str, Value]]
READERS: dict[str, Callable[[Reader, str], Parts]] = {
    "string": Reader._string,
    "list": Reader._list,
    "set": Reader._set,
    "zset": Reader._zset,
    "hash": Reader._hash,
    "stream": Reader._stream,
}
