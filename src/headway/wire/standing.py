"""What jobs on the same terms have in common, packed once for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from headway.message import Terms
from headway.wire import job_hash, keys
from headway.wire.line import pack

#: Terms to remember; the tasks of an application have a few.
_REMEMBERED = 200
#: By the identity of the terms, which are kept so that it stays theirs.
_remembered: dict[int, tuple[Terms, Standing]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The fields of a job that its terms decide, and where it is put."""

    #: Field, value, field, value ... without payload, description and times.
    fields: bytes
    #: How many these are.
    words: int
    #: Keys for `enqueue.lua`: where the job is put, its wake-up list, its unique key.
    place: bytes
    #: And its arguments: queue, end of the queue or due time, unique ttl, until.
    how: bytes
    #: Keys for `enqueue_one.lua`: queue, all queues, wake-up list.
    queue: bytes
    #: And its last arguments, from the name of the queue on; and how many these are.
    rest: bytes
    rest_words: int


def standing(terms: Terms) -> Standing:
    """Return what jobs on these terms have in common."""
    found = _remembered.get(id(terms))
    if found and found[0] is terms:
        return found[1]
    made = _made(terms)
    if terms.are_lasting:
        if len(_remembered) >= _REMEMBERED:
            _remembered.clear()
        _remembered[id(terms)] = (terms, made)
    return made


def times(terms: Terms, now: str) -> bytes:
    """Return the fields that say when a job was made and, if so, enqueued."""
    if terms.due:
        return b"$10\r\ncreated_at\r\n$27\r\n%b\r\n" % now.encode()
    written = now.encode()
    return b"$10\r\ncreated_at\r\n$27\r\n%b\r\n$11\r\nenqueued_at\r\n$27\r\n%b\r\n" % (
        written,
        written,
    )


def _made(terms: Terms) -> Standing:
    queue, unique = keys.queue(terms.queue), terms.unique
    unique_key = keys.unique(unique.key) if unique and unique.key else ""
    wake = keys.wake(terms.queue)
    meta = job_hash.meta(terms, unique_key)
    written = {"meta": meta} if meta else {}
    fields = _words({**job_hash.standing(terms), **written})
    seconds = job_hash.whole_seconds(terms.timeout)
    rest = [terms.queue, seconds, *_words({**job_hash.optional(terms), **written})]
    if terms.due:
        place = pack(keys.scheduled(terms.queue), "", unique_key)
    else:
        place = pack(queue, wake, unique_key)
    ttl = _milliseconds(unique.ttl) if unique else 0
    return Standing(
        fields=pack(*fields),
        words=len(fields),
        place=place,
        how=pack(queue, _how(terms), ttl, unique.until if unique else "end"),
        queue=pack(queue, keys.QUEUES, wake),
        rest=pack(*rest),
        rest_words=len(rest),
    )


def _words(fields: Mapping[str, str | int]) -> list[str | int]:
    return [word for pair in fields.items() for word in pair]


def _how(terms: Terms) -> str | float:
    if terms.due:
        return terms.due.timestamp()
    return "front" if terms.at_front else "back"


def _milliseconds(ttl: timedelta) -> int:
    # Redis refuses a time to live of nothing, in the middle of the script.
    return max(1, ttl // timedelta(milliseconds=1))
