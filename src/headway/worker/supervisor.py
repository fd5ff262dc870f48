"""The parent of a worker's children: it imports no user code and runs no job.

So nothing that a job does can reach it: it renews leases while a child holds the
interpreter's lock, ends jobs that run too long in C code, gives back what a dead child
held, and puts another in its place. One thread, one list of duties, twenty times a
second; whatever needs the store is skipped while the store is away, and made up for.
"""

from __future__ import annotations

import faulthandler
import logging
import signal
from datetime import timedelta

from headway.worker.commands import Orders
from headway.worker.crew import Crew
from headway.worker.office import Office
from headway.worker.recover import Recovery
from headway.worker.signals import Signals
from headway.worker.slot import State
from headway.worker.upkeep import Upkeep

log = logging.getLogger("headway.worker")

#: Between two rounds, in seconds.
TICK = 0.05
#: A second signal sooner than this is the same Ctrl-C, seen twice (rq does likewise).
SAME_SIGNAL = 1.0
#: What a job has that is broken off, to save its place, in seconds. With the grace it
#: is less than what platforms give until they kill: 30 s on Heroku and Kubernetes.
LAST_WORDS = 2.0
#: What the application has then to write the end of what was broken off, in seconds.
#: Where that is too short, whoever recovers the jobs has it written.
LAST_OUTCOMES = 1.0


class Supervisor:
    """One worker."""

    def __init__(
        self,
        office: Office,
        crew: Crew,
        upkeep: Upkeep,
        recovery: Recovery,
        *,
        grace: timedelta,
    ) -> None:
        self._office = office
        self._crew = crew
        self._upkeep = upkeep
        self._recovery = recovery
        self._orders = Orders(office, crew.members, self.stop)
        self._grace = grace.total_seconds()
        self._signals = Signals()
        self._stop_since: float | None = None
        self._interrupted_at: float | None = None

    def run(self) -> bool:
        """Work until told to stop, or done; tell whether any job was run.

        Raises:
            ConfigurationError: a worker of that name is alive.
            SystemExit: no child can begin; it has said why.
        """
        self._upkeep.begin()
        self._say_what_it_serves()
        try:
            with self._signals:
                while not self._crew.is_gone:
                    self._round()
                    self._signals.wait(TICK)
        finally:
            self._crew.close()
            self._upkeep.end()
            self._orders.close()
        if self._crew.is_unfit:
            raise SystemExit(1)
        return self._crew.done > 0

    def _say_what_it_serves(self) -> None:
        names = ", ".join(queue.name for queue in self._office.plan.queues)
        children = len(self._crew.members)
        log.info("Listening on %s; children: %d", names, children)

    def stop(self) -> None:
        """Let running jobs end within the grace; that is told no second time."""
        if self._stop_since is None:
            log.info("stopping: running jobs have %g s to end", self._grace)
            self._stop_since = self._office.now
            self._crew.leave()
            self._upkeep.announce_stop()

    def _round(self) -> None:
        self._heed_signals()
        self._crew.reap()
        self._crew.settle_losses()
        self._crew.start_missing()
        self._orders.obey()
        self._crew.end_overdue_jobs()
        self._crew.end_too_large()
        self._crew.spread_work()
        self._crew.maintain()
        self._upkeep.keep_leases()
        self._upkeep.tell_rq()
        self._recovery.look()
        self._upkeep.wake_the_idle()
        self._look_at_the_time()

    def _heed_signals(self) -> None:
        for asked in self._signals.heeded():
            if asked == signal.SIGQUIT:
                faulthandler.dump_traceback(all_threads=True)
                self._crew.tell_stacks()
                continue
            log.info("received %s", asked.name)
            # A platform may say SIGTERM many times; a person who presses Ctrl-C again
            # does not want to wait.
            if asked == signal.SIGINT and self._is_repeated:
                self._grace = 0.0
            self.stop()

    @property
    def _is_repeated(self) -> bool:
        now, since = self._office.now, self._stop_since
        return since is not None and now - since > SAME_SIGNAL

    def _look_at_the_time(self) -> None:
        now = self._office.now
        if self._stop_since is None:
            if self._is_idle_for_long(now):
                log.info("idle for as long as it may be")
                self.stop()
        elif self._interrupted_at is not None:
            waited = now - self._interrupted_at
            if waited > LAST_WORDS + LAST_OUTCOMES:
                self._crew.close()
            elif waited > LAST_WORDS:
                self._crew.kill()
        elif now - self._stop_since >= self._grace:
            self._interrupted_at = now
            self._crew.interrupt()

    def _is_idle_for_long(self, now: float) -> bool:
        limit = self._office.plan.limits.idle
        return limit is not None and all(
            member.slot.state is State.IDLE
            and now - member.slot.since > limit.total_seconds()
            for member in self._crew.members
            if not member.retired
        )
