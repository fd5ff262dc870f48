"""What came of a drill: the journal, laid beside what the store says in the end."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from redis import Redis
from rq.results import Result

from benchmarks.drills.journal import Line
from benchmarks.drills.load import Load

_ENDS = ("finished", "failed", "canceled")
_FINAL = tuple(
    b"%d" % kind.value for kind in Result.Type if kind is not Result.Type.RETRIED
)
#: So many deaths of its child and a job is failed (DESIGN section 5, promise 3).
CRASH_LIMIT = 3
_CHUNK = 500


@dataclass(slots=True)
class Tally:
    """What one drill came to."""

    trials: int = 0
    jobs: int = 0
    lost: int = 0
    double_commits: int = 0
    extra_runs_per_fault: int = 0
    wedged: int = 0
    #: Jobs that ended as failed by the crash limit, as they should.
    blamed: int = 0
    #: From a death until the job that ran then ran again, in seconds.
    back: list[float] = field(default_factory=list)
    #: What should not have been, in words.
    problems: list[str] = field(default_factory=list)

    def back_at(self, share: float) -> float:
        """Return the time within which that share of jobs ran again."""
        times = sorted(self.back)
        return times[min(len(times) - 1, int(share * len(times)))] if times else 0.0

    def last_line(self, drill: str) -> str:
        """Return the line that a machine reads."""
        verdict = "fail" if self.problems else "pass"
        return (
            f"drill={drill} trials={self.trials} jobs={self.jobs} lost={self.lost} "
            f"double_commits={self.double_commits} "
            f"extra_runs_per_fault={self.extra_runs_per_fault} "
            f"back_p99_s={self.back_at(0.99):.2f} back_max_s={self.back_at(1):.2f} "
            f"wedged={self.wedged} verdict={verdict}"
        )


def tally(client: Redis, load: Load, lines: Iterable[Line]) -> Tally:
    """Count what became of the jobs that were sent."""
    runs = Runs(lines)
    found = Tally(trials=len(runs.deaths), jobs=len(load.sent), back=runs.back)
    _look_at_runs(runs, found)
    for job_id, end in _ends(client, load):
        _look_at_end(job_id, end, load, runs, found)
    return found


class Runs:
    """Who ran what, and which runs a death has cost."""

    def __init__(self, lines: Iterable[Line]) -> None:
        #: When each process was killed.
        self.deaths: dict[int, float] = {}
        #: The runs of each job, in order.
        self.of: dict[str, list[Line]] = defaultdict(list)
        #: How many processes each job has cost, as far as is known.
        self.deaths_of: Counter[str] = Counter()
        self.ended: set[str] = set()
        #: From the death of a process until its job ran again, in seconds.
        self.back: list[float] = []
        #: By process: the last job that it began, and which run of it that was.
        self._last: dict[int, tuple[str, int]] = {}
        self._raised: set[tuple[str, int]] = set()
        self._runs_now: set[str] = set()
        self._died_at: dict[str, float] = {}
        for line in lines:
            self._read(line)

    def _read(self, line: Line) -> None:
        match line.what:
            case "begin":
                self._begin(line)
            case "end":
                self.ended.add(line.job_id)
                self._runs_now.discard(line.job_id)
            case "raise":
                self._raised.add((line.job_id, len(self.of[line.job_id]) - 1))
                self._runs_now.discard(line.job_id)
            case "death":
                if line.pid not in self.deaths:
                    self._die(line)

    def _begin(self, line: Line) -> None:
        if (died := self._died_at.pop(line.job_id, None)) is not None:
            self.back.append(line.at - died)
        self._last[line.pid] = (line.job_id, len(self.of[line.job_id]))
        self.of[line.job_id].append(line)
        self._runs_now.add(line.job_id)

    def _die(self, line: Line) -> None:
        self.deaths[line.pid] = line.at
        trapped = line.job_id != "-"
        job_id = line.job_id if trapped else self._last.get(line.pid, ("-", 0))[0]
        self.deaths_of[job_id] += 1
        if trapped or job_id in self._runs_now:
            self._died_at[job_id] = line.at

    def extra(self) -> Iterable[tuple[str, int, bool]]:
        """Yield job, process and whether it ran it when it died, for each lost run."""
        for job_id, runs in self.of.items():
            for number, run in enumerate(runs[:-1]):
                last = run.pid in self.deaths and self._last[run.pid] == (
                    job_id,
                    number,
                )
                if last or (job_id, number) not in self._raised:
                    yield job_id, run.pid, last


def _look_at_runs(runs: Runs, found: Tally) -> None:
    cost: Counter[int] = Counter()
    for job_id, pid, was_running in runs.extra():
        cost[pid] += 1
        if not was_running:
            found.problems.append(f"{job_id} ran again, and was not running in {pid}")
    found.extra_runs_per_fault = max(cost.values(), default=0)
    found.problems += [
        f"the death of {pid} cost {count} runs"
        for pid, count in cost.items()
        if count > 1
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Where a job is in the end."""

    status: str
    #: Outcomes that were written, and registries of ended jobs that name it.
    commits: int
    places: int
    #: It is in a list, a lease or another registry: somebody may still run it.
    is_somewhere: bool


def _ends(client: Redis, load: Load) -> Iterable[tuple[str, End]]:
    names = [name.decode().rpartition(":")[2] for name in client.smembers("rq:queues")]
    ended = Counter(
        member.decode()
        for name in names
        for end in _ENDS
        for member in client.zrange(f"rq:{end}:{name}", 0, -1)
    )
    waiting = set(_waiting(client, names))
    for job_id, results, status in _written(client, load.sent):
        yield (
            job_id,
            End(
                status=(status or b"").decode(),
                commits=sum(fields[b"type"] in _FINAL for _, fields in results),
                places=ended[job_id],
                is_somewhere=job_id in waiting,
            ),
        )


def _written(client: Redis, ids: list[str]) -> Iterable[tuple[str, Any, Any]]:
    for first in range(0, len(ids), _CHUNK):
        chunk = ids[first : first + _CHUNK]
        pipeline = client.pipeline(transaction=False)
        for job_id in chunk:
            pipeline.xrange(f"rq:results:{job_id}")
            pipeline.hget(f"rq:job:{job_id}", "status")
        answers = pipeline.execute()
        yield from zip(chunk, answers[::2], answers[1::2], strict=True)


def _waiting(client: Redis, names: list[str]) -> Iterable[str]:
    for name in names:
        yield from map(bytes.decode, client.lrange(f"rq:queue:{name}", 0, -1))
        yield from map(
            bytes.decode, client.lrange(f"rq:queue:{name}:intermediate", 0, -1)
        )
        for registry in ("deferred", "scheduled", "ready"):
            members = client.zrange(f"rq:{registry}:{name}", 0, -1)
            yield from map(bytes.decode, members)
        for member in client.zrange(f"rq:wip:{name}", 0, -1):
            yield member.decode().partition(":")[0]
    for key in client.scan_iter("headway:lease:*"):
        yield from map(bytes.decode, client.hkeys(key))


def _look_at_end(job_id: str, end: End, load: Load, runs: Runs, found: Tally) -> None:
    if end.places == 0:
        wedged = end.is_somewhere
        found.wedged += wedged
        found.lost += not wedged
        said = "never ended, and is somewhere" if wedged else "is lost"
        found.problems.append(f"{job_id} {said}: {end.status}, {runs.of[job_id]}")
    elif end.places > 1 or end.commits > 1 or end.is_somewhere:
        found.double_commits += 1
        found.problems.append(f"{job_id} ended more than once: {end}")
    elif end.status == "finished" and job_id not in runs.ended:
        found.lost += 1
        found.problems.append(f"{job_id} is finished and was never run to its end")
    elif end.status == "failed" and job_id not in load.failing:
        deaths = runs.deaths_of[job_id]
        if deaths >= CRASH_LIMIT:
            found.blamed += 1
        else:
            found.problems.append(f"{job_id} is failed after {deaths} deaths only")
    elif end.status == "finished" and job_id in load.fatal:
        found.problems.append(f"{job_id} has cost too many children and was let go on")
