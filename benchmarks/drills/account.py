"""What became of each tick and each delayed job, laid beside plain arithmetic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from benchmarks.drills.ledger import Line
from benchmarks.report import Row, percentile
from headway.timetable import Tick

#: From when to when something lasted, by time of day.
Span = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """When the job of each id began and ended, as it has written itself."""

    began: Mapping[str, Sequence[float]]
    ended: Mapping[str, Sequence[float]]

    @classmethod
    def of(cls, lines: Iterable[Line]) -> Runs:
        """Read the ledger."""
        found: dict[str, dict[str, list[float]]] = {"begin": {}, "end": {}}
        for line in lines:
            if line.what in found:
                found[line.what].setdefault(line.job_id, []).append(line.at)
        return cls(began=found["begin"], ended=found["end"])

    def extra(self, job_id: str) -> int:
        """Return how often a job ran beyond once: nothing is done to its worker."""
        return max(0, len(self.began.get(job_id, ())) - 1)


@dataclass(slots=True, kw_only=True)
class Account:
    """One schedule, or the delayed jobs."""

    name: str
    due: int = 0
    jobs: int = 0
    #: Ticks that were left out, as the schedule says.
    left_out: int = 0
    lost: int = 0
    doubles: int = 0
    early: int = 0
    #: How late each was, in seconds, by when it was due.
    late: dict[float, float] = field(default_factory=dict[float, float])
    problems: list[str] = field(default_factory=list)

    def late_beside(self, away: Sequence[Span]) -> list[float]:
        """Return how late those were that did not wait for a store that was away."""
        return [late for due, late in self.late.items() if not _shared(due, late, away)]

    def late_for(self, away: Sequence[Span]) -> list[float]:
        """Return how late those were that did."""
        return [late for due, late in self.late.items() if _shared(due, late, away)]

    def late_for_nothing(self, *excuses: Sequence[Span]) -> float:
        """Return the longest that one was late, less the time of these spans."""
        spans = [span for each in excuses for span in each]
        return max(
            (late - _shared(due, late, spans) for due, late in self.late.items()),
            default=0.0,
        )

    def row(self, away: Sequence[Span], alone: Sequence[Span]) -> Row:
        """Return its line of the table."""
        late, waited = self.late_beside(away), self.late_for(away)
        return {
            "what": self.name,
            "due": self.due,
            "jobs": self.jobs,
            "left out": self.left_out,
            "lost": self.lost,
            "doubles": self.doubles,
            "early": self.early,
            **{
                f"late {name}, s": percentile(late, percent) if late else "-"
                for name, percent in (("p50", 50), ("p99", 99), ("max", 100))
            },
            "max, Redis away": max(waited) if waited else "-",
            "max, for nothing": self.late_for_nothing(away, alone),
        }

    def _is_wrong(self, what: str) -> None:
        self.problems.append(f"{self.name}: {what}")

    def add_tick(
        self, second: int, tick: Tick | None, runs: Runs, *, is_missed: bool
    ) -> None:
        """Take in one tick: its job, or why it has none."""
        job_id, due = tick_id(self.name, second), float(second)
        began = runs.began.get(job_id, ())
        self.due += 1
        self.jobs += bool(began)
        self.left_out += is_missed and not began
        self.doubles += runs.extra(job_id) + (is_missed and bool(began))
        if not began and not is_missed:
            self.lost += 1
            self._is_wrong(f"{job_id}: neither a job nor a word of it")
        if runs.extra(job_id) or (is_missed and began):
            self._is_wrong(f"{job_id} ran {len(began)} times, missed: {is_missed}")
        if not began:
            return
        if tick is None or tick.sent_at is None:
            self._is_wrong(f"{job_id} ran, and the history does not say so")
            return
        self.early += min(began[0], tick.sent_at.timestamp()) < due
        self.late[due] = tick.sent_at.timestamp() - due


def tick_id(name: str, second: int) -> str:
    """Return the id that a tick's job is to have."""
    return f"cron-{name}-{datetime.fromtimestamp(second, UTC):%Y%m%dT%H%M%SZ}"


def of_schedule(
    name: str,
    seconds: range,
    history: Mapping[datetime, Tick],
    runs: Runs,
    may_miss: str | None,
) -> Account:
    """Lay the history of a schedule for each second beside its jobs.

    `may_miss` is part of the reason for which it may leave ticks out, if it may.
    """
    account = Account(name=name)
    missed: Counter[int] = Counter()
    for tick in history.values():
        if tick.outcome != "missed":
            continue
        last = int(tick.due.timestamp())
        them = range(last - (tick.count or 1) + 1, last + 1)
        missed.update(them)
        if may_miss is None or may_miss not in tick.reason:
            within = [second for second in them if second in seconds]
            account.problems += [
                f"{tick_id(name, second)} was left out: {tick.reason}"
                for second in within
            ]
    for second in seconds:
        moment = datetime.fromtimestamp(second, UTC)
        sent = history.get(moment)
        account.add_tick(second, sent, runs, is_missed=bool(missed[second]))
    return account


def of_delays(
    earliest: Mapping[str, float],
    due: Mapping[str, float],
    enqueued: Mapping[str, float],
    runs: Runs,
) -> Account:
    """Look whether each delayed job ran once, and not before its time."""
    account = Account(name="delayed jobs", due=len(due))
    for job_id, moment in due.items():
        began = runs.began.get(job_id, ())
        account.jobs += bool(began)
        account.lost += not began
        account.doubles += runs.extra(job_id)
        if began:
            account.early += began[0] < earliest[job_id]
            account.late[moment] = max(0.0, enqueued[job_id] - moment)
        if len(began) != 1:
            account.problems.append(f"delayed job {job_id} ran {len(began)} times")
    return account


def overlaps(runs: Runs, name: str) -> list[str]:
    """Return the jobs of a schedule that began before the one before had ended."""
    ids = sorted(id_ for id_ in runs.began if id_.startswith(f"cron-{name}-"))
    return [
        f"{job_id} began while {before} ran"
        for before, job_id in pairwise(ids)
        if runs.began[job_id][0] < max(runs.ended.get(before, [float("inf")]))
    ]


def told(accounts: Sequence[Account]) -> dict[str, Any]:
    """Return all figures as JSON."""
    names = ("due", "jobs", "left_out", "lost", "doubles", "early", "late", "problems")
    return {
        each.name: {name: getattr(each, name) for name in names} for each in accounts
    }


def _shared(due: float, late: float, spans: Sequence[Span]) -> float:
    """Return for how much of the time that one was late these went on."""
    merged: list[Span] = []
    for begin, end in sorted(spans):
        since = max(begin, merged[-1][1]) if merged else begin
        if since < end:
            merged.append((since, end))
    return sum(
        max(0.0, min(due + late, end) - max(due, begin)) for begin, end in merged
    )
