"""The children of a worker: started, watched, ended, and their jobs seen to."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from headway.lease import Holder
from headway.worker import loss as losses
from headway.worker import watch
from headway.worker.address import Address
from headway.worker.child import DONE, RECYCLE, UNFIT
from headway.worker.finishers import Finishers
from headway.worker.loss import MIB, Loss, loss_of
from headway.worker.member import Doom, Member, fork, new_holder, spawn
from headway.worker.office import Office
from headway.worker.plan import Plan
from headway.worker.scheduling import Scheduling
from headway.worker.slot import State
from headway.worker.start import Start

log = logging.getLogger("headway.worker")

#: How often the memory of children is looked at where it has a limit, in seconds.
LOOK_AT_MEMORY = 0.2
#: How often RQ's registries are tended, in seconds; as RQ.
MAINTENANCE = 600.0
#: A child that dies sooner than this after its start is not started again at once.
SHORT_LIFE, LONGEST_PAUSE = 1.0, 5.0
#: How often the jobs of a dead child are tried to be seen to, where Redis answers.
SETTLING_TRIES = 5


class Crew:
    """All children of one worker."""

    def __init__(
        self,
        office: Office,
        members: Sequence[Member],
        finishers: Finishers,
        address: Address,
        forget: Callable[[], None],
        *,
        scheduling: Scheduling | None = None,
    ) -> None:
        self.members = tuple(members)
        self.is_leaving = False
        #: What still ran was ended by us: its jobs have done nothing wrong.
        self.is_killed = False
        #: A child could not even begin.
        self.is_unfit = False
        self._office = office
        self._finishers = finishers
        self._scheduling = scheduling
        self._address = address
        self._forget = forget
        self._losses: list[Loss] = []
        #: How often the first of them was tried in vain.
        self._tries = 0
        office.put_off("maintenance", MAINTENANCE)

    @property
    def is_gone(self) -> bool:
        """Tell whether all have left, and nothing is left to be done for them."""
        if any(member.is_alive or not member.retired for member in self.members):
            return False
        done = not any(map(self._must_be_settled, self._losses))
        return done and self._finishers.is_idle

    def _must_be_settled(self, loss: Loss) -> bool:
        # A worker can leave while the store is away: what it held is recovered by
        # others. What it had finished they cannot know: that is worth the grace.
        return self._office.contact.is_up or (loss.count > 0 and not self.is_killed)

    @property
    def done(self) -> int:
        """Return how many jobs have ended here."""
        return sum(member.done for member in self.members)

    @property
    def leases(self) -> set[str]:
        """Return the children whose leases are ours to keep."""
        alive = {m.life.child for m in self.members if m.is_alive}
        lost = {loss.holder.child for loss in self._losses}
        return alive | lost | self._finishers.children

    def leave(self) -> None:
        """Ask all to leave after the jobs that they run."""
        self.is_leaving = True
        if self._scheduling is not None:
            self._scheduling.leave()
        for member in self.members:
            member.retired = True
            member.slot.ask_to_stop()
            member.kill(signal.SIGTERM)

    def interrupt(self) -> None:
        """Break off what still runs; a job may save its place."""
        for member in self.members:
            member.slot.ask_to_interrupt()
            member.kill(signal.SIGTERM)

    def tell_stacks(self) -> None:
        """Have all children write down where they are."""
        for member in self.members:
            member.kill(signal.SIGQUIT)

    def kill(self) -> None:
        """End all children; no crash is counted for what they still run."""
        self.is_killed = True
        for member in self.members:
            member.kill()

    def close(self) -> None:
        """End whatever there is; what is left undone is recovered by others."""
        self.kill()
        self._finishers.kill()
        if self._scheduling is not None:
            self._scheduling.kill()

    def end_superseded(self, children: Sequence[str]) -> None:
        """End children that run what others have recovered from them: it is void."""
        for member in self.members:
            if member.life.child not in children:
                continue
            # Asked in this order: it may end a job, or take one, at any moment.
            before = {held.ordinal for held in watch.running(member)}
            kept = self._office.broker.held(member.life)
            after = {held.ordinal for held in watch.running(member)}
            if void := (before & after) - kept.keys():
                log.warning(
                    "a child of %s lost its lease: %d jobs that it runs are "
                    "superseded, and it is ended",
                    member.worker,
                    len(void),
                )
                member.is_void = True
                member.kill()

    def reap(self) -> None:
        """Take note of children that have ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if self._finishers.has_ended(pid, status) or (
                self._scheduling and self._scheduling.has_ended(pid, status)
            ):
                continue
            for member in self.members:
                if member.pid == pid:
                    self._bury(member, os.waitstatus_to_exitcode(status))

    def _bury(self, member: Member, status: int) -> None:
        member.pid = 0
        expected = self._is_expected(member, status)
        ended = self._why_ended(member, expected=expected)
        host = self._office.identity.host
        loss = loss_of(member, status, ended=ended, host=host)
        self._losses.append(loss)
        if loss.crashed:
            log.warning("a child of %s ended: %s", member.worker, loss.cause)
        member.doomed, member.to_release, member.shown = {}, set(), set()
        member.is_void, member.blamed = False, ""
        # At a later start it is a deploy that is under way, or a disk that is full.
        unfit = status == UNFIT and member.lives == 1 and not self.done
        self.is_unfit = self.is_unfit or unfit
        # A signal that the child alone got is no reason to do without it, nor are empty
        # queues while a job may still be given back to one.
        done = expected and status == DONE and not member.slot.stop_asked
        done = done and self._finishers.is_idle and member.born > self._finishers.ended
        member.retired = unfit or done or self.is_leaving
        self._put_off(member)

    def _put_off(self, member: Member) -> None:
        """Have a child that got nowhere not be started again at once."""
        now = self._office.now
        # What a job does to its child is no reason to wait: jobs have a limit for that.
        ran = member.slot.done or any(held.began for held in member.slot.table())
        short = now - member.born < SHORT_LIFE and not ran
        member.short_lives = member.short_lives + 1 if short else 0
        pause = min(LONGEST_PAUSE, 0.1 * 2 ** (member.short_lives - 1)) if short else 0
        member.not_before = now + pause

    def _why_ended(self, member: Member, *, expected: bool) -> str:
        """Say why we have ended a child, in words for a person; empty: we have not."""
        if member.doomed:
            reason = next(iter(member.doomed.values())).reason
            return f"its process was ended because of another job: {reason}"
        # Whichever way it ends then: what it runs or has broken off is not to blame.
        if expected or member.slot.interrupt_asked:
            return "its worker was stopped before it had ended"
        return "its process was ended, having lost its lease" if member.is_void else ""

    def _is_expected(self, member: Member, status: int) -> bool:
        """Tell whether it ended as children should: a job may exit with any code."""
        if self.is_leaving and status == -signal.SIGTERM:
            return True  # it was told so before it could heed it
        return status in (DONE, RECYCLE) and member.slot.state is State.LEAVING

    def settle_losses(self) -> None:
        """See to the jobs of children that are gone."""
        while self._losses:
            if self._office.contact.made(self._settle_first_loss):
                self._losses.pop(0)
                self._tries = 0
                continue
            self._tries += self._office.contact.is_up
            if self._tries < SETTLING_TRIES:
                return
            gone = self._losses.pop(0).holder.child
            log.error("the jobs of %s come back when its lease has run out", gone)
            self._tries = 0

    def _settle_first_loss(self) -> None:
        broker, clock = self._office.broker, self._office.clock
        self._finishers.settle(losses.settle(self._losses[0], broker, clock))
        broker.forget(self._losses[0].holder, self._office.identity.machine_id)

    def maintain(self) -> None:
        """Have RQ's registries tended, now and then; look after what is no child."""
        if not self.is_leaving and self._office.is_due("maintenance", MAINTENANCE):
            self._finishers.maintain(self.members[0].worker)
        self._finishers.look_after()
        if self._scheduling is not None:
            self._scheduling.look_after()

    def start_missing(self) -> None:
        """Start a child in each place that has none."""
        now = self._office.now
        for member in self.members:
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
        self._sign(member.holder)
        try:
            member.pid = self._process(member, start)
        except OSError as error:  # no memory, no process left: it may pass
            log.warning("a child of %s cannot be started: %s", member.worker, error)
            member.not_before = now + LONGEST_PAUSE
        else:
            member.lives += 1

    def _sign(self, holder: Holder) -> None:
        """Write down, for others of this machine, who answers for the child."""
        mine, broker = self._office.identity, self._office.broker
        sign = partial(broker.sign, [holder.child], mine.written, mine.machine_id)
        self._office.contact.made(sign)

    def _process(self, member: Member, start: Start) -> int:
        if not member.spawned:
            return fork(start, member.slot, self._address, self._forget)
        return spawn(
            start,
            member.slot,
            self._address,
            member.environment or {},
            member.inherited,
        )

    def _plan_of(self, member: Member) -> Plan:
        served = tuple(q for q in self._office.plan.queues if q.name in member.queues)
        return replace(self._office.plan, queues=served)

    def end_overdue_jobs(self) -> None:
        """End children that run a job whose time is over."""
        now = self._office.now
        for member in self.members:
            for held in watch.overdue(member, now):
                seconds = round(held.deadline - held.began, 1)
                reason = (
                    f"Task exceeded maximum timeout value ({seconds:g} seconds), and "
                    "did not end when told to: its process was killed"
                )
                member.doomed[held.ordinal] = Doom("timeout", reason)
            if member.doomed:
                member.kill()

    def measure(self) -> None:
        """Look how much memory each child has."""
        for member in self.members:
            member.memory = watch.memory_of(member.pid) if member.is_alive else 0

    def end_too_large(self) -> None:
        """End children that have more memory than they may, before the kernel does."""
        limit = self._office.plan.limits.memory_limit
        if limit is None or not self._office.is_due("memory", LOOK_AT_MEMORY):
            return
        self.measure()
        for member in self.members:
            if (has := member.memory // MIB) > limit and not member.blamed:
                member.blamed = (
                    f"it was ended since it had {has} MiB of memory; --memory-limit "
                    f"allows {limit}"
                )
                member.kill()

    def spread_work(self) -> None:
        """Give others what waits behind a long job."""
        now = self._office.now
        for member in self.members:
            watch.take_back(member, now)
            if member.is_alive:
                self._office.contact.made(
                    partial(watch.release, member, self._office.broker)
                )
                self._office.contact.made(
                    partial(watch.acknowledge, member, self._office.broker, now)
                )
