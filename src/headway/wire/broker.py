"""RQ's data as a worker sees it: reserve, acknowledge, release, renew, recover.

A child sends the acknowledgement of its last batch and the reservation of its next one
in one write, as two scripts: one round trip and two runs of Lua for up to a hundred
jobs. When the answer is lost, it is not known whether they were run, or will be:
`resume` tells what the lease names, and keeps what is still on its way from being done.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headway.lease import Holder, Lease, Served, Turn
from headway.wire import job_hash, keys
from headway.wire.line import Line, call, command, pack
from headway.wire.moment import moment
from headway.wire.scripts import Script
from headway.wire.success import ACKNOWLEDGE, Success, acknowledge_call, packed

if TYPE_CHECKING:
    from redis import Redis

#: What a reservation tells of each job; of some it tells all their fields as well.
FIELDS_OF_ALL = 7
#: An answer that is late by more than this is no answer, in seconds.
LONGEST_WAIT = 3.0

RESERVE, RESERVE_ONE = Script("reserve"), Script("reserve_one")
RELEASE = Script("release")
RESUME = Script("resume")
#: Orders of queues to remember; a random one of many queues hardly comes again.
ORDERS = 64


class RedisChildBroker:
    """What Redis does for one child."""

    def __init__(self, client: Redis, holder: Holder, *, lease: float) -> None:
        self._line = Line(client, (RESERVE, RESERVE_ONE, ACKNOWLEDGE, RELEASE, RESUME))
        self._holder = holder
        self._lease_ms = int(lease * 1000)
        self._next_ordinal = 1
        #: What is the same in every reservation in that order.
        self._fixed: dict[tuple[Served, ...], tuple[int, bytes, bytes]] = {}
        self._wake_keys: tuple[str, ...] = ()

    def serve(self, queues: Sequence[Served]) -> None:
        """Say which queues the child serves, whatever the order of the moment."""
        self._wake_keys = tuple(keys.wake(queue.name) for queue in queues)

    def reserve(
        self,
        wanted: int,
        order: tuple[Served, ...],
        notes: bytes = b"",
        *,
        wait: float = 0.0,
    ) -> Turn:
        """Acknowledge what is noted and take jobs, in one round trip.

        With `wait`, jobs are taken as soon as there may be some, or after that many
        seconds: the reservation lies behind the wait in the same connection.

        Raises:
            ConnectionError: the answer was lost; `resume` tells what was done.
            TimeoutError: likewise.
        """
        asking = self._reservation(wanted, order) if wanted else b""
        if wait:
            asking = self._listening(wait) + asking
        if notes:
            asking = acknowledge_call(self._holder, notes) + asking
        first = self._next_ordinal
        self._next_ordinal += wanted
        asked = bool(notes) + bool(wait) + bool(wanted)
        answers = self._line.ask(asking, asked)
        lost, parents = answers[0] if notes else ((), ())
        return _turn(answers[-1] if wanted else [], first, lost, parents)

    def reserve_one(self, job_id: str, ordinal: int) -> Lease | None:
        """Take the job of that id, which an engine hands over; None is not to be run.

        Raises:
            ConnectionError: the answer was lost; it may be asked again, with the
                same ordinal.
        """
        child = self._holder.child
        places = (keys.job(job_id), keys.lease(child), keys.LEASES, keys.SUSPENDED)
        arguments = (
            child,
            self._lease_ms,
            ordinal,
            self._holder.worker,
            job_id,
            keys.QUEUE_PREFIX,
            keys.SENT_PREFIX,
        )
        packed = pack(6, *places, keys.PAUSED, keys.SENT_MARKS, *arguments)
        taken = self._line.ask(call(RESERVE_ONE, 14, packed), 1)[0]
        return _lease(taken[1:], ordinal, taken[0].decode()) if taken else None

    def success(
        self,
        lease: Lease,
        *,
        ttl: int,
        value: bytes,
        began: float,
        ended: float,
        shown: bool,
    ) -> bytes:
        """Return the acknowledgement of a job that returned, as it is noted.

        `value` is what it returned as JSON, empty for None; times are seconds since
        1970.
        """
        return packed(
            Success(
                lease.job_id,
                f"{lease.ordinal}:{lease.queue}",
                lease.queue,
                ttl,
                base64.b64encode(value).decode() if value else "",
                moment(ended).decode(),
                self._holder.execution_id(lease.ordinal),
                f"{began:.6f}",
                f"{ended:.6f}",
                shown,
                job_hash.workflow_of(lease.meta),
            )
        )

    def wait(self, seconds: float) -> None:
        """Return when there may be jobs, or when the seconds are over.

        Raises:
            ConnectionError: Redis is away.
        """
        self._line.ask(self._listening(seconds), 1)

    def _listening(self, seconds: float) -> bytes:
        wait = min(seconds, LONGEST_WAIT)
        packed = pack(b"BLPOP", *self._wake_keys, b"%.3f" % wait)
        return command(len(self._wake_keys) + 2, packed)

    def release(self, jobs: Sequence[tuple[str, int]]) -> None:
        """Give jobs back unrun, by id and ordinal in the order of their reservation.

        Raises:
            ConnectionError: the answer was lost; it may be asked again.
        """
        if jobs:
            self._line.ask(release_call(self._holder, jobs), 1)

    def resume(self) -> dict[str, int]:
        """Give up what was asked before; return the ordinals of what is held, by id.

        Raises:
            ConnectionError: the answer was lost; it may be asked again.
        """
        child = self._holder.child
        places = pack(2, keys.lease(child), keys.resumed(child), self._next_ordinal)
        flat = _pairs(self._line.ask(call(RESUME, 4, places), 1)[0])
        return {
            job_id.decode(): int(value.partition(b":")[0])
            for job_id, value in flat.items()
        }

    def close(self) -> None:
        """Give the connection up."""
        self._line.close()

    def _reservation(self, wanted: int, order: tuple[Served, ...]) -> bytes:
        if order not in self._fixed:
            if len(self._fixed) >= ORDERS:
                self._fixed.clear()
            names = self._reserve_keys(order)
            limits = [item for queue in order for item in (queue.name, queue.prefetch)]
            count = 1 + len(names) + 6 + len(limits)
            self._fixed[order] = count, pack(len(names), *names), pack(*limits)
        count, places, limited = self._fixed[order]
        arguments = pack(
            self._holder.child,
            self._lease_ms,
            wanted,
            self._next_ordinal,
            self._holder.worker,
            keys.JOB_PREFIX,
        )
        return call(RESERVE, count, places + arguments + limited)

    def _reserve_keys(self, order: tuple[Served, ...]) -> list[str]:
        names = [
            keys.lease(self._holder.child),
            keys.LEASES,
            keys.SUSPENDED,
            keys.PAUSED,
            keys.QUARANTINE,
            keys.resumed(self._holder.child),
        ]
        for queue in order:
            names += [
                keys.queue(queue.name),
                keys.wake(queue.name),
                keys.workers_of(queue.name),
            ]
        return names


def release_call(holder: Holder, jobs: Sequence[tuple[str, int]]) -> bytes:
    """Return the command that gives jobs back, by id and ordinal."""
    head = (
        2,
        keys.lease(holder.child),
        keys.worker_executions(holder.worker),
        keys.JOB_PREFIX,
        keys.QUEUE_PREFIX,
        keys.WAKE_PREFIX,
        keys.STARTED_PREFIX,
        keys.EXECUTION_PREFIX,
        keys.EXECUTIONS_PREFIX,
        holder.execution_prefix,
    )
    each = [item for job in jobs for item in job]
    return call(RELEASE, len(head) + len(each), pack(*head, *each))


def _turn(
    reserved: Any,  # noqa: ANN401 - as Lua has it
    first: int,
    lost: Sequence[bytes],
    parents: Sequence[bytes],
) -> Turn:
    gone, kept = _texts(lost), _texts(parents)
    if reserved == b"suspended":
        return Turn([], suspended=True, lost=gone, parents=kept)
    if not reserved:
        return Turn([], lost=gone, parents=kept)
    queue = reserved[0].decode()
    leases = [
        _lease(job, number, queue) for number, job in enumerate(reserved[1:], first)
    ]
    return Turn(leases, lost=gone, parents=kept)


def _lease(job: Any, ordinal: int, queue: str) -> Lease:  # noqa: ANN401 - as Lua has it
    return Lease(
        job[0].decode(),
        ordinal,
        job[1],
        queue,
        job[2],
        job[3],
        job[4],
        job[5],
        job[6],
        _pairs(job[7]) if len(job) > FIELDS_OF_ALL else {},
    )


def _texts(ids: Sequence[bytes]) -> tuple[str, ...]:
    return tuple(job_id.decode() for job_id in ids)


def _pairs(flat: Any) -> dict[bytes, bytes]:  # noqa: ANN401 - RESP2 or RESP3
    if isinstance(flat, dict):
        return flat
    values = iter(flat)
    return dict(zip(values, values, strict=True))
