"""RQ's data as a supervisor sees it: what it answers for, for its children."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from headway.lease import Holder, Recovered
from headway.wire import keys
from headway.wire.broker import RELEASE, release_call
from headway.wire.line import Line
from headway.wire.moment import moment
from headway.wire.scripts import Script, Value
from headway.wire.success import ACKNOWLEDGE, acknowledge_call

if TYPE_CHECKING:
    from redis import Redis

#: RQ keeps a failed job for a year unless it says otherwise (rq/defaults.py).
FAILURE_TTL = 31_536_000


class RedisSupervisorBroker:
    """What Redis does for the process that answers for the children."""

    def __init__(self, client: Redis, queues: Sequence[str], *, lease: float) -> None:
        self._client = client
        self._queues = queues
        self._lease_ms = int(lease * 1000)

    @cached_property
    def _renew(self) -> Script:
        return Script("renew")

    @cached_property
    def _recover(self) -> Script:
        return Script("recover")

    @cached_property
    def _nudge(self) -> Script:
        return Script("nudge")

    @cached_property
    def _show(self) -> Script:
        return Script("show")

    def renew(self, children: Sequence[str]) -> list[str]:
        """Prolong the leases of children; return those that hold none any more."""
        arguments: list[Value] = [self._lease_ms, keys.LEASE_PREFIX, *children]
        lost = self._renew(self._client, [keys.LEASES], arguments)
        return [child.decode() for child in lost]

    def acknowledge(self, holder: Holder, notes: bytes) -> list[str]:
        """Write what a child has done; return jobs that have dependents, left as is."""
        line = Line(self._client, (ACKNOWLEDGE,))
        try:
            _lost, parents = line.ask(acknowledge_call(holder, notes), 1)[0]
        finally:
            line.close()
        return [job_id.decode() for job_id in parents]

    def release(self, holder: Holder, ordinals: Sequence[int]) -> list[str]:
        """Give back jobs that a child has not begun."""
        held = self.held(holder)
        jobs = [(held[n][0], n) for n in ordinals if n in held]
        if not jobs:
            return []
        line = Line(self._client, (RELEASE,))
        try:
            released = line.ask(release_call(holder.child, jobs), 1)[0]
        finally:
            line.close()
        return [job_id.decode() for job_id in released]

    def held(self, holder: Holder) -> dict[int, tuple[str, str]]:
        """Return id and queue of the jobs that a child holds, by ordinal."""
        held: dict[int, tuple[str, str]] = {}
        found: Any = self._client.hgetall(keys.lease(holder.child))
        for job_id, value in found.items():
            ordinal, _, queue = value.decode().partition(":")
            held[int(ordinal)] = (job_id.decode(), queue)
        return held

    def show(
        self, holder: Holder, begun: Sequence[tuple[int, float]], now: float
    ) -> None:
        """Show running jobs in RQ's registries, by ordinal and second of begin."""
        # Far beyond the lease: RQ's own clean-up must never take them for abandoned.
        seconds = self._lease_ms // 1000 * 4 + 600
        arguments: list[Value] = [
            holder.worker,
            keys.JOB_PREFIX,
            keys.STARTED_PREFIX,
            keys.EXECUTION_PREFIX,
            keys.EXECUTIONS_PREFIX,
            holder.execution_prefix,
            seconds,
            moment(now),
            f"{now:.6f}",
        ]
        for ordinal, began in begun:
            arguments += [ordinal, f"{began:.6f}"]
        names = [keys.lease(holder.child), keys.worker_executions(holder.worker)]
        self._show(self._client, names, arguments)

    def recover(
        self,
        holder: Holder,
        *,
        begun: Sequence[int],
        kept: Sequence[int],
        reason: str,
        now: float,
        crash_limit: int,
    ) -> list[Recovered]:
        """Give back what a dead child held but `kept`; `begun` have crashed it."""
        return self._recovered(
            holder.child,
            how="dead",
            reason=reason,
            now=now,
            crash_limit=crash_limit,
            worker=holder.worker,
            prefix=holder.execution_prefix,
            begun=[*begun, *(-ordinal for ordinal in kept)],
        )

    def recover_late(
        self, *, reason: str, now: float, crash_limit: int
    ) -> list[Recovered]:
        """Give back what is held by children whose lease has run out."""
        recovered: list[Recovered] = []
        seconds, micros = self._client.time()
        late: Any = self._client.zrangebyscore(
            keys.LEASES, "-inf", seconds * 1000 + micros // 1000
        )
        for member in late:
            child = member.decode()
            worker, _, prefix = child.rpartition(":")
            recovered += self._recovered(
                child,
                how="late",
                reason=reason,
                now=now,
                crash_limit=crash_limit,
                worker=worker,
                prefix=prefix,
                begun=["*"],
            )
        return recovered

    def _recovered(
        self,
        child: str,
        *,
        how: str,
        reason: str,
        now: float,
        crash_limit: int,
        worker: str,
        prefix: str,
        begun: Sequence[int | str],
    ) -> list[Recovered]:
        arguments = [
            child,
            how,
            crash_limit,
            base64.b64encode(zlib.compress(reason.encode())),
            moment(now),
            int(now),
            worker,
            prefix,
            FAILURE_TTL,
            keys.JOB_PREFIX,
            keys.QUEUE_PREFIX,
            keys.WAKE_PREFIX,
            keys.STARTED_PREFIX,
            keys.FAILED_PREFIX,
            keys.RESULTS_PREFIX,
            keys.EXECUTION_PREFIX,
            keys.EXECUTIONS_PREFIX,
            *begun,
        ]
        answers = self._recover(
            self._client, [keys.lease(child), keys.LEASES], arguments
        )
        return [
            Recovered(job_id.decode(), queue.decode(), fate.decode(), crashes)
            for job_id, queue, fate, crashes in answers
        ]

    def misused(self) -> dict[str, str]:
        """Return the queues whose key holds something else than jobs, and what."""
        pipeline = self._client.pipeline(transaction=False)
        for queue in self._queues:
            pipeline.type(keys.queue(queue))
        kinds = [kind.decode() for kind in pipeline.execute()]
        found = zip(self._queues, kinds, strict=True)
        return {queue: kind for queue, kind in found if kind not in ("list", "none")}

    def nudge(self) -> None:
        """Wake an idle worker for jobs that came without a wake-up."""
        names = [keys.PAUSED]
        for queue in self._queues:
            names += [keys.queue(queue), keys.wake(queue)]
        self._nudge(self._client, names, list(self._queues))
