"""What a supervisor keeps up in the store for its children."""

from __future__ import annotations

import logging
from functools import partial

from headway.errors import ConfigurationError
from headway.wire import keys
from headway.wire.promotion import Promotion
from headway.wire.reading import text
from headway.wire.steadfast import until_taken
from headway.worker import watch
from headway.worker.crew import Crew
from headway.worker.identity import Identity
from headway.worker.member import Member
from headway.worker.office import Office
from headway.worker.record import Record
from headway.worker.slot import State

log = logging.getLogger("headway.worker")

#: How often jobs that came without a wake-up are looked for, in seconds.
NUDGE = 0.08
#: When leases that could not be prolonged are to be tried again, in seconds.
SOON = 0.5
#: How often RQ's records are kept alive, in seconds.
BEAT = 10.0
#: For how long such a record outlives a worker that is lost, in seconds; as rq's own
#: while it runs a job. Its name is taken for so long.
RECORD_TTL = 90
#: How often RQ's records say what each child does, in seconds.
STATE = 1.0


class Upkeep:
    """Leases, records, and wake-ups."""

    def __init__(
        self,
        office: Office,
        crew: Crew,
        *,
        promotion: Promotion | None,
    ) -> None:
        self._office = office
        self._crew = crew
        self._members = crew.members
        self._promotion = promotion
        self._misused: set[str] = set()
        self._records = {
            member.worker: Record(
                office.client,
                member.worker,
                member.queues,
                RECORD_TTL,
                office.identity,
            )
            for member in crew.members
        }

    def begin(self) -> None:
        """Register the children as RQ's workers.

        Raises:
            ConfigurationError: a worker of that name is alive.
        """
        until_taken(self._refuse_namesakes)
        born: list[Record] = []
        for record in self._records.values():
            try:
                until_taken(partial(record.be_born, self._office.seconds))
            except ConfigurationError:
                for each in born:  # no record of a worker that never was
                    each.die(self._office.seconds)
                raise
            born.append(record)
        if self._promotion is not None:
            self._office.contact.made(self._promotion.all)

    def _refuse_namesakes(self) -> None:
        """Refuse a name that a worker here has, with another number of children."""
        name, client = self._office.plan.name, self._office.client
        mine = self._office.identity
        for key in client.smembers(keys.WORKERS):
            other = text(key).removeprefix(keys.WORKER_PREFIX)
            if other in self._records or not _is_of(name, other):
                continue
            process = Identity.read(text(client.hget(text(key), "headway_process")))
            if process is None or process.machine != mine.machine:
                continue
            if not mine.sees_dead(process):
                raise ConfigurationError(
                    f"a worker named {name!r} runs already, as process {process.pid} "
                    "on this machine: stop it, or take another --name"
                )

    def end(self) -> None:
        """Take them out of RQ's lists; where Redis is away they leave by themselves."""
        if not self._office.contact.is_up:
            return
        for record in self._records.values():
            self._office.contact.made(partial(record.die, self._office.seconds))

    def announce_stop(self) -> None:
        """Write of those that run a job that they were asked to stop, as RQ does."""
        busy = {m.worker for m in self._members if watch.running(m)}
        for record in (self._records[worker] for worker in busy):
            step = partial(record.request_shutdown, self._office.seconds)
            self._office.contact.made(step)

    def keep_leases(self) -> None:
        """Prolong the leases of all children, and what RQ sees of long jobs."""
        if not self._office.is_due("renew", self._office.lease / 3):
            return
        if not self._office.contact.made(self._renew):
            self._office.put_off("renew", SOON)
        for member in self._members:
            if member.is_alive:
                self._show(member, again=True)

    def _renew(self) -> None:
        if not (children := sorted(self._crew.leases)):
            return
        until = self._office.now + self._office.lease
        lost = self._office.broker.renew(children)
        for member in self._members:
            if member.life.child not in lost:
                member.slot.renew_until(until)
        self._crew.end_superseded(lost)

    def _show(self, member: Member, *, again: bool) -> None:
        step = partial(
            watch.show, member, self._office.broker, self._office.clock, again=again
        )
        self._office.contact.made(step)

    def tell_rq(self) -> None:
        """Write what RQ's own tools want to see."""
        for member in self._members:
            self._show(member, again=False)
        if self._office.is_due("state", STATE):
            for member in self._members:
                self._tell_state(member)
        if self._office.is_due("beat", BEAT):
            for record in self._records.values():
                self._office.contact.made(partial(record.beat, self._office.seconds))
            self._office.contact.made(self._look_at_queues)
            self._office.contact.made(self.sign)
            self._crew.measure()

    def sign(self) -> None:
        """Write down that this process answers for its children."""
        children = sorted(self._crew.leases)
        identity = self._office.identity
        self._office.broker.sign(children, identity.written, identity.machine_id)

    def _look_at_queues(self) -> None:
        misused = self._office.broker.misused()
        for queue, kind in misused.items():
            if queue not in self._misused:
                log.error(
                    "queue %s: its key %s holds a %s and no list of jobs, so none can "
                    "be sent or run: rename or delete that key",
                    queue,
                    keys.queue(queue),
                    kind,
                )
        self._misused = set(misused)

    def _tell_state(self, member: Member) -> None:
        state = member.slot.state if member.is_alive else State.STARTING
        long = any(
            self._office.now - held.began > watch.VISIBLE
            for held in watch.running(member)
        )
        if state is State.BUSY and not long:
            return  # it may be over before it is read
        record = self._records[member.worker]
        self._office.contact.made(partial(record.tell, state, self._office.seconds))

    def wake_the_idle(self) -> None:
        """Wake children for jobs that nobody has told them of."""
        if any(map(self._may_take_jobs, self._members)) and self._office.is_due(
            "nudge", NUDGE
        ):
            self._office.contact.made(self._office.broker.nudge)

    def _may_take_jobs(self, member: Member) -> bool:
        waits = member.is_alive and member.slot.state is State.IDLE
        # One that runs many at once may have a lane that is free.
        return waits or (member.is_alive and self._office.plan.runs_many)


def _is_of(name: str, record: str) -> bool:
    """Tell whether a worker of that name has, or had, such a record."""
    base, _, number = record.rpartition("-")
    return record == name or (base == name and number.isdecimal())
