"""The children of a worker: started, watched, ended, and their jobs seen to."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from headway.worker import loss as losses
from headway.worker import watch
from headway.worker.address import Address
from headway.worker.aftermath import Aftermath
from headway.worker.child import DONE, RECYCLE, UNFIT
from headway.worker.loss import Loss, loss_of
from headway.worker.member import Doom, Member, fork, new_holder, spawn
from headway.worker.office import Office
from headway.worker.plan import Plan
from headway.worker.slot import Slot, State
from headway.worker.start import Start

log = logging.getLogger("headway.worker")

#: How often RQ's registries are tended, in seconds; as RQ.
MAINTENANCE = 600.0
#: A child that dies sooner than this after its start is not started again at once.
SHORT_LIFE, LONGEST_PAUSE = 1.0, 5.0
#: How often it is tried to write what is left to say of a dead child's jobs.
HELPER_TRIES = 3


class Crew:
    """All children of one worker."""

    def __init__(
        self,
        office: Office,
        members: Sequence[Member],
        address: Address,
        forget: Callable[[], None],
    ) -> None:
        self.members = tuple(members)
        self.is_leaving = False
        #: What still ran was ended by us: its jobs have done nothing wrong.
        self.is_killed = False
        #: A child could not even begin.
        self.is_unfit = False
        self._office = office
        self._address = address
        self._forget = forget
        self._losses: list[Loss] = []
        #: By process id: what each began with, and how often that is tried yet.
        self._helpers: dict[int, tuple[Start, int]] = {}
        office.put_off("maintenance", MAINTENANCE)

    @property
    def is_gone(self) -> bool:
        """Tell whether all have left, and nothing is left to be done for them."""
        if any(member.is_alive or not member.retired for member in self.members):
            return False
        return not self._helpers and not any(map(self._must_be_settled, self._losses))

    def _must_be_settled(self, loss: Loss) -> bool:
        # A worker can leave while the store is away: what it held is recovered by
        # others. What it had finished they cannot know: that is worth the grace.
        return self._office.contact.is_up or (loss.count > 0 and not self.is_killed)

    @property
    def done(self) -> int:
        """Return how many jobs have ended here."""
        return sum(member.done for member in self.members)

    def leave(self) -> None:
        """Ask all to leave after the jobs that they run."""
        self.is_leaving = True
        for member in self.members:
            member.retired = True
            member.slot.ask_to_stop()
            member.kill(signal.SIGTERM)

    def kill(self) -> None:
        """End what still runs; its jobs go back to their queues, uncounted."""
        self.is_killed = True
        for member in self.members:
            member.kill()
        for pid in self._helpers:  # what they leave undone is recovered when it is late
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def reap(self) -> None:
        """Take note of children that have ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._helpers:
                self._end_helper(pid, status)
            for member in self.members:
                if member.pid == pid:
                    self._bury(member, os.waitstatus_to_exitcode(status))

    def _bury(self, member: Member, status: int) -> None:
        now = self._office.now
        member.pid = 0
        expected = self._is_expected(member, status)
        asked = expected or self.is_killed
        self._losses.append(loss_of(member, status, asked=asked))
        if not expected and not self.is_killed and not member.doomed:
            cause = losses.cause_of(status)
            log.warning("a child of %s ended: %s", member.worker, cause)
        member.doomed, member.to_release, member.shown = {}, set(), set()
        unfit = status == UNFIT and member.slot.state is State.STARTING
        self.is_unfit = self.is_unfit or unfit
        # A signal that the child alone got is no reason to do without it.
        done = expected and status == DONE and not member.slot.stop_asked
        member.retired = unfit or done or self.is_leaving
        # What a job does to its child is no reason to wait: jobs have a limit for that.
        began = member.slot.state is not State.STARTING
        short = now - member.born < SHORT_LIFE and not expected and not began
        member.short_lives = member.short_lives + 1 if short else 0
        pause = min(LONGEST_PAUSE, 0.1 * 2 ** (member.short_lives - 1)) if short else 0
        member.not_before = now + pause

    def _is_expected(self, member: Member, status: int) -> bool:
        """Tell whether it ended as children should: a job may exit with any code."""
        if self.is_leaving and status == -signal.SIGTERM:
            return True  # it was told so before it could heed it
        return status in (DONE, RECYCLE) and member.slot.state is State.LEAVING

    def settle_losses(self) -> None:
        """See to the jobs of children that are gone."""
        while self._losses:
            if not self._office.contact.made(self._settle_first_loss):
                return
            self._losses.pop(0)

    def _settle_first_loss(self) -> None:
        aftermath = losses.settle(
            self._losses[0], self._office.broker, self._office.clock
        )
        if aftermath:
            worker = self._losses[0].holder.worker
            self._start_helper(worker, aftermath=tuple(aftermath))

    def maintain(self) -> None:
        """Have RQ's registries tended, now and then."""
        if not self.is_leaving and self._office.is_due("maintenance", MAINTENANCE):
            self._start_helper(self.members[0].worker, maintain=True)

    def _start_helper(
        self,
        worker: str,
        *,
        aftermath: tuple[Aftermath, ...] = (),
        maintain: bool = False,
    ) -> None:
        """Start a child that runs no jobs: only the application knows what to do."""
        start = Start(
            plan=self._office.plan,
            holder=new_holder(worker),
            aftermath=aftermath,
            maintain=maintain,
            jobs=0,
        )
        self._help(start, HELPER_TRIES)

    def _help(self, start: Start, tries: int) -> None:
        slot = Slot()
        pid = fork(start, slot, self._address, self._forget)
        slot.close()
        self._helpers[pid] = (start, tries - 1)

    def _end_helper(self, pid: int, status: int) -> None:
        start, tries = self._helpers.pop(pid)
        if status and start.aftermath and tries and not self.is_killed:
            self._help(start, tries)  # else its jobs wait until their lease is over

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
        try:
            member.pid = self._process(member, start)
        except OSError as error:  # no memory, no process left: it may pass
            log.warning("a child of %s cannot be started: %s", member.worker, error)
            member.not_before = now + LONGEST_PAUSE
        else:
            member.lives += 1

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
