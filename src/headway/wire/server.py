"""What a Redis must be for jobs to be safe in it, and whether one is."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from redis.exceptions import ClusterCrossSlotError, ClusterDownError, MovedError

from headway.errors import ConfigurationError

if TYPE_CHECKING:
    from redis import Redis

log = logging.getLogger("headway.server")

#: The first Redis with LMOVE, and with a count for LPOP.
OLDEST = (6, 2)
IN_A_CLUSTER = (
    "this Redis is part of a Redis Cluster, which spreads the keys of one job over "
    "servers that share no transaction: name a single server in REDIS_URL; one with "
    "replicas or Sentinel is fine"
)
#: What only a Redis Cluster answers.
CLUSTER_ERRORS = (ClusterCrossSlotError, ClusterDownError, MovedError)


def check_server(client: Redis) -> None:
    """Refuse a server that cannot do what is asked of it; warn of one that may drop.

    Raises:
        ConfigurationError: it is older than Redis 6.2, or part of a Redis Cluster.
        RedisError: it does not answer.
    """
    check_facts(client.info())


def check_facts(facts: Mapping[str, object]) -> None:
    """Do the same by what INFO says, in redis-py's form.

    Raises:
        ConfigurationError: it is older than Redis 6.2, or part of a Redis Cluster.
    """
    version = str(facts.get("redis_version", ""))
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers and numbers < OLDEST:
        raise ConfigurationError(
            f"Redis {version} is too old: Headway needs Redis 6.2 or Valkey 7.2, or "
            "newer; upgrade the server, or name another in REDIS_URL"
        )
    if facts.get("cluster_enabled") == 1:
        raise ConfigurationError(IN_A_CLUSTER)
    policy = facts.get("maxmemory_policy", "noeviction")
    if policy != "noeviction" and facts.get("maxmemory"):
        log.warning(
            "Redis may drop jobs when its memory is full: set maxmemory-policy to "
            "noeviction",
            extra={"maxmemory_policy": policy, "maxmemory": facts["maxmemory"]},
        )
