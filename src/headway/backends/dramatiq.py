"""Dramatiq: its messages in Redis, as dramatiq 2 writes them.

Source: `dramatiq/message.py` and `dramatiq/brokers/redis/dispatch.lua`, 2.2.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING
from uuid import uuid4

from headway.backends.capabilities import CAPABILITIES
from headway.backends.carried import CarriedBackend, Carrier, InRedis, Parcel, Words
from headway.wire import keys

if TYPE_CHECKING:
    from redis import Redis

#: How the keys begin under which Dramatiq keeps its queues: others may use this Redis.
NAMESPACE = f"{keys.OURS}:dramatiq"


def written(parcel: Parcel, options: dict[str, object]) -> str:
    """Return a message; its id is the job's."""
    args, kwargs = parcel.arguments
    return json.dumps(
        {
            "queue_name": parcel.queue,
            "actor_name": parcel.task,
            "args": list(args),
            "kwargs": dict(kwargs),
            "options": options,
            "message_id": parcel.id,
            "message_timestamp": int(time.time() * 1000),
        }
    )


def in_redis(parcel: Parcel) -> list[Words]:
    """Return the commands that put a message into Dramatiq's queue in Redis."""
    place = f"{NAMESPACE}:{parcel.queue}"
    # One of its own for each that is sent: a second one of a job is another message.
    own = str(uuid4())
    message = written(parcel, {"redis_message_id": own})
    # Its workers take from the left.
    push = "LPUSH" if parcel.at_front else "RPUSH"
    return [("HSET", f"{place}.msgs", own, message), (push, place, own)]


def _length(client: Redis, queue: str) -> int:
    # Not what workers have fetched: a dead one keeps that for a minute or for ever.
    return int(client.llen(f"{NAMESPACE}:{queue}"))


class DramatiqBackend(CarriedBackend):
    """Has jobs carried by Dramatiq, in the Redis of the jobs."""

    engine = "dramatiq"
    capabilities = CAPABILITIES["dramatiq", ""]

    def _made_carrier(self) -> Carrier:
        return InRedis(self, in_redis, _length)
