"""A client whose commits hold only as long as the lease of one job does.

RQ's own code writes outcomes in transactions of its own. Here such a transaction is
made to depend on the lease, whichever of its keys it watches itself: who takes a lease
away (`recover`, `release`, `bury`) writes the job's hash in the same call, so that it
is the hash that is watched. The lease itself changes with every other job of the child.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

from redis.client import Pipeline
from redis.exceptions import RedisError, WatchError

from headway.errors import LeaseLostError, ResultError
from headway.lease import Holder, Lease
from headway.wire import keys
from headway.wire.steadfast import (
    LARGE,
    TRIES_OF_LARGE,
    SteadfastPipeline,
    SteadfastRedis,
    not_taken,
    passes,
)

if TYPE_CHECKING:
    from redis.connection import ConnectionPool

#: For how long it is known that an outcome was written, in seconds.
KNOWN = 3600


class FencedRedis(SteadfastRedis):
    """A client for the end of one job; `commit` says which transaction ends it."""

    def __init__(self, pool: ConnectionPool, holder: Holder, lease: Lease) -> None:
        super().__init__(pool)
        self.holder, self.lease = holder, lease
        self.lease_key = keys.lease(holder.child)
        #: What was raised where the lease was found lost; RQ's own code may keep it.
        self.lost: LeaseLostError | None = None
        #: The end was written, and the answer to that was lost.
        self.answer_lost = False
        self.is_over = False
        #: How often an end that is large was not taken, and something small was.
        self.in_vain = 0
        #: Why the end cannot be written; RQ's own code may keep it.
        self.refused: Exception | None = None

    @property
    def pipeline_class(self) -> type[SteadfastPipeline]:
        """The kind of its pipelines: they can be made to depend on the lease."""
        return FencedPipeline


class FencedPipeline(SteadfastPipeline):
    """A transaction that is refused when the lease it depends on was lost.

    An answer that is lost does not tell whether the job is ended. So the transaction
    leaves a mark, which is looked for before anything is written once more.
    """

    owner: FencedRedis
    _commits = False
    _last: Callable[[], None] | None = None

    def commit(self, last: Callable[[], None] | None = None) -> None:
        """Make this the transaction that ends the job: it drops the lease, too.

        `last` adds what is to come behind all that RQ's own code writes.
        """
        self._commits, self._last = True, last
        self.hdel(self.owner.lease_key, self.owner.lease.job_id)
        self.set(self._mark, 1, ex=KNOWN)

    @property
    def _mark(self) -> str:
        owner = self.owner
        return keys.committed(owner.holder.child, owner.lease.ordinal)

    def execute(self, raise_on_error: bool = True) -> list[Any]:  # noqa: FBT002 - redis-py's
        """Send the commands; those that end the job for as long as it takes.

        Raises:
            LeaseLostError: the transaction was to end the job, and may not.
            ResultError: it is too large for this Redis.
            RedisError: it will be refused later as well.
            WatchError: a key that RQ's code watches has changed, or may have.
        """
        if not self._commits:
            return super().execute(raise_on_error)
        if self._last is not None:
            self._last()
        watched_by_rq = bool(self.watching)
        commands = list(self.command_stack)
        while True:
            try:
                return self._executed_once(raise_on_error)
            except WatchError as error:
                # Somebody wrote the job: its progress, or that the lease is lost.
                lost = error.__context__
                if isinstance(lost, RedisError):  # not a key that changed, but a line
                    self.owner.pauses.rest(lost)
                    self._weigh(commands, lost)
                if watched_by_rq:
                    raise
            except RedisError as error:
                if not passes(error) and not self._is_done():
                    self.owner.refused = error
                    raise
                self.owner.pauses.rest(error)
                self._weigh(commands, error)
                if watched_by_rq:  # RQ's code looks at what it watches anew
                    raise WatchError(str(error)) from error
            self.command_stack = list(commands)

    def _executed_once(self, raise_on_error: bool) -> list[Any]:
        if self._holds_lease():
            answers = Pipeline.execute(self, raise_on_error)
        elif self._is_done():
            answers = []
        else:
            raise self._loss()
        self.owner.is_over = True
        return answers

    def _weigh(self, commands: Sequence[Any], error: RedisError) -> None:
        """Give an end up that is too large for this Redis, and no other.

        Raises:
            ResultError: it was not taken time and again, and something small was.
        """
        size = sum(len(word) for words, _ in commands for word in words if _long(word))
        if size <= LARGE or self._is_done():
            return
        self.owner.set(keys.committed(self.owner.holder.child, 0), 1, ex=1)  # nobody's
        self.owner.in_vain += 1
        if self.owner.in_vain >= TRIES_OF_LARGE:
            self.owner.refused = ResultError(not_taken(size, error))
            raise self.owner.refused from error

    def _is_done(self) -> bool:
        """Tell whether it was done before, and only the answer was lost."""
        if self.owner.exists(self._mark):
            self.owner.answer_lost = True
        return self.owner.answer_lost

    def _holds_lease(self) -> bool:
        lease = self.owner.lease
        ask: Any = self.immediate_execute_command  # redis-py is typed in part
        ask("WATCH", keys.job(lease.job_id))
        held = ask("HGET", self.owner.lease_key, lease.job_id)
        self.watching = True
        if held == f"{lease.ordinal}:{lease.queue}".encode():
            return True
        self.reset()
        return False

    def _loss(self) -> LeaseLostError:
        self.owner.lost = LeaseLostError(
            f"job {self.owner.lease.job_id}: its lease was lost, so this run is "
            "superseded and its outcome is discarded: another worker has the job now"
        )
        return self.owner.lost


def _long(word: object) -> TypeGuard[str | bytes]:
    return isinstance(word, str | bytes)
