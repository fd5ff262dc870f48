"""What came of a trial: the ledger, laid beside what the store says in the end."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from redis import Redis
from rq.results import Result

from benchmarks.drills.ledger import Line
from benchmarks.drills.load import Load

_ENDS = ("finished", "failed", "canceled")
_FINAL = tuple(
    b"%d" % kind.value for kind in Result.Type if kind is not Result.Type.RETRIED
)
#: So many deaths of its child and a job is failed (docs/explanation/guarantees.md).
CRASH_LIMIT = 3
_CHUNK = 500
#: Where ids are kept whose key holds no job.
_QUARANTINE = "headway:quarantine"
#: For how long what a job has come to may not be written yet, in seconds.
_UNWRITTEN = 1.0
#: How soon after an outage a child tries again to write it, at the latest, in seconds.
_TRIED_AGAIN = 1.0


@dataclass(slots=True)
class Tally:
    """What one trial, or many, came to."""

    trials: int = 0
    jobs: int = 0
    lost: int = 0
    double_commits: int = 0
    #: Runs of which no outcome was written when their process was struck; those of them
    #: that were made again, and others that were without need.
    struck: int = 0
    extra: int = 0
    #: Of the struck, those whose work was done.
    redone: int = 0
    wedged: int = 0
    #: Jobs that ended as failed by the crash limit, as they should; others that were
    #: failed since their process was struck.
    blamed: int = 0
    wronged: int = 0
    #: From a strike until the job that ran then ran again, in seconds.
    back: list[float] = field(default_factory=list)
    #: What should not have been, in words.
    problems: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Add what another trial came to."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.back += other.back
        self.problems += other.problems

    @property
    def extra_per_fault(self) -> float:
        """Return how many runs were made again for each that was struck."""
        return self.extra / max(1, self.struck)

    def back_at(self, share: float) -> float:
        """Return the time within which that share of jobs ran again."""
        times = sorted(self.back)
        return times[min(len(times) - 1, int(share * len(times)))] if times else 0.0


_COUNTS = (
    *("trials", "jobs", "lost", "double_commits", "struck", "extra", "redone"),
    *("wedged", "blamed", "wronged"),
)


def tally(client: Redis, load: Load, lines: Iterable[Line]) -> Tally:
    """Count what became of the jobs that were sent."""
    runs = Runs(lines)
    found = Tally(trials=1, jobs=len(load.sent), back=runs.back)
    _look_at_runs(runs, found)
    ended, waiting = Counter(ended_ids(client)), set(waiting_ids(client))
    left = waiting_for_failed(client, load)
    for job_id, end in _ends(client, load, ended, waiting):
        if job_id in left:
            found.blamed += 1  # with the job that it waits for
        else:
            _look_at_end(job_id, end, load, runs, found)
    shown = {*ended, *map(_text, client.lrange(_QUARANTINE, 0, -1))}
    _look_at_bad(client, load, found, shown, waiting)
    return found


class Runs:
    """Who ran what, and which runs a strike has cost."""

    def __init__(self, lines: Iterable[Line]) -> None:
        #: The runs of each job, in order.
        self.of: dict[str, list[Line]] = defaultdict(list)
        #: How many processes each job has cost, as far as is known.
        self.deaths_of: Counter[str] = Counter()
        self.commits_of: Counter[str] = Counter()
        self.ended: set[str] = set()
        #: Runs, by job and number, whose outcome may not have been written as their
        #: process was struck.
        self.struck: set[tuple[str, int]] = set()
        #: Those of them that had not ended.
        self.cut_short: set[tuple[str, int]] = set()
        #: Runs that were the first of their process after a strike: it may have been
        #: about to begin them, and another has run the job by then.
        self.late: set[tuple[str, int]] = set()
        #: From a strike until the job ran again, in seconds.
        self.back: list[float] = []
        #: By process: the last job that it began, and which run of it that was.
        self._last: dict[int, tuple[str, int]] = {}
        self._over: dict[tuple[str, int], float] = {}
        #: Processes that have begun nothing since they were struck.
        self._stood_still: set[int] = set()
        #: By supervisor: the processes of its children that have run anything.
        self._children: dict[int, set[int]] = defaultdict(set)
        #: By process: what it has done of late.
        self._done: dict[int, list[tuple[str, int]]] = defaultdict(list)
        self._raised: set[tuple[str, int]] = set()
        self._struck_at: dict[str, float] = {}
        self._is_back_since: float | None = None
        #: When the store went away last, and when it was back.
        self._away_at: float | None = None
        self._back_at = float("inf")
        for line in lines:
            self._read(line)

    def _read(self, line: Line) -> None:
        run = self._last.get(line.pid, ("-", 0))
        match line.what:
            case "begin":
                self._begin(line)
            case "end":
                self.ended.add(line.job_id)
                self._end(line, run)
            case "commit":
                self.commits_of[line.job_id] += 1
            case "raise":
                self._raised.add(run)
                self._end(line, run)
            case "strike":
                self._strike(line)
            case "away":
                self._away_at, self._back_at = line.at, float("inf")
            case "back":
                self._is_back_since = self._back_at = line.at
                # Nobody could have begun what was to run again.
                self._struck_at = dict.fromkeys(self._struck_at, line.at)

    def _begin(self, line: Line) -> None:
        if (struck := self._struck_at.pop(line.job_id, None)) is not None:
            self.back.append(line.at - struck)
        if self._is_back_since is not None:
            self.back.append(line.at - self._is_back_since)
            self._is_back_since = None
        run = self._last[line.pid] = (line.job_id, len(self.of[line.job_id]))
        if line.pid in self._stood_still:
            self._stood_still.remove(line.pid)
            self.late.add(run)
        self._children[line.parent].add(line.pid)
        self.of[line.job_id].append(line)

    def _end(self, line: Line, run: tuple[str, int]) -> None:
        self._over[run] = line.at
        self._done[line.pid] = [*self._lately(line), run]

    def _lately(self, line: Line) -> list[tuple[str, int]]:
        """Return what its process has done of late: it may not be written."""
        return [run for run in self._done[line.pid] if line.at < self._written_by(run)]

    def _written_by(self, run: tuple[str, int]) -> float:
        """Return when it is written at the latest: a store may be away."""
        over = self._over[run]
        if self._away_at is not None and over > self._away_at - _UNWRITTEN:
            over = max(over, self._back_at + _TRIED_AGAIN)
        return over + _UNWRITTEN

    def _strike(self, line: Line) -> None:
        run = self._last.get(line.pid)
        self._stood_still.add(line.pid)
        if line.job_id != "-":
            self.deaths_of[line.job_id] += 1
            self._struck_at[line.job_id] = line.at
        # A supervisor may be about to write of a child that it has ended itself.
        of_children = [self._last[child] for child in self._children[line.pid]]
        self.struck.update(each for each in of_children if each not in self._over)
        if run is None:
            return
        self.struck.update(self._lately(line))
        if run not in self._over:
            self.struck.add(run)
            self.cut_short.add(run)
            if line.job_id == "-":
                self.deaths_of[run[0]] += 1
                self._struck_at[run[0]] = line.at

    def extra(self) -> Iterable[tuple[str, int, bool]]:
        """Yield the runs that were made again: what they came to was not written.

        Each as job, number and whether its process was struck as it ran.
        """
        for job_id, runs in self.of.items():
            for number in range(len(runs) - 1):
                run, next_run = (job_id, number), (job_id, number + 1)
                # A job that raises does so once: its retry, or another job, does not.
                if run in self._raised and next_run not in self._raised:
                    continue
                if run not in self.struck and next_run in self.late:
                    yield job_id, number + 1, True
                else:
                    yield job_id, number, run in self.struck


def _look_at_runs(runs: Runs, found: Tally) -> None:
    extra = list(runs.extra())
    struck = {(job_id, number) for job_id, number, is_struck in extra if is_struck}
    cut_short = runs.cut_short | (struck & runs.late)
    # Nobody but the process knew of the work that is done over again.
    redone = struck - cut_short
    found.redone = len(redone)
    found.struck, found.extra = len(cut_short) + len(redone), len(extra)
    found.problems += [
        f"{job_id} ran again, and its process, {runs.of[job_id][number].pid}, was not "
        f"struck as it ran: {runs.of[job_id]}"
        for job_id, number, is_struck in extra
        if not is_struck
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Where a job is in the end."""

    status: str
    #: Outcomes that were written, and registries of ended jobs that name it.
    outcomes: int
    places: int
    #: It is in a list, a lease or another registry: somebody may still run it.
    is_somewhere: bool


def _ends(
    client: Redis, load: Load, ended: Counter[str], waiting: set[str]
) -> Iterable[tuple[str, End]]:
    for job_id, results, status in _written(client, load.sent):
        yield (
            job_id,
            End(
                status=(status or b"").decode(errors="replace"),
                outcomes=sum(fields[b"type"] in _FINAL for _, fields in results),
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
        answers = pipeline.execute(raise_on_error=False)
        for place, job_id in enumerate(chunk):
            results, status = answers[2 * place : 2 * place + 2]
            # What a drill has spoilt is no stream, or no hash.
            yield (
                job_id,
                results if isinstance(results, list) else [],
                status if isinstance(status, bytes) else None,
            )


def _queues(client: Redis) -> list[str]:
    return [name.decode().rpartition(":")[2] for name in client.smembers("rq:queues")]


def ended_ids(client: Redis) -> Iterable[str]:
    """Yield the ids in RQ's registries of ended jobs."""
    for name in _queues(client):
        for end in _ENDS:
            yield from map(_text, client.zrange(f"rq:{end}:{name}", 0, -1))


def waiting_ids(client: Redis) -> Iterable[str]:
    """Yield the ids of jobs that somebody may still run."""
    for name in _queues(client):
        yield from map(_text, client.lrange(f"rq:queue:{name}", 0, -1))
        yield from map(_text, client.lrange(f"rq:queue:{name}:intermediate", 0, -1))
        for registry in ("deferred", "scheduled", "ready"):
            yield from map(_text, client.zrange(f"rq:{registry}:{name}", 0, -1))
        for member in client.zrange(f"rq:wip:{name}", 0, -1):
            yield _text(member).partition(":")[0]
    for key in client.scan_iter("headway:lease:*"):
        yield from map(_text, client.hkeys(key))


def _text(member: bytes) -> str:
    return member.decode(errors="replace")


def waiting_for_failed(client: Redis, load: Load) -> set[str]:
    """Return the ids that wait for a job which has failed: RQ leaves them there."""
    pairs = list(load.parents.items())
    pipeline = client.pipeline(transaction=False)
    for child, parent in pairs:
        pipeline.hget(f"rq:job:{parent}", "status")
        pipeline.hget(f"rq:job:{child}", "status")
    found = pipeline.execute(raise_on_error=False)
    statuses = zip(found[::2], found[1::2], strict=True)
    return {
        child
        for (child, _), (of_parent, own) in zip(pairs, statuses, strict=True)
        if (of_parent, own) == (b"failed", b"deferred")
    }


def _look_at_end(job_id: str, end: End, load: Load, runs: Runs, found: Tally) -> None:
    if end.places == 0:
        found.wedged += end.is_somewhere
        found.lost += not end.is_somewhere
        said = "never ended, and is somewhere" if end.is_somewhere else "is lost"
        found.problems.append(f"{job_id} {said}: {end.status}, {runs.of[job_id]}")
    elif end.places > 1 or end.outcomes > 1 or end.is_somewhere:
        found.double_commits += 1
        found.problems.append(f"{job_id} ended more than once: {end}")
    elif runs.commits_of[job_id] > 1:
        found.double_commits += 1
        found.problems.append(f"{job_id} has committed more than once")
    elif end.status == "finished":
        _look_at_finished(job_id, load, runs, found)
    elif end.status == "failed" and job_id not in load.failing:
        deaths = runs.deaths_of[job_id]
        if deaths >= CRASH_LIMIT:
            found.blamed += 1
        else:
            found.wronged += 1
            found.problems.append(f"{job_id} is failed after {deaths} deaths only")


def _look_at_finished(job_id: str, load: Load, runs: Runs, found: Tally) -> None:
    if job_id not in runs.ended or not runs.commits_of[job_id]:
        found.lost += 1
        found.problems.append(f"{job_id} is finished and was never run to its end")
    if job_id in load.fatal | load.failing:
        found.problems.append(f"{job_id} is finished, and should have failed")


def _look_at_bad(
    client: Redis, load: Load, found: Tally, shown: set[str], waiting: set[str]
) -> None:
    """See where what is no job, or a spoilt one, has come to: people must find it."""
    found.jobs += len(load.bad)
    for job_id in load.bad:
        if job_id in waiting:
            found.wedged += 1
            found.problems.append(f"{job_id}, which is no good job, is still somewhere")
        elif job_id not in shown and not _has_ended(client, job_id):
            found.lost += 1
            held = client.dump(f"rq:job:{job_id}")
            found.problems.append(
                f"{job_id}, which is no good job, is shown nowhere: {held!r}"
            )


def _has_ended(client: Redis, job_id: str) -> bool:
    """Tell what the job itself says, or whether it is gone.

    The registry of one whose queue is spoilt has an odd name.
    """
    key = f"rq:job:{job_id}"
    if client.type(key) != b"hash":
        return not client.exists(key)
    return (client.hget(key, "status") or b"").decode(errors="replace") in _ENDS
