"""A client that asks until Redis takes it, however long it is away, full or a replica.

For who writes what came of a job: to give up would cost the job another run. What will
be refused tomorrow as well, as a key of another type, is raised at once.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import (
    ExecAbortError,
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    WatchError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

from headway.clock import SystemClock

if TYPE_CHECKING:
    from redis.connection import ConnectionPool

log = logging.getLogger("headway.worker")

T = TypeVar("T")

#: Between two attempts, in seconds; each pause is twice the one before.
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
#: How often it is said what is waited for, in seconds.
SAY_AGAIN = 60.0
#: What is larger may be refused for its size alone, in bytes. It is given up after so
#: many attempts between which Redis took something small.
LARGE, TRIES_OF_LARGE = 1 << 20, 5
_PASSING = (
    ExecAbortError,  # without a command that was refused: it was the state of Redis
    RedisConnectionError,
    RedisTimeoutError,
    ReadOnlyError,
    OutOfMemoryError,
    MasterDownError,
)
#: What redis-py has no class for. A script of an old server quotes it behind a dash,
#: and a pipeline of redis-py behind these words.
_STATES = re.compile(
    r"(^|-| caused error: )(READONLY|OOM|MISCONF|NOREPLICAS|BUSY|MASTERDOWN) "
)
_REPLICA = re.compile(r"(^|-| caused error: )(READONLY|MASTERDOWN) ")


def passes(error: RedisError) -> bool:
    """Tell whether Redis, or another in its place, will do the same later."""
    if isinstance(error, _PASSING):
        return True
    return isinstance(error, ResponseError) and bool(_STATES.search(str(error)))


def is_no_primary(error: RedisError) -> bool:
    """Tell whether it is another server, by now, that takes what is written."""
    is_told = isinstance(error, ReadOnlyError | MasterDownError)
    return is_told or bool(_REPLICA.search(str(error)))


def until_taken(ask: Callable[[], T], pool: ConnectionPool | None = None) -> T:
    """Ask until Redis does it; what it does twice must do no harm.

    `pool` is where its connections are from.

    Raises:
        RedisError: it will be refused later as well.
    """
    pauses = Pauses(pool)
    while True:
        try:
            return ask()
        except RedisError as error:
            if not passes(error):
                raise
            pauses.rest(error)


def not_taken(size: int, error: RedisError) -> str:
    """Say that something is too large for Redis, and what to do."""
    return (
        f"Redis does not take a result of {size / (1 << 20):.1f} MiB: "
        f"{str(error).rstrip('.')}. Keep it in a file, a bucket or a table, and return "
        "where it is"
    )


class Pauses:
    """What lies between the attempts to write one thing."""

    def __init__(self, pool: ConnectionPool | None = None) -> None:
        self._clock = SystemClock()
        self._pool = pool
        self._next = FIRST_PAUSE
        self._said_at = float("-inf")

    def rest(self, error: RedisError) -> None:
        """Wait a little, and longer each time; say why now and then.

        After a failover the connections lead to what is a replica now: they are given
        up, so that new ones lead to the primary.
        """
        if self._clock.monotonic() - self._said_at > SAY_AGAIN:
            self._said_at = self._clock.monotonic()
            log.warning("what is to be written waits until Redis takes it: %s", error)
        if self._pool is not None and is_no_primary(error):
            self._pool.disconnect(inuse_connections=False)
        self._clock.sleep(self._next)
        self._next = min(LONGEST_PAUSE, 2 * self._next)


class SteadfastRedis(Redis):
    """A client that waits for each of its commands to be taken."""

    def __init__(self, pool: ConnectionPool) -> None:
        super().__init__(connection_pool=pool)
        #: How often a transaction was to be begun anew, whoever was in its way.
        self.disturbed = 0
        #: Between such transactions, where it was Redis.
        self.pauses = Pauses(pool)

    @property
    def pipeline_class(self) -> type[SteadfastPipeline]:
        """The kind of its pipelines."""
        return SteadfastPipeline

    def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - redis-py's own signature
        """Send a command for as long as it takes; raises as `until_taken`."""
        ask: Any = super().execute_command  # redis-py is typed in part
        return until_taken(lambda: ask(*args, **options), self.connection_pool)

    def pipeline(
        self,
        transaction: Any = True,  # noqa: ANN401, FBT002 - redis-py's own signature
        shard_hint: Any = None,  # noqa: ANN401 - redis-py's own signature
    ) -> SteadfastPipeline:
        """Return a pipeline that waits as well, of the client's own kind."""
        made = self.pipeline_class(
            self.connection_pool, self.response_callbacks, transaction, shard_hint
        )
        made.owner = self
        return made


class SteadfastPipeline(Pipeline):
    """A pipeline that is sent for as long as it takes.

    One that watches keys cannot be sent again as it is: it raises WatchError, as if a
    key had changed, and its sender begins anew.
    """

    owner: Any  # the client; what derives from this has one of its own kind

    def immediate_execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - redis-py's own signature
        """Send a command now; raises as `execute`."""
        ask: Any = super().immediate_execute_command  # redis-py is typed in part
        try:
            return until_taken(lambda: ask(*args, **options))
        except WatchError:
            self.owner.disturbed += 1
            raise

    def execute(self, raise_on_error: bool = True) -> list[Any]:  # noqa: FBT002 - redis-py's
        """Send the commands; raises as `until_taken`.

        Raises:
            WatchError: a key that is watched has changed, or may have.
        """
        if self.watching:
            return self._execute_once(raise_on_error)
        commands = list(self.command_stack)

        def send() -> list[Any]:
            self.command_stack = list(commands)
            return Pipeline.execute(self, raise_on_error)

        return until_taken(send, self.connection_pool)

    def _execute_once(self, raise_on_error: bool) -> list[Any]:
        try:
            answers = super().execute(raise_on_error)
        except WatchError:
            self.owner.disturbed += 1
            raise
        except RedisError as error:
            if not passes(error):
                raise
            self.owner.disturbed += 1
            self.owner.pauses.rest(error)
            raise WatchError(str(error)) from error
        self.owner.pauses = Pauses(self.connection_pool)
        return answers
