"""Processes that run no jobs, but the application's code for jobs that are over.

A job that took its child with it may have callbacks, dependents, a rule for retries:
the supervisor imports none of that. So a copy of it does, writes what is to be written
under the old lease, and ends. When that fails time and again, the job is failed with
what is known.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from headway.worker.address import Address
from headway.worker.aftermath import Aftermath
from headway.worker.member import fork, new_holder
from headway.worker.office import Office
from headway.worker.slot import Slot
from headway.worker.start import Start

log = logging.getLogger("headway.worker")

#: How often it is tried, and after which pause in seconds.
TRIES, PAUSE = 3, 1.0
#: How long one may take, in seconds; RQ's registries of a big application take time.
LONGEST, LONGEST_MAINTENANCE = 180.0, 1800.0


# Not frozen: it is the state of one piece of work.
@dataclass(slots=True, kw_only=True)
class Work:
    """What one finisher begins with, and how often that is tried yet."""

    start: Start
    tries: int = TRIES
    not_before: float = 0.0
    #: When its process has taken too long; monotonic seconds.
    until: float = 0.0


class Finishers:
    """The finishers of one worker."""

    def __init__(
        self, office: Office, address: Address, forget: Callable[[], None]
    ) -> None:
        self._office = office
        self._address = address
        self._forget = forget
        self._waiting: list[Work] = []
        #: By process id.
        self._running: dict[int, Work] = {}
        #: When the last of them ended: it may have given a job back; monotonic seconds.
        self.ended = 0.0

    @property
    def is_idle(self) -> bool:
        """Tell whether nothing is to be done."""
        return not (self._waiting or self._running)

    @property
    def children(self) -> set[str]:
        """Return the names of the leases that they write under."""
        every = [*self._waiting, *self._running.values()]
        return {each.holder.child for one in every for each in one.start.aftermath}

    def settle(self, aftermath: Sequence[Aftermath]) -> None:
        """Have the outcome of jobs written that only the application can tell."""
        if aftermath:
            self._ask(aftermath[0].holder.worker, aftermath=tuple(aftermath))

    def maintain(self, worker: str) -> None:
        """Have RQ's registries tended."""
        self._ask(worker, maintain=True)

    def enqueue_let_go(self, worker: str) -> None:
        """Have the jobs enqueued that wait for nobody any more."""
        self._ask(worker, enqueue_met=True)

    def _ask(
        self,
        worker: str,
        *,
        aftermath: tuple[Aftermath, ...] = (),
        maintain: bool = False,
        enqueue_met: bool = False,
    ) -> None:
        start = Start(
            plan=self._office.plan,
            holder=new_holder(worker),
            aftermath=aftermath,
            maintain=maintain,
            enqueue_met=enqueue_met,
            jobs=0,
        )
        self._waiting.append(Work(start=start))

    def look_after(self) -> None:
        """Start those that wait, and end those that take too long."""
        now = self._office.now
        for work in [each for each in self._waiting if now >= each.not_before]:
            self._waiting.remove(work)
            self._begin(work, now)
        for pid, work in self._running.items():
            if now > work.until:
                _kill(pid)

    def _begin(self, work: Work, now: float) -> None:
        if work.tries == 0:
            self._give_up(work)
            return
        slot = Slot()
        try:
            pid = fork(work.start, slot, self._address, self._forget)
        except OSError as error:  # no memory, no process left: it may pass
            log.warning("a finisher cannot be started: %s", error)
            self._again(work)
            return
        finally:
            slot.close()
        work.tries -= 1
        work.until = now + (LONGEST_MAINTENANCE if work.start.maintain else LONGEST)
        self._running[pid] = work

    def has_ended(self, pid: int, status: int) -> bool:
        """Take note of a process that has ended; tell whether it was a finisher."""
        work = self._running.pop(pid, None)
        if work is None:
            return False
        self.ended = self._office.now
        if work.start.aftermath and (status or self._is_undone(work)):
            self._again(work)
        else:
            self._forget_holders(work)
        return True

    def _is_undone(self, work: Work) -> bool:
        """Tell whether jobs are still leased: RQ's own code keeps some errors."""
        left: list[Aftermath] = []
        broker = self._office.broker

        def look() -> None:
            left.extend(
                each
                for each in work.start.aftermath
                if each.leased.ordinal in broker.held(each.holder)
            )

        return not self._office.contact.made(look) or bool(left)

    def _again(self, work: Work) -> None:
        work.not_before = self._office.now + PAUSE
        self._waiting.append(work)

    def _give_up(self, work: Work) -> None:
        for aftermath in work.start.aftermath:
            reason = f"{aftermath.reason}\n(its end could not be written as usual)"
            bury = partial(
                self._office.broker.bury,
                aftermath.leased,
                reason=reason.strip(),
                now=self._office.seconds,
            )
            if not self._office.contact.made(bury):
                self._again(work)
                return
        self._forget_holders(work)

    def _forget_holders(self, work: Work) -> None:
        machine = self._office.identity.machine_id
        for holder in {each.holder for each in work.start.aftermath}:
            forget = partial(self._office.broker.forget, holder, machine)
            self._office.contact.made(forget)

    def kill(self) -> None:
        """End them; what they leave undone is recovered when it is late."""
        self._waiting.clear()
        for pid in self._running:
            _kill(pid)


def _kill(pid: int) -> None:
    for end in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            end(pid, signal.SIGKILL)
