"""A child that runs one job after another, in its main thread: the fastest way."""

from __future__ import annotations

from headway.clock import Clock
from headway.lease import Lease
from headway.worker.alarm import Alarm
from headway.worker.execute import Execute
from headway.worker.pace import Pace
from headway.worker.slot import Slot, State
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
            if not self._execute.run(lease, index):
                given_back.append(lease)
        self._supply.release(given_back)
        self._pace.learn(len(leases), self._clock.monotonic() - begin)

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
