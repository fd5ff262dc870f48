"""From a plan to a worker that runs: connections, children and their devices."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from redis import ConnectionPool, Redis

from headway.clock import SystemClock
from headway.settings import Settings
from headway.wire.leftovers import Leftovers
from headway.wire.promotion import Promotion
from headway.wire.server import check_server
from headway.wire.supervision import RedisSupervisorBroker
from headway.worker import claims, devices
from headway.worker.address import Address
from headway.worker.contact import Contact
from headway.worker.crew import Crew
from headway.worker.declaration import Declared
from headway.worker.finishers import Finishers
from headway.worker.fork_safety import refuse_unsafe_fork
from headway.worker.identity import Identity
from headway.worker.member import Member
from headway.worker.office import Office
from headway.worker.plan import Plan
from headway.worker.recover import Recovery
from headway.worker.scheduling import Scheduling
from headway.worker.slot import Slot
from headway.worker.supervisor import Supervisor
from headway.worker.upkeep import Upkeep

if TYPE_CHECKING:
    from redis.connection import ConnectionInterface


def serve(
    plan: Plan,
    queues: Sequence[Declared],
    client: Redis,
    *,
    settings: Settings,
    children: int,
    with_scheduler: bool,
    gpu_share: float = 1.0,
    most_devices: int | None = None,
) -> bool:
    """Run a worker until it is told to stop, or done; tell whether it ran any job.

    Raises:
        ConfigurationError: it cannot begin, and why.
    """
    refuse_unsafe_fork()
    check_server(client)
    client.connection_pool.disconnect()  # or all children would have a copy open
    plan = replace(plan, queues=tuple(queue.served() for queue in queues))
    pool, address = _OwnPool.like(client), Address.of(client)
    if any(queue.device for queue in queues):
        address = address.portable()
    with (
        contextlib.closing(Redis.from_pool(pool)) as own,
        _claimed(queues, settings, gpu_share, most=most_devices) as claimed,
    ):
        clock = SystemClock()
        names = [queue.name for queue in queues]
        lease = plan.lease.total_seconds()
        office = Office(
            plan=plan,
            client=own,
            broker=RedisSupervisorBroker(own, names, lease=lease),
            contact=Contact(clock, own.ping, pool.disconnect),
            clock=clock,
            identity=Identity.of_this_process(settings.host),
        )
        members = _members(plan, queues, children, claimed)
        forget = pool.close_inherited
        finishers = Finishers(office, address, forget)
        bursts = plan.limits.burst  # then it is enough to look once
        scheduling = (
            Scheduling(office, address, forget)
            if with_scheduler and not bursts
            else None
        )
        crew = Crew(office, members, finishers, address, forget, scheduling=scheduling)
        promotion = Promotion(own, names) if with_scheduler and bursts else None
        upkeep = Upkeep(office, crew, promotion=promotion)
        recovery = Recovery(office, finishers, Leftovers(own, names))
        supervisor = Supervisor(office, crew, upkeep, recovery, grace=settings.grace)
        return supervisor.run()


def _members(
    plan: Plan,
    queues: Sequence[Declared],
    children: int,
    claimed: Sequence[claims.Claim],
) -> list[Member]:
    plain = tuple(queue.name for queue in queues if queue.device is None)
    bound = tuple(queue.name for queue in queues if queue.device is not None)
    crew = [_member(plain) for _ in range(children if plain else 0)]
    crew += [_member(bound, claim) for claim in claimed]
    if len(crew) == 1:
        crew[0].worker = plan.name
    else:
        for number, member in enumerate(crew, 1):
            member.worker = f"{plan.name}-{number}"
    for member, share in zip(crew, _shares(plan.limits.jobs, len(crew)), strict=True):
        member.jobs = share
    crew[0].is_first = True
    return crew


def _member(queues: tuple[str, ...], claim: claims.Claim | None = None) -> Member:
    return Member(
        worker="",
        slot=Slot(),
        queues=queues,
        spawned=claim is not None,
        environment=claim.environment if claim else None,
        inherited=(claim.fileno(),) if claim else (),
    )


def _shares(jobs: int | None, members: int) -> list[int | None]:
    """Return how many jobs each child may run, so that together they run that many."""
    if jobs is None:
        return [None] * members
    return [jobs // members + (number < jobs % members) for number in range(members)]


@contextlib.contextmanager
def _claimed(
    queues: Sequence[Declared],
    settings: Settings,
    share: float,
    *,
    most: int | None,
) -> Generator[list[claims.Claim]]:
    bound = [queue.name for queue in queues if queue.device is not None]
    if not bound:
        yield []
        return
    seen = devices.visible(settings, queue=bound[0])
    found = claims.claim(seen, share=share, most=most)
    try:
        yield found
    finally:
        for claim in found:
            claim.close()


class _OwnPool(ConnectionPool):
    """A pool that knows its connections: a child must close those of its parent."""

    made: list[ConnectionInterface]

    @classmethod
    def like(cls, client: Redis) -> _OwnPool:
        """Return a pool for the same server that gives up soon: rounds must go on."""
        kwargs: dict[str, Any] = dict(client.connection_pool.connection_kwargs)
        for name in ("retry", "retry_on_error"):
            kwargs.pop(name, None)
        kwargs |= {"socket_timeout": 1.0, "socket_connect_timeout": 1.0}
        pool = cls(client.connection_pool.connection_class, **kwargs)
        pool.made = []
        return pool

    def make_connection(self) -> ConnectionInterface:
        """Return a new connection, remembered."""
        connection = super().make_connection()
        self.made.append(connection)
        return connection

    def close_inherited(self) -> None:
        """Close, in a forked process, what is the parent's; it keeps its own."""
        for connection in self.made:
            connection.disconnect()  # type: ignore[no-untyped-call]
