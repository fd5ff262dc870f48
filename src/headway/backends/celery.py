"""Celery: its messages in Redis, as celery 5 and kombu write them.

Source: `celery/app/amqp.py` (`as_task_v2`) and kombu's virtual transport, 5.7.
"""

from __future__ import annotations

import base64
import json
import os
import socket
from typing import TYPE_CHECKING
from uuid import uuid4

from headway.backends.capabilities import CAPABILITIES
from headway.backends.carried import CarriedBackend, Carrier, InRedis, Parcel, Words
from headway.wire import keys

if TYPE_CHECKING:
    from redis import Redis

#: How the keys begin under which kombu keeps its queues: others may use this Redis.
KEY_PREFIX = f"{keys.OURS}:celery:"
#: What leads to them: an exchange of its own, so that no default one fills all queues.
EXCHANGE = "headway"
#: A job that ignores its timeout is killed so much later, in seconds; as by RQ.
KILLED_AFTER = 60
_ORIGIN = f"{os.getpid()}@{socket.gethostname()}"


def headers(parcel: Parcel) -> dict[str, object]:
    """Return what Celery wants to know of a message besides its body."""
    hard = parcel.timeout + KILLED_AFTER if parcel.timeout > 0 else None
    args, kwargs = parcel.arguments
    return {
        "lang": "py",
        "task": parcel.task,
        "id": parcel.id,
        "root_id": parcel.id,
        "parent_id": None,
        "group": None,
        "retries": 0,
        "timelimit": [hard, None],
        "argsrepr": repr(tuple(args))[:1024],
        "kwargsrepr": repr(dict(kwargs))[:1024],
        "origin": _ORIGIN,
        "ignore_result": True,
    }


def body(parcel: Parcel) -> list[object]:
    """Return the body of a message: the call, and no callbacks of Celery's own."""
    args, kwargs = parcel.arguments
    embedded = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    return [list(args), dict(kwargs), embedded]


def in_redis(parcel: Parcel) -> list[Words]:
    """Return the command that puts a message into kombu's list in Redis."""
    message = {
        "body": base64.b64encode(json.dumps(body(parcel)).encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": headers(parcel),
        "properties": {
            "correlation_id": parcel.id,
            "delivery_mode": 2,
            "delivery_info": {"exchange": EXCHANGE, "routing_key": parcel.queue},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid4()),
        },
    }
    # Its workers take from the right.
    push = "RPUSH" if parcel.at_front else "LPUSH"
    return [(push, KEY_PREFIX + parcel.queue, json.dumps(message))]


def _length(client: Redis, queue: str) -> int:
    return int(client.llen(KEY_PREFIX + queue))


class CeleryBackend(CarriedBackend):
    """Has jobs carried by Celery, in the Redis of the jobs."""

    engine = "celery"
    capabilities = CAPABILITIES["celery", ""]

    def _made_carrier(self) -> Carrier:
        return InRedis(self, in_redis, _length)
