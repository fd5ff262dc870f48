"""A child that runs one job after another, in its main thread: the fastest way."""

from __future__ import annotations

from headway.clock import Clock
from headway.errors import Interrupted
from headway.lease import Lease
from headway.worker.alarm import Alarm
from headway.worker.execute import Ending, Execute
from headway.worker.pace import Pace
from headway.worker.slot import Slot, State, Told
from headway.worker.supply import Supply

#: How long an idle child sleeps before it looks by itself, in seconds.
IDLE_WAIT = 3.0
#: How often a suspended child looks whether it still is, in seconds.
SUSPENDED_WAIT = 0.5


class OneAtATime:
    """The batches of one child; as `ManyAtOnce` to whoever has it."""

    #: A batch is over when its turn is: nothing runs or waits between two turns.
    is_idle, count = True, 0

    def __init__(
        self,
        execute: Execute,
        supply: Supply,
        slot: Slot,
        clock: Clock,
        alarm: Alarm,
        *,
        burst: bool,
    ) -> None:
        self._execute = execute
        self._supply = supply
        self._slot = slot
        self._clock = clock
        self._alarm = alarm
        self._burst = burst
        self._pace = Pace()
        #: All queues were empty when they were asked last.
        self.empty = False
        #: A signal may end the wait: no job is in the child's hands.
        self.is_waiting = False

    def start(self) -> None:
        """Do nothing: the main thread is all that is needed."""

    def turn(self, most: int) -> None:
        """Take so many jobs at most, and run them; wait for one where there is none."""
        wanted = min(most, self._pace.wanted())
        leases = self._supply.take(wanted)
        self.empty = not leases
        if self.empty and not self._burst:
            leases = self._waited_for(wanted)
        if leases:
            self._run(leases)

    def release(self) -> None:
        """Write what is noted; nothing waits here."""
        self._supply.flush()

    def _run(self, leases: list[Lease]) -> None:
        given_back: list[Lease] = []
        self._execute.look_at_the_clock()
        self._alarm.doubt()
        self._slot.hold([lease.ordinal for lease in leases])
        self._slot.enter(State.BUSY, begin := self._clock.monotonic())
        for index, lease in enumerate(leases):
            if self._slot.stop_asked:
                given_back += leases[index:]
                break
            if not self._is_run(lease, index):
                given_back.append(lease)
        self._supply.release(given_back)
        self._pace.learn(len(leases), self._clock.monotonic() - begin)

    def _is_run(self, lease: Lease, index: int) -> bool:
        """Run a job and see to its outcome; tell whether it was still ours to run."""
        now, execute = self._clock.monotonic(), self._execute
        began = execute.seconds(now)
        told = self._slot.begin(index, now, execute.deadline(lease, now))
        if told == Told.REVOKED:
            self._slot.drop(index)
            return False
        if told == Told.CANCELLED:
            execute.stop(lease, began)
            succeeded = False
        else:
            try:
                succeeded = self._ran(lease, index, began)
            except Interrupted:
                # It stays leased, and begun in the slot: what becomes of it is for the
                # supervisor to say, as of all that a child leaves behind.
                return True
        self._supply.forget(lease)
        self._slot.finish(index, failed=not succeeded)
        return True

    def _ran(self, lease: Lease, index: int, began: float) -> bool:
        if not self._execute.goes_by_rq(lease):
            outcome = self._outcome(lease, index)
            return self._execute.conclude(lease, outcome, began)
        try:
            return self._execute.perform_by_rq(lease)
        finally:
            self._alarm.install()  # RQ's own timeouts leave their own handler

    def _outcome(self, lease: Lease, index: int) -> Ending:
        notes = self._execute.notes(lease)
        try:
            return self._execute.outcome(lease, notes, self._alarm)
        finally:
            self._slot.task_is_over(index)
            notes.close()

    def _waited_for(self, wanted: int) -> list[Lease]:
        suspended = self._supply.suspended
        state = State.SUSPENDED if suspended else State.IDLE
        self._supply.flush()
        if self._slot.state is not state:
            self._slot.enter(state, self._clock.monotonic())
        self.is_waiting = True
        try:
            if self._slot.stop_asked:
                return []
            if suspended:
                self._clock.sleep(SUSPENDED_WAIT)
                return []
            return self._supply.take(wanted, wait=IDLE_WAIT)
        finally:
            self.is_waiting = False
