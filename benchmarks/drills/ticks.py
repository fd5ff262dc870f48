"""A tick each second, while schedulers are killed, frozen, cut off, told to leave.

Redis is restarted twice meanwhile, once killed. In the end each tick has one job, or
its schedule's own reason why it has none; so has each delayed job.
"""

from __future__ import annotations

import importlib
import math
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.drills import account
from benchmarks.drills.account import Account, Runs, Span
from benchmarks.drills.delays import Delays
from benchmarks.drills.proxy import State
from benchmarks.drills.trial import Order, Trial, made
from benchmarks.environments import ROOT, CannotRunError
from benchmarks.fleet import strike
from benchmarks.report import percentile, table
from headway.errors import HeadwayError
from headway.timetable import KEPT, Tick

if TYPE_CHECKING:
    from benchmarks.drills.watch import Watchman

#: A scheduler that dies is replaced within this, in seconds, where another is up.
REPLACED = 5.0
_LOOK = 0.02
#: How long schedulers have to start, each beside the others, and jobs to end.
_START, _START_EACH, _END = 60.0, 4.0, 60.0
_BETWEEN = (0.3, 3.0)
#: One that leads is struck in so many of the cases.
_LEADERS = 0.6
_RESTARTS = (signal.SIGTERM, signal.SIGKILL)
#: How long the store is away, and how long one is frozen or cut off, in seconds.
_AWAY, _FROZEN, _CUT = (1.0, 4.0), (3.0, 10.0), (1.0, 6.0)
#: How often the history is read, in seconds: it forgets.
_COLLECT = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the drill came to."""

    accounts: Sequence[Account]
    #: When Redis was away, and when no scheduler was up.
    away: Sequence[Span]
    alone: Sequence[Span]
    faults: Counter[str]
    problems: Sequence[str]

    @property
    def each(self) -> Account:
        """Return the schedule that may leave nothing out."""
        return self.accounts[0]

    def say(self) -> None:
        """Print what people want to know."""
        print(table([each.row(self.away, self.alone) for each in self.accounts]))
        faults = ", ".join(f"{n} {name}" for name, n in self.faults.items())
        print(f"faults: {faults}")
        print(
            f"Redis was away {len(self.away)} times, {_seconds(self.away):.1f} s in "
            f"all; no scheduler was up for {_seconds(self.alone):.1f} s. What waited "
            "for Redis is not among p50, p99 and max; the last column is less both"
        )

    def last_line(self) -> str:
        """Return the line for machines."""
        late = self.each.late_beside(self.away)
        p99 = percentile(late, 99) if late else 0.0
        said = {
            "drill": "ticks",
            "due": self.each.due,
            "enqueued": self.each.jobs,
            "lost": sum(each.lost for each in self.accounts),
            "doubles": sum(each.doubles for each in self.accounts),
            # Of the schedule that may leave none out.
            "missed": self.each.left_out,
            "late_p99_s": f"{p99:.2f}".rstrip("0").rstrip("."),
            "verdict": "fail" if self.problems else "pass",
        }
        return " ".join(f"{key}={value}" for key, value in said.items())

    def to_json(self) -> dict[str, Any]:
        """Return all figures."""
        return {
            "accounts": account.told(self.accounts),
            "away": self.away,
            "alone": self.alone,
            "faults": self.faults,
            "problems": self.problems,
        }


def _seconds(spans: Sequence[Span]) -> float:
    return sum(end - begin for begin, end in spans)


def drill(*, seed: int, ledger: str, schedulers: int, minutes: float) -> Found:
    """Strike schedulers and the store for so long; say what became of each tick.

    Raises:
        CannotRunError: they did not start, or did not end.
    """
    order = Order(
        number=1, seed=f"{seed} ticks", ledger=ledger, kind="headway", play=id
    )
    with made(order) as trial:
        stage = Stage(trial, schedulers)
        try:
            found = stage.play(math.ceil(60 * minutes))
        except CannotRunError:
            _keep_logs(trial.log.parent)
            raise
        finally:
            stage.close()
        if found.problems:
            _keep_logs(trial.log.parent)
        return found


def _keep_logs(folder: Path) -> None:
    kept = ROOT / ".bench" / "drills" / "ticks"
    kept.mkdir(parents=True, exist_ok=True)
    for log in folder.glob("*log"):
        shutil.copy(log, kept)
    print(f"drill: their logs are in {kept}", file=sys.stderr)


class Stage:
    """The schedulers, the worker, and what is done to them."""

    def __init__(self, trial: Trial, schedulers: int) -> None:
        # Here, since they read in the environment where their server is.
        watch = importlib.import_module("benchmarks.drills.watch")
        self._timed = importlib.import_module("benchmarks.drills.timed.schedules")
        tasks = importlib.import_module("benchmarks.drills.timed.tasks")
        self._trial = trial
        self._dice = trial.dice
        self._app = tasks.app
        self._delays = Delays(tasks.app, tasks.tick, trial.dice)
        trial.crews.append(watch.runner(trial.server.url, trial.log))
        #: The first one has a network of its own.
        self._watchmen: list[Watchman] = []
        for number in range(schedulers):
            url = trial.server.url if number else trial.proxy.url
            self._watchmen.append(watch.watchman(number + 1, url, trial.log.parent))
            trial.crews.append(self._watchmen[-1].crew)
        #: What is to be done later: when, and what.
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._away: list[Span] = []
        self._alone: list[Span] = []
        self._was_up = True
        self._moments = 0
        self._faults: Counter[str] = Counter()
        self._history: dict[str, dict[datetime, Tick]] = {
            name: {} for name in self._timed.MAY_MISS
        }
        self._collected = time.monotonic()

    def play(self, seconds: int) -> Found:
        """Do all of it."""
        self._app.schedules.add(self._timed.BESIDE)
        self._wait_until_all_serve()
        begin = math.ceil(time.time())
        due = range(begin + 1, begin + seconds + 1)
        self._strike_until(due[-1], seconds)
        self._let_all_be()
        self._wait_for_the_rest(due)
        return self._found(due)

    def close(self) -> None:
        """Have all go on, so that they can be ended."""
        for watchman in self._watchmen:
            strike(watchman.crew.tree(), signal.SIGCONT)
        self._app.close()

    # From begin to end

    def _wait_until_all_serve(self) -> None:
        patience = _START + _START_EACH * len(self._watchmen)
        deadline = time.monotonic() + patience
        names = set(self._history)
        while time.monotonic() < deadline:
            self._look()
            time.sleep(_LOOK)
            served = {each.name for each in self._app.schedules}
            is_up = all(watchman.is_up for watchman in self._watchmen)
            if is_up and names <= served and self._trial.ledger.workers():
                self._alone.clear()
                return
        raise CannotRunError(f"not all schedulers were up in {patience:.0f} s")

    def _strike_until(self, end: float, seconds: float) -> None:
        """Strike schedulers, and the store at a third and at two thirds of the time."""
        restarts = self._dice.sample(_RESTARTS, len(_RESTARTS))
        share = seconds / (len(restarts) + 1)
        while time.time() < end:
            left = end - time.time()
            if restarts and left < share * len(restarts):
                self._stop_store(restarts.pop())
            else:
                self._dice.choices(_FAULTS, _SHARES)[0](self)
            pause = self._dice.uniform(*_BETWEEN)
            self._work(min(pause, max(0.0, end - time.time())))

    def _let_all_be(self) -> None:
        for _, do in self._later:
            do()
        self._later = []

    def _wait_for_the_rest(self, due: range) -> None:
        """Let all due ticks be dealt with, then no others, and all jobs end."""
        last = datetime.fromtimestamp(due[-1], UTC)
        deadline = time.monotonic() + _END + _START_EACH * len(self._watchmen)
        [timetable] = self._app.schedules.timetables()
        while any(entry.cursor < last for entry in timetable.entries()):
            self._work(0.1)
            if time.monotonic() > deadline:
                raise CannotRunError("ticks that are due are not sent: see the logs")
        for name in self._history:
            self._app.schedules.pause(name)
        while not self._delays.is_sent:
            self._delays.send()
        client = self._trial.server.client
        scheduled, queue = "rq:scheduled:timed", "rq:queue:timed"
        while client.zcard(scheduled) or client.llen(queue) or self._runs():
            self._look()
            time.sleep(_LOOK)
            if time.monotonic() > deadline + _END:
                raise CannotRunError("jobs that were sent do not run: see the logs")
        self._collect()

    def _runs(self) -> bool:
        runs = Runs.of(self._trial.ledger.lines())
        return runs.began.keys() != runs.ended.keys()

    def _found(self, due: range) -> Found:
        runs = Runs.of(self._trial.ledger.lines())
        accounts = [
            account.of_schedule(name, due, self._history[name], runs, may_miss)
            for name, may_miss in self._timed.MAY_MISS.items()
        ]
        accounts.append(
            account.of_delays(
                self._delays.earliest, self._delays.due, self._delays.enqueued(), runs
            )
        )
        problems = [problem for each in accounts for problem in each.problems]
        problems += account.overlaps(runs, self._timed.BESIDE.name)
        if left_out := accounts[0].left_out:
            problems.append(f"{accounts[0].name}: {left_out} were left out")
        for each in accounts:
            if each.early:
                problems.append(f"{each.name}: {each.early} were early")
            if (late := each.late_for_nothing(self._away, self._alone)) > REPLACED:
                problems.append(
                    f"{each.name}: one was {late:.1f} s late beside the time in which "
                    "Redis was away or no scheduler was up"
                )
        return Found(
            accounts=accounts,
            away=self._away,
            alone=self._alone,
            faults=self._faults,
            problems=problems,
        )

    # While time passes

    def _work(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while True:
            self._delays.go_on()
            self._look()
            if time.monotonic() > self._collected + _COLLECT:
                with suppress(HeadwayError):  # it is away
                    self._collect()
            if time.monotonic() > until:
                return
            time.sleep(_LOOK)

    def _look(self) -> None:
        now = time.monotonic()
        for each in [each for each in self._later if each[0] <= now]:
            self._later.remove(each)
            each[1]()
        self._trial.mend()
        self._moments += 1
        for watchman in self._watchmen:
            watchman.listen(self._moments)
        self._note_who_is_up()

    def _note_who_is_up(self) -> None:
        is_up, now = any(each.is_up for each in self._watchmen), time.time()
        if not is_up:
            begin = self._alone.pop()[0] if not self._was_up and self._alone else now
            self._alone.append((begin, now))
        self._was_up = is_up

    def _collect(self) -> None:
        for name, known in self._history.items():
            for tick in self._app.schedules.history(name, KEPT):
                known[tick.due] = tick
        self._collected = time.monotonic()

    # Faults

    def _victim(self) -> Watchman | None:
        """Return one that is up: often the one that leads."""
        there = [each for each in self._watchmen if each.is_up and not each.is_struck]
        if not there:
            return None
        leader = max(there, key=lambda each: each.heard_to_lead)
        return leader if self._dice.random() < _LEADERS else self._dice.choice(there)

    def _in(self, span: tuple[float, float], do: Callable[[], None]) -> None:
        self._later.append((time.monotonic() + self._dice.uniform(*span), do))

    def _down(self, watchman: Watchman, span: tuple[float, float]) -> None:
        """Let it end, and be started again in a while, as a platform does."""
        watchman.is_struck = True
        watchman.crew.is_kept = False
        watchman.forget()

        def back() -> None:
            watchman.crew.is_kept = True
            watchman.is_struck = False

        self._in(span, back)

    def kill(self) -> None:
        """Kill one with all its processes."""
        if (watchman := self._victim()) is not None:
            self._faults["killed"] += 1
            strike(watchman.crew.tree(), signal.SIGKILL)
            self._down(watchman, (0.1, 3.0))

    def tell_to_stop(self) -> None:
        """Have one leave, and start another in its place."""
        if (watchman := self._victim()) is not None:
            self._faults["told to stop"] += 1
            strike(watchman.crew.parents(), signal.SIGTERM)
            self._down(watchman, (0.1, 3.0))

    def stop_all(self) -> None:
        """End all of them at once, in one way or the other."""
        self._faults["all at once"] += 1
        for watchman in self._watchmen:
            if watchman.is_up and not watchman.is_struck:
                number = self._dice.choice((signal.SIGKILL, signal.SIGTERM))
                is_killed = number is signal.SIGKILL
                crew = watchman.crew
                strike(crew.tree() if is_killed else crew.parents(), number)
                self._down(watchman, (0.0, 0.5))

    def freeze(self) -> None:
        """Have one stand still; it may believe to lead when it goes on."""
        if (watchman := self._victim()) is None:
            return
        self._faults["frozen"] += 1
        watchman.is_held = watchman.is_struck = True
        family = watchman.crew.tree()
        strike(family, signal.SIGSTOP)

        def thaw() -> None:
            strike(family[::-1], signal.SIGCONT)
            watchman.is_held = watchman.is_struck = False

        self._in(_FROZEN, thaw)

    def cut(self) -> None:
        """Cut the first one off from the store."""
        watchman = self._watchmen[0]
        if not watchman.is_up or watchman.is_struck:
            return
        self._faults["cut off"] += 1
        watchman.is_held = watchman.is_struck = True
        states: tuple[State, ...] = ("cut", "held", "torn")
        self._trial.proxy.turn(self._dice.choice(states))

        def open_again() -> None:
            self._trial.proxy.turn("open")
            watchman.is_held = watchman.is_struck = False

        self._in(_CUT, open_again)

    def _stop_store(self, number: signal.Signals) -> None:
        name = "killed" if number is signal.SIGKILL else "stopped"
        self._faults[f"Redis {name}"] += 1
        begin = time.time()
        self._trial.server.end(number)
        self._work(self._dice.uniform(*_AWAY))
        self._trial.server.start()
        self._away.append((begin, time.time()))


_FAULTS = (Stage.kill, Stage.freeze, Stage.tell_to_stop, Stage.cut, Stage.stop_all)
_SHARES = (4, 3, 2, 2, 1)
