"""What workers of RQ's own leave behind when they die, as RQ's data shows it.

RQ itself waits for minutes until it takes a job for abandoned, and fails it then.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from redis.exceptions import ResponseError

from headway.lease import Holder
from headway.wire import keys
from headway.wire.overdue import Overdue
from headway.wire.reading import Fields, text
from headway.wire.scripts import Script, Value

if TYPE_CHECKING:
    from redis import Redis

#: How many entries of a queue are looked at in one sweep.
_MOST = 500
#: How many workflows are looked at in one sweep, and how many open nodes of each.
_WORKFLOWS, _NODES = 20, 100
#: For how long it is known that an entry was seen, in seconds.
_KNOWN = 10
#: RQ's workers say every thirty seconds that they live, while they run a job.
_SILENT = 75.0
#: How long RQ itself leaves a job alone that was popped, in seconds.
_AS_RQ = 60.0

Fate = Literal["begun", "requeued", "gone"]


class Leftover(NamedTuple):
    """A job that a dead worker of RQ's own had."""

    job_id: str
    queue: str
    #: Empty where it was popped and not begun.
    execution: str
    #: Empty where nobody knows.
    worker: str
    #: How many seconds at least have to be between two looks.
    patience: float = 0.0


class Leftovers:
    """The queues of a worker, looked through for others' leftovers."""

    def __init__(self, client: Redis, queues: Sequence[str]) -> None:
        self._client = client
        self._queues = queues

    @cached_property
    def _sweep_workflows(self) -> Script:
        return Script("sweep_workflows")

    @cached_property
    def _adopt(self) -> Script:
        return Script("adopt")

    def is_my_turn(self, seconds: float) -> bool:
        """Tell whether nobody else has looked for so long; a lock that runs out."""
        key = keys.sweep(",".join(self._queues))
        return bool(self._client.set(key, 1, nx=True, px=int(seconds * 1000)))

    def found(self, pause: float) -> list[Leftover]:
        """Return what was left when somebody looked before, and still is.

        `pause` is how many seconds have to be between two looks.
        """
        now = self._now()
        dead = [each for queue in self._queues for each in self._of(queue, now)]
        return [each for each in dead if self._was_seen(each, pause, now)]

    def waits_for_nobody(self, pause: float) -> bool:
        """Tell whether jobs were let go by what they wait for, and are not enqueued."""
        pipeline = self._client.pipeline(transaction=False)
        for queue in self._queues:
            pipeline.zcard(keys.ready(queue))
        waiting = zip(self._queues, pipeline.execute(), strict=True)
        left = [Leftover("", queue, "ready", "") for queue, count in waiting if count]
        left += [each for queue in self._queues for each in self._met(queue)]
        now = self._now()
        return any([self._was_seen(each, pause, now) for each in left])  # noqa: C419 - all are noted

    def recall(self) -> list[str]:
        """Take back what another engine has, and gives no worker; return the ids.

        So the engine of a queue can be changed while jobs wait in it.
        """
        overdue = Overdue(self._client)
        recalled = [
            overdue.put_back(queue, nothing_waits=True)
            for queue in overdue.queues(self._queues)
        ]
        return list(chain.from_iterable(recalled))

    def go_on(self) -> None:
        """Have workflows go on whose nodes were ended by others than our workers."""
        self._sweep_workflows(self._client, [], [_WORKFLOWS, _NODES])

    def adopt(self, leftover: Leftover, holder: Holder, ordinal: int) -> Fate:
        """Take a job over, for a holder whose jobs are then to be recovered."""
        job_id, queue, execution, worker, _patience = leftover
        names = [
            keys.started(queue),
            keys.intermediate(queue),
            keys.queue(queue),
            keys.wake(queue),
            keys.job(job_id),
            f"{keys.EXECUTION_PREFIX}{job_id}:{execution}",
            keys.executions(job_id),
            keys.worker_executions(worker),
            keys.lease(holder.child),
            keys.LEASES,
        ]
        arguments: list[Value] = [job_id, execution, queue, holder.child, ordinal]
        return cast("Fate", text(self._adopt(self._client, names, arguments)))

    def _now(self) -> float:
        seconds, micros = self._client.time()
        return seconds + micros / 1e6

    def _of(self, queue: str, now: float) -> Iterator[Leftover]:
        pipeline = self._client.pipeline(transaction=False)
        pipeline.lrange(keys.intermediate(queue), 0, _MOST - 1)
        pipeline.zrange(keys.started(queue), 0, _MOST - 1)
        popped, started = pipeline.execute(raise_on_error=False)
        if not isinstance(popped, list) or not isinstance(started, list):
            return  # a key of another type: the supervisor says so
        begun = [_parts(text(both)) for both in started]
        yield from self._begun(queue, begun, now)
        waiting = {text(job_id) for job_id in popped} - {job_id for job_id, _ in begun}
        if waiting:
            patience = _AS_RQ if self._may_be_popped(queue, now) else 0.0
            for job_id in sorted(waiting):
                yield Leftover(job_id, queue, "", "", patience)

    def _begun(
        self, queue: str, begun: list[tuple[str, str]], now: float
    ) -> Iterator[Leftover]:
        pipeline = self._client.pipeline(transaction=False)
        for job_id, execution in begun:
            name = f"{keys.EXECUTION_PREFIX}{job_id}:{execution}"
            pipeline.hget(name, "worker_name")
        told = pipeline.execute(raise_on_error=False)
        names = ["" if isinstance(name, Exception) else text(name) for name in told]
        workers = set(filter(None, names))
        dead = {name for name in workers if is_dead(self._record(name), now)}
        leased = self._leased() if dead else set()
        for (job_id, execution), worker in zip(begun, names, strict=True):
            if worker in dead and job_id not in leased:
                yield Leftover(job_id, queue, execution, worker)

    def _record(self, worker: str) -> Fields:
        return Fields.of(self._client.hgetall(keys.worker(worker)))

    def _leased(self) -> set[str]:
        children = [text(child) for child in self._client.zrange(keys.LEASES, 0, -1)]
        pipeline = self._client.pipeline(transaction=False)
        for child in children:
            pipeline.hkeys(keys.lease(child))
        return {text(job_id) for found in pipeline.execute() for job_id in found}

    def _may_be_popped(self, queue: str, now: float) -> bool:
        """Tell whether a living worker of RQ's may have popped a job, and say so soon.

        It does within milliseconds, or is frozen; one that runs another job has not.
        """
        for key in self._client.smembers(keys.workers_of(queue)):
            worker = text(key).removeprefix(keys.WORKER_PREFIX)
            record = self._record(worker)
            if record.text("headway_process") or is_dead(record, now):
                continue
            if not self._client.scard(keys.worker_executions(worker)):
                return True
        return False

    def _met(self, queue: str) -> Iterator[Leftover]:
        """Yield deferred jobs all of whose parents have finished."""
        found: Any = self._client.zrange(keys.deferred(queue), 0, _MOST - 1)
        for job_id in map(text, found):
            try:
                parents = self._client.smembers(keys.dependencies(job_id))
            except ResponseError:
                continue  # its key holds something else
            if not parents:
                continue
            pipeline = self._client.pipeline(transaction=False)
            for parent in parents:
                pipeline.hget(keys.job(text(parent)), "status")
            statuses = pipeline.execute(raise_on_error=False)
            if all(status == b"finished" for status in statuses):
                yield Leftover(job_id, queue, "deferred", "")

    def _was_seen(self, leftover: Leftover, pause: float, now: float) -> bool:
        key = keys.seen(leftover.job_id or leftover.queue, leftover.execution)
        wanted = max(pause, leftover.patience)
        if self._client.set(key, now, nx=True, ex=int(wanted) + _KNOWN):
            return False
        first = self._client.get(key)
        return first is not None and now - float(text(first)) >= wanted


def _parts(both: str) -> tuple[str, str]:
    job_id, _, execution = both.partition(":")
    return job_id, execution


def is_dead(record: Fields, now: float) -> bool:
    """Tell whether a worker of RQ's own is sure to be gone, by what it said last.

    `now` is in seconds since 1970.
    """
    if record.text("headway_process"):
        return False  # ours have leases, and are told by these
    if not record.text("birth"):
        return True  # it has not been heard of for as long as RQ waits
    heard = record.moment("last_heartbeat")
    # The same name of a host is no proof that process ids are counted alike, and the
    # process of a job may outlive its worker's: RQ takes both for dead by then, too.
    is_here = record.text("hostname") == socket.gethostname()
    is_silent = heard is None or now - heard.timestamp() > _SILENT
    return is_silent and is_here and is_no_process(record.text("pid"))


def is_no_process(pid: str) -> bool:
    """Tell whether this machine has no process of that id, or one that has ended."""
    try:
        os.kill(int(pid), 0)
        stat = Path(f"/proc/{pid}/stat").read_text()
    except ProcessLookupError:
        return True
    except (ValueError, OverflowError, OSError):
        return False
    return stat.rpartition(")")[2].split()[0] in "ZX"
