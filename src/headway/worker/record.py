"""RQ's records of workers: one for each child, since each runs jobs by itself.

They are what `rq info`, dashboards and RQ's commands see. The supervisor writes them,
so that a child that holds the interpreter's lock is not taken for dead.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rq.version import VERSION

from headway.errors import ConfigurationError
from headway.wire import keys
from headway.wire.leftovers import is_no_process
from headway.wire.moment import moment
from headway.wire.reading import Fields
from headway.worker.identity import Identity
from headway.worker.slot import State

if TYPE_CHECKING:
    from redis import Redis

log = logging.getLogger("headway.worker")

#: RQ's words for what a worker does.
_STATES = {
    State.STARTING: "started",
    State.IDLE: "idle",
    State.BUSY: "busy",
    State.SUSPENDED: "suspended",
    State.LEAVING: "idle",
}


class Record:
    """One child's record."""

    def __init__(
        self,
        client: Redis,
        name: str,
        queues: Sequence[str],
        ttl: int,
        identity: Identity,
    ) -> None:
        self.name = name
        self._identity = identity
        self._client = client
        self._queues = queues
        self._ttl = ttl
        self._birth = b""
        self._state: State | None = None

    def be_born(self, now: float) -> None:
        """Register the worker.

        Raises:
            ConfigurationError: one of that name is alive.
        """
        key = keys.worker(self.name)
        there = Fields.of(self._client.hgetall(key))
        if there.text("birth") and not there.text("death"):
            self._take_over(there)
        self._birth = moment(now)
        self._client.delete(key)
        self._write(now)

    def _take_over(self, there: Fields) -> None:
        """Take the name of a worker that is gone.

        Raises:
            ConfigurationError: it is alive, or may be.
        """
        owner = Identity.read(there.text("headway_process"))
        if owner == self._identity:
            return  # it is ours: only the answer to its birth was lost
        host, pid = there.text("hostname"), there.text("pid")
        if owner is None:
            is_gone = host == socket.gethostname() and is_no_process(pid)
        elif owner.machine == self._identity.machine:
            is_gone = self._identity.sees_dead(owner)
        else:
            # Its leases are its own, whoever it is; a container that is started again
            # is to begin at once. At worst two workers share what RQ shows of them.
            log.warning(
                "the name %s is taken over from process %s on host %s, last seen at %s",
                self.name,
                pid,
                host,
                there.text("last_heartbeat"),
            )
            is_gone = True
        if not is_gone:
            raise ConfigurationError(
                f"a worker named {self.name!r} runs already, as process {pid} on host "
                f"{host}: stop it, or take another --name"
            )

    def beat(self, now: float) -> None:
        """Say that it lives; writes the record anew where it has run out."""
        key = keys.worker(self.name)
        if not self._client.exists(key):
            self._write(now)
            return
        pipeline = self._client.pipeline(transaction=False)
        pipeline.hset(key, "last_heartbeat", moment(now))
        pipeline.expire(key, self._ttl)
        pipeline.execute()

    def tell(self, state: State, now: float) -> None:
        """Write what the child does, if that has changed."""
        if state is not self._state:
            key = keys.worker(self.name)
            if self._client.exists(key):
                fields: dict[Any, Any] = {
                    "state": _STATES[state],
                    "last_heartbeat": moment(now),
                }
                self._client.hset(key, mapping=fields)
            self._state = state

    def request_shutdown(self, now: float) -> None:
        """Write that it was asked to stop."""
        self._client.hset(
            keys.worker(self.name), "shutdown_requested_date", moment(now)
        )

    def die(self, now: float) -> None:
        """Take the worker out of RQ's lists."""
        key = keys.worker(self.name)
        pipeline = self._client.pipeline()
        pipeline.srem(keys.WORKERS, key)
        for queue in self._queues:
            pipeline.srem(keys.workers_of(queue), key)
        pipeline.hset(key, mapping={"death": moment(now), "state": "idle"})
        pipeline.expire(key, 60)  # as RQ
        pipeline.delete(keys.worker_executions(self.name))
        pipeline.execute()

    def _write(self, now: float) -> None:
        key = keys.worker(self.name)
        pipeline = self._client.pipeline()
        pipeline.hset(
            key,
            mapping={
                "birth": self._birth,
                "last_heartbeat": moment(now),
                "queues": ",".join(self._queues),
                "pid": os.getpid(),
                "hostname": socket.gethostname(),
                "ip_address": str(self._client.client_info().get("addr", "unknown")),
                "version": VERSION,
                "python_version": sys.version,
                "state": _STATES[self._state or State.STARTING],
                "headway_process": self._identity.written,
            },
        )
        pipeline.sadd(keys.WORKERS, key)
        for queue in self._queues:
            pipeline.sadd(keys.workers_of(queue), key)
        pipeline.expire(key, self._ttl)
        pipeline.execute()
