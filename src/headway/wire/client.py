from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from redis import ConnectionPool, Redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from headway.errors import ConfigurationError
from headway.settings import without_password

#: The longest pause between two attempts to reach Redis, in seconds.
LONGEST_PAUSE = 1.0
FIRST_PAUSE = 0.05
#: An application hears within about two seconds that Redis is away.
APPLICATION = timedelta(seconds=1)
#: A worker rides out a restart or a failover of Redis.
WORKER = timedelta(minutes=10)


def connect(url: str, *, patience: timedelta = APPLICATION) -> Redis:
    """Return a client that tries again for about `patience` before it gives up.

    Raises:
        ConfigurationError: the address cannot be read.
    """
    try:
        pool = ConnectionPool.from_url(url, **_resilience(patience))
    except ValueError as error:
        raise ConfigurationError(
            f"the address of Redis cannot be used: {error}"
        ) from error
    return Redis(connection_pool=pool)


def with_patience(client: Redis, patience: timedelta) -> Redis:
    """Return a client for the same server, with its own connections, that waits.

    What RQ's command line makes (`Redis.from_url`) does not try again at all.
    """
    pool = client.connection_pool
    kwargs: dict[str, Any] = {**pool.connection_kwargs, **_resilience(patience)}
    return Redis(connection_pool=type(pool)(pool.connection_class, **kwargs))


def _resilience(patience: timedelta) -> dict[str, Any]:
    backoff = ExponentialBackoff(cap=LONGEST_PAUSE, base=FIRST_PAUSE)
    return {
        "retry": Retry(backoff, _attempts_in(patience.total_seconds())),
        "retry_on_error": [RedisConnectionError, RedisTimeoutError],
        "socket_connect_timeout": 2,
        "socket_timeout": 5,
        "health_check_interval": 30,
    }


def _attempts_in(seconds: float) -> int:
    """Return how many attempts redis-py needs to have paused for that long."""
    paused, attempts = 0.0, 0
    while paused < seconds:
        attempts += 1
        paused += min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempts)
    return attempts


def wait_until_up(url: str, *, say: Callable[[str], None]) -> None:
    """Return when Redis answers, saying once that it is waited for.

    Raises:
        ConfigurationError: it answers, but refuses the password.
    """
    client, said = connect(url), False
    while True:
        try:
            client.ping()
        except AuthenticationError as error:
            raise ConfigurationError(
                f"Redis at {without_password(url)} refuses the password: {error}"
            ) from error
        except (RedisConnectionError, RedisTimeoutError) as error:
            if not said:
                say(f"waiting for Redis at {without_password(url)}: {error}")
            said = True
        else:
            client.close()
            return
