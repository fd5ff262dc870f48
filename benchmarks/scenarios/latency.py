"""50 jobs a second: how long from the call of enqueue to the body of the function."""

from __future__ import annotations

from benchmarks.contestants import Contestant, contestants, of_use
from benchmarks.report import Options, Report, percentile
from benchmarks.rounds import Rounds
from benchmarks.trial import trial

JOBS, ROUNDS = 500, 3
_RATE = "50"


def run(options: Options) -> Report:
    """Send at a steady pace to idle workers and look at the waits."""
    found, problems = contestants(options.peers)
    jobs = options.jobs or JOBS

    def measure(contestant: Contestant) -> dict[str, float]:
        with trial(contestant, jobs, append_only=options.append_only) as made:
            made.start()
            made.send(_RATE, "stamp", 0, jobs)
            made.wait(range(jobs))
            made.check()
            waits = made.waits(range(jobs))
        return {
            "p50_ms": percentile(waits, 50) * 1e3,
            "p99_ms": percentile(waits, 99) * 1e3,
        }

    who = of_use(found, "latency")
    rounds = Rounds.play("latency", who, options.rounds or ROUNDS, measure)
    report = Report(name="latency", problems=problems + rounds.problems)
    report.rows = rounds.rows({"p50_ms": "p50 ms", "p99_ms": "p99 ms"})
    for key in ("p50", "p99"):
        best = rounds.fastest_peer(f"{key}_ms")
        if ratio := rounds.ratio(f"{key}_ms", best, rounds.ours(f"{key}_ms")):
            report.line[f"{key}_ratio_to_best_peer"] = ratio
    return report
