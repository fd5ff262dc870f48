from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
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
#: How often it is said that Redis is waited for, in seconds.
AGAIN = 60.0
#: redis-py knows these by other names.
_SCHEMES = {"valkey://": "redis://", "valkeys://": "rediss://"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a client goes on asking a Redis that does not answer."""

    #: All pauses between attempts together.
    pauses: timedelta
    #: How long one answer may take.
    answer: timedelta
    #: What another attempt is made after.
    errors: tuple[type[Exception], ...]


#: An application hears within about two seconds that Redis is away or frozen. Only a
#: refused connection is tried again: a silent server would cost `answer` each time.
APPLICATION = Patience(
    pauses=timedelta(seconds=1),
    answer=timedelta(seconds=2),
    errors=(RedisConnectionError,),
)
#: A worker rides out a restart or a failover of Redis.
WORKER = Patience(
    pauses=timedelta(minutes=10),
    answer=timedelta(seconds=5),
    errors=(RedisConnectionError, RedisTimeoutError),
)
#: A loop that asks again by itself, and has to see in between whether it is to stop.
LOOP = Patience(pauses=timedelta(0), answer=timedelta(seconds=5), errors=())


def connect(url: str, *, patience: Patience = APPLICATION) -> Redis:
    """Return a client that tries again before it gives up.

    Raises:
        ConfigurationError: the address cannot be read.
    """
    for ours, known in _SCHEMES.items():
        if url.startswith(ours):
            url = known + url.removeprefix(ours)
    try:
        pool = ConnectionPool.from_url(url, **_resilience(patience))
    except ValueError as error:
        raise ConfigurationError(
            f"the address of Redis cannot be used: {error}"
        ) from error
    return Redis.from_pool(pool)  # closing the client closes the pool as well


def with_patience(client: Redis, patience: Patience) -> Redis:
    """Return a client for the same server, with its own connections, that waits.

    What RQ's command line makes (`Redis.from_url`) does not try again at all.
    """
    pool = client.connection_pool
    kwargs: dict[str, Any] = {**pool.connection_kwargs, **_resilience(patience)}
    return Redis.from_pool(type(pool)(pool.connection_class, **kwargs))


def _resilience(patience: Patience) -> dict[str, Any]:
    backoff = ExponentialBackoff(cap=LONGEST_PAUSE, base=FIRST_PAUSE)
    attempts = _attempts_in(patience.pauses.total_seconds())
    return {
        "retry": Retry(backoff, attempts, supported_errors=patience.errors),
        "retry_on_error": list(patience.errors),
        "socket_connect_timeout": 2,
        "socket_timeout": patience.answer.total_seconds(),
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
    """Return when Redis answers, saying once a minute that it is waited for.

    Raises:
        ConfigurationError: it answers, but refuses the password.
    """
    client, said = connect(url), -AGAIN
    while True:
        try:
            client.ping()
        except AuthenticationError as error:
            raise ConfigurationError(
                f"Redis at {without_password(url)} refuses the password: {error}"
            ) from error
        except (RedisConnectionError, RedisTimeoutError) as error:
            if time.monotonic() - said >= AGAIN:
                say(
                    f"waiting for Redis at {without_password(url)}: "
                    f"{str(error).rstrip('.')}; start it, or correct REDIS_URL"
                )
                said = time.monotonic()
        else:
            client.close()
            return
