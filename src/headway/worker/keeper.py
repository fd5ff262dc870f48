"""The thread beside the jobs of an engine's process: it keeps what they hold.

It prolongs the leases, shows the process among RQ's workers, and hears what it is told
to stop. A job that holds the interpreter's lock for longer than a lease is taken for
lost, as nothing else answers for this process: it runs again, and its end is refused.
"""

from __future__ import annotations

import logging
import threading
from functools import partial

from headway.errors import ConfigurationError
from headway.worker.carried import Carried
from headway.worker.commands import Command, Commands
from headway.worker.ending import Stopped
from headway.worker.record import Record
from headway.worker.upkeep import BEAT, RECORD_TTL, SOON
from headway.worker.watch import VISIBLE

log = logging.getLogger("headway.worker")

#: Between two rounds, in seconds.
TICK = 0.2
#: For how long a job that is to be stopped is looked for, in seconds.
PATIENCE = 1.0


class Keeper:
    """What an engine's process says to the store while its jobs run."""

    def __init__(self, carried: Carried) -> None:
        self._carried, self._office = carried, carried.office
        office, holder = carried.office, carried.holder
        names = [queue.name for queue in office.plan.queues]
        self._record = Record(
            office.client, holder.worker, names, RECORD_TTL, office.identity
        )
        self._commands = Commands(office.client, [holder.worker])
        #: Jobs to be stopped, and the monotonic second until which each is looked for.
        self._to_stop: dict[str, float] = {}
        #: The runs that are to stop, by number: a job may be run again meanwhile.
        self._stopping: set[int] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="headway-keeper", daemon=True
        )

    def start(self) -> None:
        """Begin."""
        self._office.contact.made(self._begin)
        # Nobody repeats what is told before the first job to those who do not listen.
        self._office.contact.made(self._hear)
        self._thread.start()

    def close(self) -> None:
        """Leave: what was held is given back by now, or will be recovered."""
        self._stop.set()
        self._thread.join()
        machine = self._office.identity.machine_id
        forget = partial(self._office.broker.forget, self._carried.holder, machine)
        self._office.contact.made(forget)
        self._office.contact.made(partial(self._record.die, self._office.seconds))
        self._commands.close()

    def _begin(self) -> None:
        try:
            self._record.be_born(self._office.seconds)
        except ConfigurationError as error:  # its name is its own: it cannot be
            log.warning("%s", error)
        self._sign()

    def _sign(self) -> None:
        identity = self._office.identity
        child = self._carried.holder.child
        self._office.broker.sign([child], identity.written, identity.machine_id)

    def _run(self) -> None:
        while not self._stop.wait(TICK):
            self._round()

    def _round(self) -> None:
        office = self._office
        again = office.is_due("renew", office.lease / 3)
        if again and not office.contact.made(self._renew):
            office.put_off("renew", SOON)
        if self._carried.running:
            office.contact.made(partial(self._show, again=again))
        if office.is_due("beat", BEAT):
            office.contact.made(partial(self._record.beat, office.seconds))
            office.contact.made(self._sign)
        office.contact.made(self._hear)
        self._stop_jobs()

    def _renew(self) -> None:
        lost = self._office.broker.renew([self._carried.holder.child])
        if lost and self._carried.running:
            log.warning("others have recovered what this process runs")

    def _show(self, *, again: bool) -> None:
        now = self._office.seconds
        begun = [
            (running.lease.ordinal, running.began)
            for running in list(self._carried.running.values())
            if now - running.began > VISIBLE
            and (again or now - running.began < VISIBLE + 2 * TICK)
        ]
        if begun:
            self._office.broker.show(self._carried.holder, begun, now)

    def _hear(self) -> None:
        for command in self._commands.received():
            self._obey(command)

    def _obey(self, command: Command) -> None:
        log.info("%s is told: %s %s", command.worker, command.name, command.job_id)
        if command.name in ("stop-job", "stop-execution"):
            self._to_stop[command.job_id] = self._office.now + PATIENCE
        else:
            log.warning(
                "%s is for workers of RQ's: stop this one by its own engine's means",
                command.name,
            )

    def _stop_jobs(self) -> None:
        for job_id, until in list(self._to_stop.items()):
            if runs := self._carried.runs_of(job_id):
                self._stopping.update(runs)
            if runs or self._office.now > until:
                del self._to_stop[job_id]
        # Again and again: its own code may have kept the exception.
        self._stopping = {
            run for run in self._stopping if self._carried.break_off(run, Stopped)
        }
