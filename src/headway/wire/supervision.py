"""RQ's data as a supervisor sees it: what it answers for, for its children."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from headway.lease import Gone, Holder, Leased, Recovered
from headway.wire import keys
from headway.wire.broker import RELEASE, release_call
from headway.wire.burial import bury
from headway.wire.line import Line
from headway.wire.moment import moment
from headway.wire.reading import text
from headway.wire.scripts import Script, Value
from headway.wire.success import ACKNOWLEDGE, acknowledge_call

if TYPE_CHECKING:
    from redis import Redis

#: For how long a worker's process is known after it was seen last, in seconds.
KNOWN = 86_400


class RedisSupervisorBroker:
    """What Redis does for the process that answers for the children."""

    def __init__(self, client: Redis, queues: Sequence[str], *, lease: float) -> None:
        self._client = client
        self._queues = queues
        self._lease_ms = int(lease * 1000)
        self._line = Line(client, (ACKNOWLEDGE, RELEASE))

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
        """Prolong the leases of children; return those that others have recovered."""
        arguments: list[Value] = [self._lease_ms, keys.RECOVERED_PREFIX, *children]
        lost = self._renew(self._client, [keys.LEASES], arguments)
        return [text(child) for child in lost]

    def acknowledge(self, holder: Holder, notes: bytes) -> list[str]:
        """Write what a child has done; return jobs that have dependents, left as is."""
        _lost, parents = self._line.ask(acknowledge_call(holder, notes), 1)[0]
        return [text(job_id) for job_id in parents]

    def release(self, holder: Holder, ordinals: Sequence[int]) -> list[str]:
        """Give back jobs that a child has not begun."""
        held = self.held(holder)
        jobs = [(held[n][0], n) for n in ordinals if n in held]
        if not jobs:
            return []
        released = self._line.ask(release_call(holder, jobs), 1)[0]
        return [text(job_id) for job_id in released]

    def held(self, holder: Holder) -> dict[int, tuple[str, str]]:
        """Return id and queue of the jobs that a child holds, by ordinal."""
        held: dict[int, tuple[str, str]] = {}
        found: Any = self._client.hgetall(keys.lease(holder.child))
        for job_id, value in found.items():
            ordinal, _, queue = text(value).partition(":")
            held[int(ordinal)] = (text(job_id), queue)
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

    def sign(self, children: Sequence[str], process: str, machine: str) -> None:
        """Write down which process, on which machine, answers for children."""
        pipeline = self._client.pipeline(transaction=False)
        for child in children:
            pipeline.set(keys.holder(child), process, ex=KNOWN)
        if children:
            pipeline.sadd(keys.machine(machine), *children)
            pipeline.expire(keys.machine(machine), KNOWN)
        pipeline.execute()

    def neighbours(self, machine: str) -> list[tuple[Holder, str]]:
        """Return the holders of leases on a machine, each with its process."""
        return self._with_processes(self._client.smembers(keys.machine(machine)))

    def late(self) -> list[tuple[Holder, str]]:
        """Return the holders whose lease has run out, each with its process."""
        seconds, micros = self._client.time()
        now = seconds * 1000 + micros // 1000
        return self._with_processes(
            self._client.zrangebyscore(keys.LEASES, "-inf", now)
        )

    def _with_processes(self, found: Any) -> list[tuple[Holder, str]]:  # noqa: ANN401 - redis-py is typed in part
        children = [text(child) for child in found]
        if not children:
            return []
        processes: Any = self._client.mget([keys.holder(c) for c in children])
        told = zip(children, processes, strict=True)
        return [(Holder.of(child), text(process)) for child, process in told]

    def forget(self, holder: Holder, machine: str) -> None:
        """Forget a holder that is gone, and of whose jobs none is left."""
        if not self._client.exists(keys.lease(holder.child)):
            self._client.zrem(keys.LEASES, holder.child)
            self._client.srem(keys.machine(machine), holder.child)
            self._client.delete(keys.holder(holder.child))

    def unregister(self, worker: str, process: str) -> None:
        """Take the record of a worker that is gone out of RQ's lists."""
        key = keys.worker(worker)
        written, queues = self._client.hmget(key, "headway_process", "queues")
        if text(written) != process:
            return  # its name has another by now
        pipeline = self._client.pipeline()
        pipeline.srem(keys.WORKERS, key)
        for queue in filter(None, text(queues).split(",")):
            pipeline.srem(keys.workers_of(queue), key)
        pipeline.delete(key, keys.worker_executions(worker))
        pipeline.execute()

    def recover(
        self,
        holder: Holder,
        *,
        begun: Sequence[int] | None,
        story: str,
        crash_limit: int,
        kept: Sequence[int] = (),
        gone: Gone = "dead",
    ) -> list[Recovered]:
        """Give back what a holder has but `kept`; those it had begun have crashed it.

        Where nobody knows which these are, it is all of them. Where it was ended, they
        have not crashed it. What may not run twice is left to the application.
        """
        which = ["*"] if begun is None else begun
        arguments = [
            holder.child,
            gone,
            crash_limit,
            story,
            self._lease_ms,
            holder.execution_prefix,
            keys.JOB_PREFIX,
            keys.QUEUE_PREFIX,
            keys.WAKE_PREFIX,
            keys.STARTED_PREFIX,
            keys.EXECUTION_PREFIX,
            keys.EXECUTIONS_PREFIX,
            *which,
            *(-ordinal for ordinal in kept),
        ]
        places = [
            keys.lease(holder.child),
            keys.LEASES,
            keys.QUARANTINE,
            keys.recovered(holder.child),
            keys.resumed(holder.child),
            keys.worker_executions(holder.worker),
        ]
        return [
            Recovered(
                Leased(holder, text(job_id), ordinal, text(queue)), text(fate), crashes
            )
            for job_id, queue, fate, crashes, ordinal in self._recover(
                self._client, places, arguments
            )
        ]

    def bury(self, leased: Leased, *, reason: str, now: float) -> None:
        """Put a job that nobody can end otherwise among the failed ones."""
        bury(self._client, leased, reason=reason, now=now)

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
