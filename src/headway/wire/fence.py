"""A client whose commits hold only as long as the lease of one job does.

RQ's own code writes outcomes in transactions of its own. Here such a transaction is
made to depend on the lease (WATCH), whichever of its keys it watches itself.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import OutOfMemoryError, WatchError

from headway.clock import SystemClock
from headway.errors import LeaseLostError
from headway.lease import Holder, Lease
from headway.wire import keys

if TYPE_CHECKING:
    from redis.connection import ConnectionPool


log = logging.getLogger("headway.worker")

#: Between two attempts to write while there is no room, in seconds.
PAUSE = 1.0


class FencedRedis(Redis):
    """A client for the end of one job; `commit` says which transaction ends it."""

    def __init__(self, pool: ConnectionPool, holder: Holder, lease: Lease) -> None:
        super().__init__(connection_pool=pool)
        self.lease_key = keys.lease(holder.child)
        self.lease = lease

    def pipeline(
        self,
        transaction: Any = True,  # noqa: ANN401, FBT002 - redis-py's own signature
        shard_hint: Any = None,  # noqa: ANN401 - redis-py's own signature
    ) -> FencedPipeline:
        """Return a pipeline that can be made to depend on the lease."""
        return FencedPipeline(
            self.connection_pool, self.response_callbacks, transaction, shard_hint
        ).fenced(self.lease_key, self.lease)


class FencedPipeline(Pipeline):
    """A transaction that is refused when the lease it depends on was lost."""

    _lease: tuple[str, Lease]
    _commits = False

    def fenced(self, lease_key: str, lease: Lease) -> FencedPipeline:
        """Remember the lease; nothing depends on it yet."""
        self._lease = (lease_key, lease)
        return self

    def commit(self) -> None:
        """Make this the transaction that ends the job: it drops the lease, too."""
        lease_key, lease = self._lease
        self._commits = True
        self.hdel(lease_key, lease.job_id)

    def execute(self, raise_on_error: bool = True) -> list[Any]:  # noqa: FBT002 - redis-py's
        """Send the commands.

        Raises:
            LeaseLostError: the transaction was to end the job, and may not.
            WatchError: a key that RQ's code watches has changed.
        """
        if not self._commits:
            return super().execute(raise_on_error)
        watched_by_rq = bool(self.watching)
        commands = list(self.command_stack)
        while True:
            self._check_lease()
            try:
                return super().execute(raise_on_error)
            except OutOfMemoryError as error:
                if watched_by_rq:
                    raise
                log.warning("Redis is full, an outcome waits for room: %s", error)
                SystemClock().sleep(PAUSE)
                self.command_stack = commands
            except WatchError:
                # Other jobs of this child come and go in the same lease.
                if watched_by_rq:
                    raise
                self.command_stack = commands

    def _check_lease(self) -> None:
        lease_key, lease = self._lease
        ask: Any = self.immediate_execute_command  # redis-py is typed in part
        ask("WATCH", lease_key)
        held = ask("HGET", lease_key, lease.job_id)
        self.watching = True
        if held != f"{lease.ordinal}:{lease.queue}".encode():
            self.reset()
            raise LeaseLostError(
                f"job {lease.job_id}: its lease was lost, so its outcome is "
                "discarded: another worker has the job now"
            )
