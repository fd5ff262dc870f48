"""100,000 jobs that are due at once: how long until all of them are in their queue?

They are sent for in an hour; with the scheduler up, and frozen where it is, the hour is
taken off their times, and the clock starts as it goes on. No worker runs. RQ's own
scheduler moves all jobs in the first round only; in the others it moves a tenth, as
rq-scheduler always does, and the time is scaled: each job takes them the same. Then,
for ours, 1,000 jobs a second become due one by one: how late is each in its queue, by
the clock of Redis?
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import cast

from benchmarks.contestants import Contestant, contestants, of_use
from benchmarks.environments import CannotRunError
from benchmarks.fleet import Fleet
from benchmarks.report import Options, Report, percentile
from benchmarks.rounds import Rounds
from benchmarks.trial import Trial, trial

JOBS, ROUNDS = 100_000, 3
#: Of those that become due one by one, a thousand a second; the first of them so late.
PUNCTUAL, _FIRST = 10_000, 5
_HOUR = 3600
_PATIENCE = 60.0
_TICK = 0.01
_QUEUE = "rq:queue:default"
_WHO, _STOCK = ("headway", "rq"), "rq scheduler"
_BRING_FORWARD = """
local jobs = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for at = 1, #jobs, 2 do
  redis.call('ZADD', KEYS[1], jobs[at + 1] - ARGV[1], jobs[at])
end
"""


def run(options: Options) -> Report:
    """Let schedulers move what is due by turns, then look at how punctual ours is."""
    found, problems = contestants(peer for peer in options.peers if peer in _WHO)
    who = of_use(found, "schedule")
    jobs, whole = options.jobs or JOBS, {_STOCK}

    def move(contestant: Contestant) -> dict[str, float]:
        share = 1.0 if contestant.name in whole else contestant.setup.share
        whole.discard(contestant.name)
        own = max(100, int(jobs * share))
        with trial(contestant, own, append_only=options.append_only) as made:
            seconds = _seconds(made, own)
        return {"seconds": seconds * jobs / own, "jobs": own}

    rounds = Rounds.play("schedule", who, options.rounds or ROUNDS, move)
    ours = [each for each in who if each.is_ours]
    punctual = Rounds.play(
        "schedule 1,000/s",
        ours,
        options.rounds or ROUNDS,
        lambda each: _lateness(each, options),
    )
    report = Report(name="schedule", problems=problems)
    report.problems += rounds.problems + punctual.problems
    report.rows = rounds.rows({"seconds": "seconds"})
    own = rounds.ours("seconds")
    for row in report.rows:
        name = str(row["contestant"])
        row["times slower than ours"] = rounds.ratio("seconds", name, own) or "-"
        first = rounds.figures[name][0]
        row[f"all {jobs}"] = first["seconds"] if first["jobs"] == jobs else "-"
    titles = {f"{of}_ms": f"{of} ms late" for of in ("p50", "p99", "max")}
    report.rows += punctual.rows(titles)
    if ratio := rounds.ratio("seconds", _STOCK, own):
        report.line["ratio_to_stock"] = ratio
    return report


def _seconds(made: Trial, jobs: int) -> float:
    scheduled = made.contestant.setup.scheduled
    made.send(f"later-{_HOUR}", "empty", 0, jobs)
    if (found := made.redis.zcard(scheduled)) != jobs:
        raise CannotRunError(f"{jobs} jobs sent for later, {found} are scheduled")
    with _scheduler(made) as fleet:
        fleet.freeze()
        moved = _HOUR + jobs / 1000 + _FIRST
        made.redis.eval(_BRING_FORWARD, 1, scheduled, moved)
        begin = time.perf_counter()
        fleet.thaw()
        _wait(made, jobs)
        seconds = time.perf_counter() - begin
    _check(made, jobs)
    return seconds


def _lateness(contestant: Contestant, options: Options) -> dict[str, float]:
    jobs = min(PUNCTUAL, options.jobs or PUNCTUAL)
    with trial(contestant, jobs, append_only=options.append_only) as made:
        with _scheduler(made):
            made.send(f"later-{_FIRST}", "empty", 0, jobs)
            due = dict(
                made.redis.zrange(contestant.setup.scheduled, 0, -1, withscores=True)
            )
            if len(due) != jobs:
                raise CannotRunError(f"{jobs} jobs sent for later, {len(due)} in time")
            _wait(made, jobs)
        _check(made, jobs)
        late = [_enqueued_at(made, job) - at for job, at in due.items()]
    return {
        "p50_ms": percentile(late, 50) * 1e3,
        "p99_ms": percentile(late, 99) * 1e3,
        "max_ms": max(late) * 1e3,
    }


@contextmanager
def _scheduler(made: Trial) -> Iterator[Fleet]:
    setup = made.contestant.setup
    log = made.marks.path.with_suffix(".log")
    made.fleet = Fleet(made.contestant.command(), 1, made.environment, log)
    deadline = time.monotonic() + _PATIENCE
    while not made.redis.keys(setup.signs_in):
        if time.monotonic() > deadline or made.fleet.has_ended():
            raise CannotRunError(f"it did not come up; it said: {log.read_text()}")
        time.sleep(_TICK)
    yield made.fleet


def _wait(made: Trial, jobs: int) -> None:
    most, since = 0, time.monotonic()
    while (moved := made.waiting()) < jobs:
        if moved > most:
            most, since = moved, time.monotonic()
        if time.monotonic() > since + _PATIENCE:
            raise CannotRunError(f"{moved} of {jobs} jobs were moved, and then none")
        time.sleep(_TICK)


def _check(made: Trial, jobs: int) -> None:
    ids = cast("list[bytes]", made.redis.lrange(_QUEUE, 0, -1))
    left = made.redis.zcard(made.contestant.setup.scheduled)
    if len(set(ids)) != jobs or len(ids) != jobs or left:
        raise CannotRunError(
            f"not exactly once: of {jobs} jobs {len(set(ids))} are in the queue, "
            f"{len(ids) - len(set(ids))} more than once, and {left} are left"
        )


def _enqueued_at(made: Trial, job: bytes) -> float:
    written = cast("bytes", made.redis.hget(f"rq:job:{job.decode()}", "enqueued_at"))
    return datetime.fromisoformat(written.decode()).timestamp()
