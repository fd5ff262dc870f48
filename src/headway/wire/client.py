from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from weakref import WeakSet

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
    silence = Silence()
    try:
        pool = ConnectionPool.from_url(url, **_resilience(patience, silence))
    except ValueError as error:
        raise ConfigurationError(
            f"the address of Redis cannot be used: {error}"
        ) from error
    silence.watch(pool)
    return Redis.from_pool(pool)  # closing the client closes the pool as well


def with_patience(client: Redis, patience: Patience) -> Redis:
    """Return a client for the same server, with its own connections, that waits.

    What RQ's command line makes (`Redis.from_url`) does not try again at all.
    """
    pool, silence = client.connection_pool, silence_of(client)
    resilience = _resilience(patience, silence)
    kwargs: dict[str, Any] = {**pool.connection_kwargs, **resilience}
    made = type(pool)(pool.connection_class, **kwargs)
    silence.watch(made)
    return Redis.from_pool(made)


class Silence:
    """The answers that never came, on all connections of a process to one server.

    After a network that went silent all of them look sound, and none is. One of them
    has to be waited for; the others are as old, and are given up with it, or each
    would cost the same wait.
    """

    def __init__(self) -> None:
        #: How often an answer did not come in time.
        self.count = 0
        self._pools: WeakSet[ConnectionPool] = WeakSet()

    def __deepcopy__(self, _memo: object) -> Silence:
        """Return itself: each connection has a copy of what its pool was given."""
        return self

    def watch(self, pool: ConnectionPool) -> None:
        """Have the idle connections of a pool given up as well."""
        self._pools.add(pool)

    def tell(self) -> None:
        """Say that an answer did not come in time."""
        self.count += 1
        for pool in self._pools:
            pool.disconnect(inuse_connections=False)


def silence_of(client: Redis) -> Silence:
    """Return what the client's connections have heard of each other."""
    retry = client.connection_pool.connection_kwargs.get("retry")
    return retry.silence if isinstance(retry, _Retry) else Silence()


class _Retry(Retry):
    """Attempts for a while in all; redis-py's own nest, and would multiply it.

    It checks a connection while it opens it, and opens one while it sends: each with
    attempts of its own. Each connection has a copy of this object.
    """

    #: For how long another attempt is begun, in seconds.
    lasts: float
    silence: Silence
    _is_inside = False

    def call_with_retry(self, do: Any, fail: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - redis-py's
        """Do it, and after a failure again."""
        if self._is_inside:
            return self._once(do, fail, *args, **kwargs)
        until = time.monotonic() + self.lasts

        def attempt() -> Any:  # noqa: ANN401
            try:
                return do()
            except RedisTimeoutError:
                self.silence.tell()
                raise

        def failed(error: Exception, *more: Any) -> None:  # noqa: ANN401
            self._is_inside = False  # what mends it may take attempts of its own
            fail(error, *more)
            self._is_inside = True
            if time.monotonic() > until:
                raise error

        self._is_inside = True
        try:
            return super().call_with_retry(attempt, failed, *args, **kwargs)
        finally:
            self._is_inside = False

    def _once(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        retries, self._retries = self._retries, 0
        try:
            return super().call_with_retry(*args, **kwargs)
        finally:
            self._retries = retries


def _resilience(patience: Patience, silence: Silence) -> dict[str, Any]:
    backoff = ExponentialBackoff(cap=LONGEST_PAUSE, base=FIRST_PAUSE)
    pauses = patience.pauses.total_seconds()
    retry = _Retry(backoff, _attempts_in(pauses), supported_errors=patience.errors)
    retry.lasts, retry.silence = pauses, silence
    return {
        "retry": retry,
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


def wait_until_up(
    url: str, *, say: Callable[[str], None], seconds: float = math.inf
) -> None:
    """Return when Redis answers, saying once a minute that it is waited for.

    Raises:
        ConfigurationError: it answers, but refuses the password.
        ConnectionError: it did not for so many seconds.
    """
    client, said, until = connect(url), -AGAIN, time.monotonic() + seconds
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
            if time.monotonic() > until:
                raise
        else:
            client.close()
            return
