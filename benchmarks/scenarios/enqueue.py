"""What sending a job costs its producer: in a loop, and many at once.

A peer without a bulk call sends as its users would send many: one connection, and a
hundred at a time where it is made for asyncio.
"""

from __future__ import annotations

from benchmarks.contestants import Contestant, contestants, one_each
from benchmarks.environments import CannotRunError
from benchmarks.report import Options, Report
from benchmarks.rounds import Rounds
from benchmarks.trial import trial

JOBS, ROUNDS = 2_000, 11
#: So many times more in bulk, where a job takes a tenth of the time.
_MORE = 5


def run(options: Options) -> Report:
    """Send to a Redis that no worker listens to, and see that all jobs are there."""
    found, problems = contestants(options.peers)
    jobs = options.jobs or JOBS

    def measure(contestant: Contestant) -> dict[str, float]:
        ways = {"loop": jobs} | ({"bulk": jobs * _MORE} if contestant.bulk else {})
        return {
            way: _send(contestant, way, count, options) * 1e6
            for way, count in ways.items()
        }

    who = one_each(found)
    rounds = Rounds.play("enqueue", who, options.rounds or ROUNDS, measure)
    report = Report(name="enqueue", problems=problems + rounds.problems)
    report.rows = rounds.rows(
        {"loop": "loop us/job", "bulk": "bulk us/job"}, settings=False
    )
    own = rounds.ours("loop")
    if ratio := rounds.ratio("loop", rounds.fastest_peer("loop"), own):
        report.line["loop_ratio_to_fastest_peer"] = ratio
    # Whoever's loop is quicker than everybody's bulk call is the one to beat.
    ratios = [
        rounds.against(way, rounds.fastest_peer(way), "bulk", own)
        for way in ("bulk", "loop")
    ]
    if known := [ratio for ratio in ratios if ratio]:
        report.line["bulk_ratio_to_fastest_peer"] = min(known)
    return report


def _send(contestant: Contestant, way: str, jobs: int, options: Options) -> float:
    with trial(contestant, jobs, append_only=options.append_only) as made:
        each = made.send(way, "empty", 0, jobs)
        if (found := made.waiting()) != jobs:
            raise CannotRunError(f"{jobs} jobs sent, {found} in the queue")
    return each
