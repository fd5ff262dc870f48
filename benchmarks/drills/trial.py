"""One trial: a server of its own, workers, jobs, and what is done to them."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
from redis.exceptions import RedisError

from benchmarks.drills.crew import Crew, Kind, Setup, wait_until_gone
from benchmarks.drills.ledger import Ledger
from benchmarks.drills.load import Load
from benchmarks.drills.proxy import Proxy
from benchmarks.drills.tally import (
    Tally,
    ended_ids,
    tally,
    waiting_for_failed,
    waiting_ids,
)
from benchmarks.environments import ROOT, CannotRunError
from benchmarks.fleet import strike
from benchmarks.server import RedisServer

QUEUES = (
    *("first", "second", "third", "fourth"),
    *("fifth", "sixth", "seventh", "eighth"),
)
#: How long the last jobs have to end, beside the lease, in seconds. RQ's own workers
#: look for what others left every 810 s at best.
PATIENCE: dict[Kind, float] = {"headway": 60.0, "stock": 960.0}
#: How long a worker has to begin its first job, in seconds, on a busy machine.
_START = 60.0
#: How long an idle worker that is told to stop may take, in seconds.
_STOP = 30.0
#: Children do not outlive their supervisor by more than this, in seconds.
_TIED = 5.0
_FULL = 1024 * 1024
#: One for each trial: while a server is stopped its port is free, and another trial's
#: server must not be found there by workers that wait.
PORTS = range(20_000, 30_000)
_TICK = 0.02
_LOOK = 0.1
#: The store has to be this long without a job that may still run, to say that one is
#: lost, in seconds.
_SETTLED = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Which trial is to be made."""

    number: int
    seed: str
    ledger: str
    kind: Kind
    play: Callable[[Trial], object]


@dataclass(slots=True)
class Trial:
    """What a drill is given to play with."""

    dice: random.Random
    kind: Kind
    server: RedisServer
    ledger: Ledger
    load: Load
    #: Between the store and workers that are given its address; and the sender.
    proxy: Proxy
    senders_proxy: Proxy
    log: Path
    crews: list[Crew] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    #: Told in seconds: how long the workers of a lost host are waited for.
    lease: int = 30

    @property
    def is_stock(self) -> bool:
        """Tell whether the workers are RQ's own."""
        return self.kind == "stock"

    def use_queues(self, count: int) -> None:
        """Have workers that are started from now on serve that many queues."""
        self.load.queues = QUEUES[:count]

    def crew(self, *, is_kept: bool = True, **how: Any) -> Crew:  # noqa: ANN401 - of a Setup
        """Start workers."""
        setup = Setup(
            kind=self.kind,
            queues=self.load.queues,
            log=self.log,
            **{"url": self.server.url, "lease": self.lease, **how},
        )
        self.crews.append(Crew(setup, is_kept))
        return self.crews[-1]

    def warm_up(self) -> None:
        """Give jobs until each child has begun one.

        Raises:
            CannotRunError: one has not in a minute.
        """
        until = time.monotonic() + _START
        while time.monotonic() < until:
            self.work(_LOOK)
            if self._all_at_work():
                return
        raise CannotRunError(f"not all children began to work in {_START:.0f} s")

    def _all_at_work(self) -> bool:
        at_work = self.ledger.workers()
        if self.is_stock:  # each job has a process of its own
            wanted = sum(crew.setup.children for crew in self.crews)
            return len(at_work) >= 2 * wanted
        return all(
            len(at_work.intersection(crew.pids())) >= crew.setup.children
            for crew in self.crews
        )

    def work(self, seconds: float) -> None:
        """Keep workers busy for so long; those that a platform keeps are kept."""
        until = time.monotonic() + seconds
        while True:
            self.load.top_up()
            self.mend()
            if time.monotonic() > until:
                return
            time.sleep(_TICK)

    def mend(self) -> None:
        """Start again what has been ended and is to be kept."""
        for crew in self.crews:
            crew.mend()

    def struck(self, pids: Sequence[int], at: float | None = None) -> None:
        """Write down that something has happened to processes."""
        for pid in pids:
            self.ledger.write("strike", pid=pid, at=at)

    def ended(self, processes: Sequence[psutil.Process], at: float) -> None:
        """Write down that processes were ended; until it came to that they ran on."""
        pids = [process.pid for process in processes]
        last = self.ledger.last_of(pids)
        for pid in pids:
            self.struck([pid], max(at, last.get(pid, 0.0)))

    def kill(self, crew: Crew, chosen: Sequence[psutil.Process]) -> None:
        """Kill some processes of a crew with which all of it ends.

        Raises:
            CannotRunError: one lives on.
        """
        family, since = crew.tree(), time.monotonic()
        strike(chosen, signal.SIGKILL)
        wait_until_gone(family, _TIED)
        self.ended(family, since)

    def freeze(self, crew: Crew, seconds: float) -> None:
        """Have a crew stand still for so long, while others work."""
        family = crew.tree()
        self.struck(strike(family, signal.SIGSTOP))
        self.work(seconds)
        strike(family[::-1], signal.SIGCONT)

    def stop_store(self, number: signal.Signals, seconds: float) -> None:
        """End the store by a signal, and start it again after so long."""
        self.ledger.write("away", pid=0)
        self.server.end(number)
        self.work(seconds)
        self.server.start()
        self.ledger.write("back", pid=0)

    def fill_store(self, seconds: float) -> None:
        """Let the store's memory be full for so long: it evicts nothing."""
        self.ledger.write("away", pid=0)
        self.server.client.config_set("maxmemory", _FULL)
        self.work(seconds)
        self.server.client.config_set("maxmemory", 0)
        self.ledger.write("back", pid=0)

    def wait_for_the_rest(self) -> None:
        """Let all jobs end, with no new ones."""
        started = settled = time.monotonic()
        patience = PATIENCE[self.kind] + 1.5 * self.lease
        while time.monotonic() < started + patience:
            self.mend()
            if not self.load.is_sent:
                self.load.top_up()
            with suppress(RedisError):
                waiting = set(waiting_ids(self.server.client))
                missing = set(self.load.sent) - set(ended_ids(self.server.client))
                missing -= waiting_for_failed(self.server.client, self.load)
                missing |= waiting & set(self.load.bad)
                if self.load.is_sent and not missing:
                    return
                if missing & waiting:
                    settled = time.monotonic()
                elif time.monotonic() > settled + _SETTLED:
                    return  # what is missing is nowhere: nobody will run it
            time.sleep(_LOOK)
        self.problems.append(f"jobs had not ended after {patience:.0f} s")

    def stop(self) -> None:
        """Tell all workers to stop; they are idle and have no reason not to."""
        for crew in self.crews:
            crew.is_kept = False
            strike(crew.parents(), signal.SIGTERM)
        if not self.is_stock:
            for crew in self.crews:
                if any(code is None for code in crew.codes(_STOP)):
                    self.problems.append("an idle worker did not stop when told to")

    def close(self) -> None:
        """Leave nothing behind."""
        for crew in self.crews:
            crew.stop()
        self.proxy.close()
        self.senders_proxy.close()
        self.server.end()


def play(order: Order) -> Tally:
    """Make one trial, and say what it came to."""
    with made(order) as trial:
        try:
            order.play(trial)
            trial.wait_for_the_rest()
            found = tally(trial.server.client, trial.load, trial.ledger.lines())
            trial.stop()
            found.problems += trial.problems
        except CannotRunError as error:
            found = Tally(trials=1, problems=[*trial.problems, str(error)])
        found.problems = [f"trial {order.number}: {each}" for each in found.problems]
        if found.problems and not trial.is_stock:
            kept = ROOT / ".bench" / "drills" / f"trial-{order.number}.log"
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(trial.log, kept)
            found.problems.append(f"trial {order.number}: its log is {kept}")
        return found


@contextmanager
def made(order: Order) -> Iterator[Trial]:
    """Give a trial with all that it needs, and leave nothing of it behind."""
    with TemporaryDirectory(prefix="drill-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        dice = random.Random(order.seed)
        port = PORTS[order.number % len(PORTS)]
        server = RedisServer(folder, append_only="always", port=port)
        server.start()
        senders_proxy = Proxy(server.port)
        os.environ["DRILL_REDIS"] = senders_proxy.url
        os.environ["DRILL_LEDGER"] = order.ledger
        os.environ["DRILL_TRIAL"] = str(order.number)
        trial = Trial(
            dice=dice,
            kind=order.kind,
            server=server,
            ledger=Ledger(order.ledger, order.number),
            load=Load(server.client, dice, order.number),
            proxy=Proxy(server.port),
            senders_proxy=senders_proxy,
            log=folder / "log",
        )
        trial.log.touch()
        try:
            yield trial
        finally:
            trial.close()
