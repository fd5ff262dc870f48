"""The parent of a worker's children: it imports no user code and runs no job.

So nothing that a job does can reach it: it renews leases while a child holds the
interpreter's lock, ends jobs that run too long in C code, gives back what a dead child
held, and puts another in its place. One thread, one list of duties, twenty times a
second; whatever needs the store is skipped while the store is away, and made up for.
"""

from __future__ import annotations

import logging
import os
import random
import select
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any, Self

from headway.clock import Clock
from headway.wire.broker import RedisSupervisorBroker
from headway.worker import loss as losses
from headway.worker import watch
from headway.worker.aftermath import Aftermath
from headway.worker.child import DONE, RECYCLE, UNFIT, Start
from headway.worker.commands import Command, Commands
from headway.worker.contact import Contact
from headway.worker.crew import (
    LONGEST_PAUSE,
    SHORT_LIFE,
    Doom,
    Member,
    fork,
    new_holder,
    spawn,
)
from headway.worker.loss import Loss, loss_of
from headway.worker.plan import CRASH_LIMIT, Plan
from headway.worker.record import Record
from headway.worker.slot import Slot, State

if TYPE_CHECKING:
    from redis import Redis

log = logging.getLogger("headway.worker")

#: Between two rounds, in seconds.
TICK = 0.05
#: How often jobs that came without a wake-up are looked for, in seconds.
NUDGE = 0.08
#: How often RQ's records are kept alive, and RQ's registries tended, in seconds.
BEAT, MAINTENANCE = 10.0, 600.0
#: A second signal sooner than this is the same Ctrl-C, seen twice (rq does likewise).
SAME_SIGNAL = 1.0


class Supervisor:
    """One worker."""

    def __init__(
        self,
        plan: Plan,
        members: Sequence[Member],
        client: Redis,
        connect: Callable[[], Redis],
        clock: Clock,
        *,
        grace: timedelta,
        record_ttl: int = 480,
        promote: Callable[[], object] | None = None,
        forget: Callable[[], None] = lambda: None,
    ) -> None:
        self._plan = plan
        self._members = list(members)
        self._client = client
        self._connect = connect
        self._clock = clock
        self._grace = grace.total_seconds()
        self._promote = promote
        self._forget = forget
        self._lease = plan.lease.total_seconds()
        names = [queue.name for queue in plan.queues]
        self._broker = RedisSupervisorBroker(client, names, lease=self._lease)
        self._commands = Commands(client, [member.worker for member in members])
        self._contact = Contact(clock)
        self._records = {
            member.worker: Record(client, member.worker, member.queues, record_ttl)
            for member in members
        }
        self._losses: list[Loss] = []
        self._helpers: set[int] = set()
        self._next: dict[str, float] = {}
        self._stop_since: float | None = None
        self._signal: int | None = None
        self._killed_all = False
        self._unfit = False

    def run(self) -> bool:
        """Work until told to stop, or done; tell whether any job was run.

        Raises:
            ConfigurationError: a worker of that name is alive, or no child can start.
        """
        now = self._seconds()
        for record in self._records.values():
            record.be_born(now)
        self._next = {"maintenance": self._clock.monotonic() + MAINTENANCE}
        try:
            with _Signals(self._asked_to_stop) as signals:
                if self._promote is not None:
                    self._contact.made(self._promote)
                while not self._is_over():
                    self._round()
                    signals.wait(TICK)
        finally:
            self._end()
        if self._unfit:
            raise SystemExit(1)
        return any(member.done for member in self._members)

    # A round: each duty in its turn

    def _round(self) -> None:
        self._heed_signals()
        self._reap()
        self._settle_losses()
        self._start_those_missing()
        self._end_overdue_jobs()
        self._spread_work()
        self._obey()
        self._keep_leases()
        self._tell_rq()
        self._recover_others()
        self._wake_the_idle()
        self._maintain()
        self._look_at_the_time()

    def _reap(self) -> None:
        """Take note of children that have ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._helpers.discard(pid)
            for member in self._members:
                if member.pid == pid:
                    self._bury(member, os.waitstatus_to_exitcode(status))

    def _bury(self, member: Member, status: int) -> None:
        now = self._clock.monotonic()
        member.pid = 0
        expected = status in (DONE, RECYCLE)
        asked = expected or self._killed_all
        self._losses.append(loss_of(member, status, asked=asked))
        if not expected and not self._killed_all and not member.doomed:
            cause = losses.cause_of(status)
            log.warning("a child of %s ended: %s", member.worker, cause)
        member.doomed, member.to_release, member.shown = {}, set(), set()
        if status == UNFIT:
            self._unfit = True
        member.retired = status in (DONE, UNFIT) or self._stop_since is not None
        short = now - member.born < SHORT_LIFE and not expected
        member.short_lives = member.short_lives + 1 if short else 0
        pause = min(LONGEST_PAUSE, 0.1 * 2 ** (member.short_lives - 1)) if short else 0
        member.not_before = now + pause

    def _settle_losses(self) -> None:
        while self._losses:
            if not self._contact.made(self._settle_first_loss):
                return
            self._losses.pop(0)

    def _settle_first_loss(self) -> None:
        aftermath = losses.settle(self._losses[0], self._broker, self._clock)
        if aftermath:
            worker = self._losses[0].holder.worker
            self._start_helper(worker, aftermath=tuple(aftermath))

    def _maintain(self) -> None:
        if self._stop_since is None and self._is_due("maintenance", MAINTENANCE):
            self._start_helper(self._members[0].worker, maintain=True)

    def _start_helper(
        self,
        worker: str,
        *,
        aftermath: tuple[Aftermath, ...] = (),
        maintain: bool = False,
    ) -> None:
        """Start a child that runs no jobs: only the application knows what to do."""
        start = Start(
            plan=self._plan,
            holder=new_holder(worker),
            aftermath=aftermath,
            maintain=maintain,
            jobs=0,
        )
        self._helpers.add(fork(start, Slot(), self._connect, self._forget))

    def _start_those_missing(self) -> None:
        now = self._clock.monotonic()
        for member in self._members:
            if member.is_alive or member.retired or now < member.not_before:
                continue
            if not any(loss.holder == member.holder for loss in self._losses):
                self._start(member, now)

    def _start(self, member: Member, now: float) -> None:
        if member.lives:
            member.done_before += member.slot.done
        member.slot.reset()
        member.holder, member.born = new_holder(member.worker), now
        left = None if member.jobs is None else max(0, member.jobs - member.done_before)
        start = Start(
            plan=self._plan_of(member),
            holder=member.holder,
            jobs=left,
            is_first=member.is_first and not member.lives,
            maintain=member.is_first and not member.lives,
            has_device=member.spawned,
        )
        member.lives += 1
        if member.spawned:
            member.pid = spawn(
                start,
                member.slot,
                self._client,
                member.environment or {},
                member.inherited,
            )
        else:
            member.pid = fork(start, member.slot, self._connect, self._forget)

    def _plan_of(self, member: Member) -> Plan:
        served = tuple(q for q in self._plan.queues if q.name in member.queues)
        return replace(self._plan, queues=served)

    def _end_overdue_jobs(self) -> None:
        now = self._clock.monotonic()
        for member in self._members:
            for held in watch.overdue(member, now):
                seconds = round(held.deadline - held.began, 1)
                reason = (
                    f"Task exceeded maximum timeout value ({seconds:g} seconds), and "
                    "did not end when told to: its process was killed"
                )
                member.doomed[held.ordinal] = Doom("timeout", reason)
            if member.doomed:
                member.kill()

    def _spread_work(self) -> None:
        now = self._clock.monotonic()
        for member in self._members:
            watch.take_back(member, now)
            if member.is_alive:
                self._contact.made(partial(watch.release, member, self._broker))
                self._contact.made(
                    partial(watch.acknowledge, member, self._broker, now)
                )

    def _obey(self) -> None:
        self._contact.made(self._do_what_is_told)

    def _do_what_is_told(self) -> None:
        for command in self._commands.received():
            self._do(command)

    def _do(self, command: Command) -> None:
        log.info("%s is told: %s %s", command.worker, command.name, command.job_id)
        member = next(m for m in self._members if m.worker == command.worker)
        match command.name:
            case "shutdown":
                self._stop()
            case "kill-horse":
                for held in watch.running(member):
                    reason = "its process was killed by a command"
                    member.doomed[held.ordinal] = Doom("killed", reason)
            case "stop-job" | "stop-execution":
                self._stop_job(member, command)
            case _:
                log.warning("%s: no such command", command.name)

    def _stop_job(self, member: Member, command: Command) -> None:
        if member.holder is None:
            return
        ids = self._broker.held(member.holder)
        for held in watch.running(member):
            job_id = ids.get(held.ordinal, ("", ""))[0]
            execution = member.holder.execution_id(held.ordinal)
            wanted = command.execution_id in ("", execution)
            if job_id == command.job_id and wanted:
                if self._plan.runs_many:
                    member.slot.cancel(held.place)
                    return
                reason = "Job stopped by user, work-horse terminated."
                member.doomed[held.ordinal] = Doom("stopped", reason)
                return
        log.warning("not working on job %s, command ignored", command.job_id)

    def _keep_leases(self) -> None:
        if not self._is_due("renew", self._lease / 3):
            return
        alive = [m for m in self._members if m.is_alive and m.holder is not None]
        children = [m.holder.child for m in alive if m.holder is not None]
        if children:
            self._contact.made(partial(self._broker.renew, children))
        for member in alive:
            self._show(member, again=True)

    def _show(self, member: Member, *, again: bool) -> None:
        step = partial(watch.show, member, self._broker, self._clock, again=again)
        self._contact.made(step)

    def _tell_rq(self) -> None:
        for member in self._members:
            self._show(member, again=False)
        if self._is_due("state", 1.0):
            for member in self._members:
                self._tell_state(member)
        if self._is_due("beat", BEAT):
            for record in self._records.values():
                self._contact.made(partial(record.beat, self._seconds()))

    def _tell_state(self, member: Member) -> None:
        state = member.slot.state if member.is_alive else State.STARTING
        long = any(
            self._clock.monotonic() - held.began > watch.VISIBLE
            for held in watch.running(member)
        )
        if state is State.BUSY and not long:
            return  # it may be over before it is read
        record = self._records[member.worker]
        self._contact.made(partial(record.tell, state, self._seconds()))

    def _recover_others(self) -> None:
        # After an outage nobody's lease was renewed: give all a chance to do so first.
        answered = self._clock.monotonic() - self._contact.since
        if answered < self._lease / 2 or not self._is_due("recover", self._lease / 6):
            return
        self._contact.made(self._recover_late)

    def _recover_late(self) -> None:
        for orphan in self._broker.recover_late(
            reason=f"The workers that ran this job were lost {CRASH_LIMIT} times.",
            now=self._seconds(),
            crash_limit=CRASH_LIMIT,
        ):
            log.warning(
                "job %s is %s: its worker has not renewed its lease",
                orphan.job_id,
                orphan.fate,
            )

    def _wake_the_idle(self) -> None:
        idle = any(m.is_alive and m.slot.state is State.IDLE for m in self._members)
        if idle and self._is_due("nudge", NUDGE):
            self._contact.made(self._broker.nudge)
        if self._promote is not None and self._is_due("promote", 1.0):
            self._contact.made(self._promote)

    # Stopping

    def _asked_to_stop(self, number: int, _frame: FrameType | None) -> None:
        self._signal = number  # heeded in the next round: this may be in any call

    def _heed_signals(self) -> None:
        number, self._signal = self._signal, None
        if number is not None:
            log.info("received %s", signal.Signals(number).name)
            self._stop()

    def _stop(self) -> None:
        now = self._clock.monotonic()
        if self._stop_since is None:
            self._stop_since = now
            log.info("stopping: running jobs have %g s to end", self._grace)
            for member in self._members:
                member.retired = True
                member.slot.ask_to_stop()
                member.kill(signal.SIGTERM)
            for record in self._records.values():
                self._contact.made(partial(record.request_shutdown, self._seconds()))
        elif now - self._stop_since > SAME_SIGNAL:
            self._kill_all()

    def _kill_all(self) -> None:
        """End what still runs; its jobs go back to their queues, uncounted."""
        self._killed_all = True
        for member in self._members:
            member.kill()

    def _look_at_the_time(self) -> None:
        now = self._clock.monotonic()
        if self._stop_since is not None and now - self._stop_since > self._grace:
            self._kill_all()
        idle = self._plan.limits.idle
        if idle is not None and all(
            m.slot.state is State.IDLE and now - m.slot.since > idle.total_seconds()
            for m in self._members
        ):
            log.info("idle for %g s, stopping", idle.total_seconds())
            if self._stop_since is None:
                self._stop()

    def _is_over(self) -> bool:
        if any(member.is_alive for member in self._members):
            return False
        all_retired = all(member.retired for member in self._members)
        return all_retired and not self._losses and not self._helpers

    def _end(self) -> None:
        for member in self._members:
            member.kill()
        for record in self._records.values():
            self._contact.made(partial(record.die, self._seconds()))
        self._commands.close()

    # Time

    def _seconds(self) -> float:
        return self._clock.now().timestamp()

    def _is_due(self, duty: str, every: float) -> bool:
        now = self._clock.monotonic()
        if now < self._next.get(duty, 0.0):
            return False
        # Workers that were started together need not ask together.
        self._next[duty] = now + every * random.uniform(0.9, 1.0)  # noqa: S311 - no secret
        return True


class _Signals:
    """Calls the handler for SIGTERM and SIGINT, and ends a wait at any signal."""

    def __init__(self, stop: Callable[[int, FrameType | None], None]) -> None:
        self._stop = stop
        self._ears, self._mouth = socket.socketpair()
        self._ears.setblocking(False)
        self._mouth.setblocking(False)
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._wakeup = signal.set_wakeup_fd(
            self._mouth.fileno(), warn_on_full_buffer=False
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._stop)
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, _heard)
        return self

    def wait(self, seconds: float) -> None:
        """Return after the seconds, or as soon as a signal came."""
        if select.select([self._ears], [], [], seconds)[0]:
            self._ears.recv(4096)

    def __exit__(self, *_exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        self._ears.close()
        self._mouth.close()


def _heard(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: a signal that has a handler ends the wait."""
