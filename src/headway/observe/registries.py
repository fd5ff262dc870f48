from __future__ import annotations

from collections.abc import Sequence

from redis import Redis
from redis.exceptions import ResponseError

from headway.wire import keys
from headway.wire.reading import text

REGISTRIES = keys.REGISTRIES


def key(queue: str, registry: str) -> str:
    """Return the Redis key of one queue's registry."""
    return REGISTRIES[registry](queue)


def size(redis: Redis, queue: str, registry: str) -> int:
    """Count the jobs of a registry."""
    place = key(queue, registry)
    try:
        return redis.llen(place) if registry == "queued" else redis.zcard(place)
    except ResponseError:
        return 0  # a key of a wrong type


def job_ids(
    redis: Redis,
    queue: str,
    registry: str,
    *,
    offset: int = 0,
    length: int = 10,
    newest_first: bool = False,
) -> list[str]:
    """Return exactly the ids of one page, fewer on the last one."""
    place, last = key(queue, registry), offset + length - 1
    found: Sequence[object]
    try:
        if registry != "queued":
            found = redis.zrange(place, offset, last, desc=newest_first)
        elif newest_first:
            found = redis.lrange(place, -last - 1, -offset - 1)[::-1]
        else:
            found = redis.lrange(place, offset, last)
    except ResponseError:
        # A key of a wrong type is no registry, and must not hide the others.
        found = []
    return [job_id(member) for member in found]


def waiting(redis: Redis, queue: str) -> int:
    """Count the jobs that wait for a worker, here or in another engine's hands."""
    return size(redis, queue, "queued") + size(redis, queue, "sent")


def waiting_ids(
    redis: Redis,
    queue: str,
    *,
    offset: int = 0,
    length: int = 10,
    newest_first: bool = False,
) -> list[str]:
    """Return one page of those that wait; what another engine carries waits longest."""
    places, start, found = ["sent", "queued"], offset, list[str]()
    for place in reversed(places) if newest_first else places:
        found += job_ids(
            redis,
            queue,
            place,
            offset=max(start, 0),
            length=length - len(found),
            newest_first=newest_first,
        )
        if len(found) == length:
            break
        start -= size(redis, queue, place)
    return found


def put_aside(redis: Redis, most: int = 20) -> list[str]:
    """Return ids that workers have put aside: their keys hold no job to be read."""
    try:
        return [text(found) for found in redis.lrange(keys.QUARANTINE, 0, most - 1)]
    except ResponseError:
        return []


def job_id(member: object) -> str:
    """Return the id in a member: the started registry adds the execution's."""
    return text(member).partition(":")[0]
