"""Ten workers, each in a job, beside ten of stock RQ; and whether ours stay as small.

Memory is the proportional set of all processes together: pages that several share are
divided among them, so that forked children are not counted in full.
"""

from __future__ import annotations

from benchmarks.contestants import Contestant, contestants, of_use
from benchmarks.report import Options, Report
from benchmarks.rounds import Rounds
from benchmarks.trial import trial

JOBS, ROUNDS = 100_000, 3
_WORKERS = 10
#: Jobs after which a worker has everything it needs.
_USED = 10_000


def run(options: Options) -> Report:
    """Read the memory of workers that hold on to a job, then of ours after many."""
    found, problems = contestants(options.peers)
    who = of_use(found, "memory")

    def in_a_job(contestant: Contestant) -> dict[str, float]:
        with trial(contestant, _WORKERS, append_only=options.append_only) as made:
            fleet = made.start()
            idle = fleet.memory()
            made.send("loop", "hold", 0, _WORKERS)
            made.wait(range(_WORKERS))
            busy = fleet.memory()
            made.marks.release.touch()
            made.check()
        return {"idle_mb": idle, "busy_mb": busy}

    rounds = Rounds.play("memory", who, options.rounds or ROUNDS, in_a_job)
    ours = [each for each in who if each.is_ours]
    flat = Rounds.play("memory flat", ours, 1, lambda each: _growth(each, options))
    report = Report(name="memory", problems=problems)
    report.problems += rounds.problems + flat.problems
    report.rows = rounds.rows({"idle_mb": "idle MB", "busy_mb": "each in a job MB"})
    report.rows += flat.rows(
        {
            "jobs": "jobs",
            "first_mb": f"MB after {_USED} jobs",
            "last_mb": "MB after all",
        }
    )
    stock = rounds.fastest_peer("busy_mb")
    if ratio := rounds.ratio("busy_mb", stock, rounds.ours("busy_mb")):
        report.line["ratio_to_stock_rq"] = ratio
    return report


def _growth(contestant: Contestant, options: Options) -> dict[str, float]:
    jobs = max(options.jobs or JOBS, 2 * _USED)
    with trial(contestant, jobs, append_only=options.append_only) as made:
        fleet = made.start()
        made.send("bulk", "empty", 0, _USED)
        made.wait(range(_USED))
        first = fleet.memory()
        made.send("bulk", "empty", _USED, jobs - _USED)
        made.wait(range(jobs))
        last = fleet.memory()
        made.check()
    return {"jobs": jobs, "first_mb": first, "last_mb": last}
