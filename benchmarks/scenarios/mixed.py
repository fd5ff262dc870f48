"""100 jobs a second, one in a hundred takes a second: do the short ones wait for it?

Ten workers; a job's wait is counted from when it was due, so that a producer which
is held up hides nothing.
"""

from __future__ import annotations

from benchmarks.contestants import Contestant, contestants, of_use
from benchmarks.report import Options, Report, percentile
from benchmarks.rounds import Rounds
from benchmarks.trial import trial

JOBS, ROUNDS = 6_000, 1
_LONG_EVERY, _LONG_AT = 100, 50


def run(options: Options) -> Report:
    """Send for a minute and look at the waits of the short jobs."""
    found, problems = contestants(options.peers)
    jobs = options.jobs or JOBS

    def measure(contestant: Contestant) -> dict[str, float]:
        with trial(contestant, jobs, append_only=options.append_only) as made:
            made.start()
            made.send("100-mixed", "stamp", 0, jobs)
            made.wait(range(jobs))
            made.check()
            waits = made.waits([n for n in range(jobs) if n % _LONG_EVERY != _LONG_AT])
        return {
            "p50_ms": percentile(waits, 50) * 1e3,
            "p99_ms": percentile(waits, 99) * 1e3,
            "max_ms": max(waits) * 1e3,
        }

    who = of_use(found, "mixed")
    rounds = Rounds.play("mixed", who, options.rounds or ROUNDS, measure)
    report = Report(name="mixed", problems=problems + rounds.problems)
    report.rows = rounds.rows(
        {"p50_ms": "p50 ms", "p99_ms": "p99 ms", "max_ms": "max ms"}
    )
    if own := rounds.ours("p99_ms"):
        report.line["short_p99_ms"] = rounds.median(own, "p99_ms")
    return report
