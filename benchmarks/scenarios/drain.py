"""20,000 empty jobs wait in Redis, then the workers begin: the well-known comparison.

Three tables: jobs that return nothing (the peers store nothing, Headway all it always
does), jobs whose result everybody stores, and the first again with append-only every
second. The last two are run by whoever is not hopelessly slower than the fastest peer.
A peer's clock stops when the last job has run, ours when the last is acknowledged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from benchmarks.contestants import Contestant, contestants, of_use
from benchmarks.report import Options, Report, Row
from benchmarks.rounds import Rounds
from benchmarks.trial import trial

JOBS, ROUNDS = 20_000, 3
#: Who takes longer than that many times the fastest peer sits out the other tables.
_HOPELESS = 5.0


def run(options: Options) -> Report:
    """Play the three tables."""
    found, problems = contestants(options.peers)
    report = Report(name="drain", problems=problems)
    everybody = of_use(found, "drain")
    empty = _play(report, "empty", everybody, options, task="empty")
    able = _able(empty)
    results = _play(report, "results", able, options, task="echo", results=True)
    aof = _play(report, "aof", able, options, task="empty", append_only=True)
    own, peer = empty.ours("seconds"), empty.fastest_peer("seconds")
    told = {
        "ratio_to_fastest_peer": empty.ratio("seconds", peer, own),
        "fastest_peer": peer and empty.peer_of(peer),
        "results_ratio_to_fastest_peer": _ratio(results),
        "aof_ratio_to_fastest_peer": _ratio(aof),
        "ratio_to_celery_prefork": empty.ratio("seconds", "celery prefork ten", own),
        "ratio_to_rq_fork": empty.ratio("seconds", "rq fork ten", own),
    }
    report.line |= {name: value for name, value in told.items() if value}
    report.line["exactly_once"] = "no" if report.problems else "yes"
    return report


def _play(
    report: Report,
    title: str,
    who: Sequence[Contestant],
    options: Options,
    *,
    task: str,
    results: bool = False,
    append_only: bool = False,
) -> Rounds:
    jobs = options.jobs or JOBS
    keep = append_only or options.append_only

    def measure(contestant: Contestant) -> dict[str, float]:
        own = max(100, int(jobs * contestant.setup.share))
        with trial(contestant, own, append_only=keep, results=results) as made:
            figures = made.drain(task)
            made.check()
            if results:
                made.check_stored()
        return {**asdict(figures), "seconds": figures.seconds * jobs / own}

    rounds = Rounds.play(f"drain {title}", who, options.rounds or ROUNDS, measure)
    report.problems += rounds.problems
    report.rows += _rows(title, rounds)
    return rounds


def _rows(title: str, rounds: Rounds) -> list[Row]:
    own = rounds.ours("seconds")
    rows: list[Row] = []
    for contestant in rounds.contestants:
        name = contestant.name
        row: Row = {
            "table": title,
            "contestant": name,
            "seconds": rounds.median(name, "seconds"),
            "times slower than ours": rounds.ratio("seconds", name, own) or "-",
            "jobs run": int(rounds.median(name, "jobs")),
            "Redis commands/job": rounds.median(name, "commands"),
            "Redis us/job": rounds.median(name, "redis_us"),
            "worker CPU us/job": rounds.median(name, "worker_us"),
            "PSS MB": rounds.median(name, "memory_mb"),
            "settings": contestant.setup.settings,
        }
        rows.append(row)
    return sorted(rows, key=lambda row: float(row["seconds"]))


def _ratio(rounds: Rounds) -> float | None:
    return rounds.ratio(
        "seconds", rounds.fastest_peer("seconds"), rounds.ours("seconds")
    )


def _able(rounds: Rounds) -> list[Contestant]:
    peer = rounds.fastest_peer("seconds")
    limit = _HOPELESS * rounds.median(peer, "seconds") if peer else 0.0
    return [
        each
        for each in rounds.contestants
        if each.is_ours or rounds.median(each.name, "seconds") <= limit
    ]
