"""What a job costs with 1,000 to 1,000,000 in the queue, and with 1 to 16 children."""

from __future__ import annotations

from benchmarks.contestants import Contestant, contestants, of_use
from benchmarks.report import Options, Report
from benchmarks.rounds import Rounds
from benchmarks.trial import trial

#: Timed at each depth: in portions where the queue is not as deep.
JOBS, ROUNDS = 20_000, 3
_DEPTHS = (1_000, 10_000, 100_000, 1_000_000)


def run(options: Options) -> Report:
    """Time the first jobs of ever deeper queues, then of ever more children."""
    found, problems = contestants(options.peers)
    report = Report(name="scale", problems=problems)
    timed = options.jobs or JOBS

    def depths(contestant: Contestant) -> dict[str, float]:
        return {
            str(depth): _cost(contestant, depth, timed, options) for depth in _DEPTHS
        }

    def drain(contestant: Contestant) -> dict[str, float]:
        return {"us_each": _cost(contestant, timed, timed, options)}

    count = options.rounds or ROUNDS
    deep = Rounds.play("scale", of_use(found, "scale"), count, depths)
    wide = Rounds.play("scale", of_use(found, "children"), count, drain)
    report.problems += deep.problems + wide.problems
    report.rows += deep.rows({str(at): f"us/job of {at}" for at in _DEPTHS})
    report.rows += wide.rows({"us_each": "us/job"})
    if own := deep.ours("1000"):
        least, most = str(_DEPTHS[0]), str(_DEPTHS[-1])
        if ratio := deep.against(least, own, most, own):
            report.line[f"ratio_at_{most}_queued"] = ratio
    if ratio := wide.ratio("us_each", wide.ours("us_each"), "headway 16"):
        report.line["ratio_at_16_children"] = ratio
    return report


def _cost(contestant: Contestant, depth: int, timed: int, options: Options) -> float:
    """Return the microseconds a job takes of a queue that deep."""
    jobs, portion = max(depth, timed), min(depth, timed)
    seconds = 0.0
    with trial(contestant, jobs, append_only=options.append_only) as made:
        for first in range(0, timed, portion):
            filled = depth if depth > timed else min(portion, timed - first)
            made.fill("empty", range(first, first + filled))
            last = min(first + portion, timed)
            seconds += made.timed(range(first, last)).seconds
        made.check(timed)
    return seconds / timed * 1e6
