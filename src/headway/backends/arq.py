"""Arq: its messages in Redis, as arq 0.28 writes them, but in JSON in place of pickle.

Source: `arq/connections.py` (`enqueue_job`) and `arq/worker.py`. It takes no arq, which
wants an older redis-py than all others do, to send jobs.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING
from uuid import uuid4

from headway.backends.capabilities import CAPABILITIES
from headway.backends.carried import CarriedBackend, Carrier, InRedis, Parcel, Words
from headway.wire import keys
from headway.wire.reading import text

if TYPE_CHECKING:
    from redis import Redis

#: How the key of a queue begins; what Arq keeps of single messages begins as ever.
QUEUE_PREFIX = f"{keys.OURS}:arq:"
_MESSAGE, _IN_PROGRESS = "arq:job:", "arq:in-progress:"
#: For how long a message is kept, in milliseconds: one that is gone is sent again.
KEPT = 30 * 86_400_000
#: How many of a queue are looked at to tell whether nothing waits there.
LOOKED_AT = 100


def queue(name: str) -> str:
    """Return the name of a queue as its worker knows it."""
    return QUEUE_PREFIX + name


def job_id_of(own: str) -> str:
    """Return the id of the job that a message is of."""
    return own.partition(":")[0]


def in_redis(parcel: Parcel) -> list[Words]:
    """Return the commands that put a message into Arq's queue in Redis."""
    # One of its own for each that is sent: Arq forgets by this name at the end, and a
    # second message of the job may be on its way by then.
    own = f"{parcel.id}:{uuid4().hex}"
    now = time.time() * 1000
    args, kwargs = parcel.arguments
    message = {
        "t": None,
        "f": parcel.task,
        "a": list(args),
        "k": dict(kwargs),
        "et": int(now),
    }
    # Its workers begin with the lowest; of those for the front that is the latest.
    score = -now if parcel.at_front else now
    return [
        ("SET", _MESSAGE + own, json.dumps(message), "PX", KEPT),
        ("ZADD", queue(parcel.queue), score, own),
    ]


def _length(client: Redis, name: str) -> int:
    # One that a worker had in its hands, and died, stays there for as long as jobs may
    # take: it waits for nobody.
    found = client.zrange(queue(name), 0, LOOKED_AT - 1)
    if not found:
        return 0
    taken = client.exists(*[_IN_PROGRESS + text(own) for own in found])
    return len(found) - int(taken)


class ArqBackend(CarriedBackend):
    """Has jobs carried by Arq, in the Redis of the jobs."""

    engine = "arq"
    capabilities = CAPABILITIES["arq", ""]

    def _made_carrier(self) -> Carrier:
        return InRedis(self, in_redis, _length)
