"""Producers and the workers at once: from the first enqueue to the last end.

One producer on each core, as an application's web processes are: one alone would mostly
wait for its own round trips, which `enqueue` measures.
"""

from __future__ import annotations

import itertools
import os
import time

from benchmarks.contestants import Contestant, contestants, of_use
from benchmarks.report import Options, Report
from benchmarks.rounds import Rounds
from benchmarks.trial import Trial, trial

JOBS, ROUNDS = 20_000, 3
PRODUCERS = os.cpu_count() or 1


def run(options: Options) -> Report:
    """Let producers send in a loop while warm workers run what they send."""
    found, problems = contestants(options.peers)
    jobs = options.jobs or JOBS

    def measure(contestant: Contestant) -> dict[str, float]:
        own = max(100, int(jobs * contestant.setup.share))
        with trial(contestant, own, append_only=options.append_only) as made:
            made.start()
            seconds = _seconds(made, own)
            made.check()
        return {"us_each": seconds / own * 1e6, "jobs": own}

    rounds = Rounds.play(
        "live", of_use(found, "live"), options.rounds or ROUNDS, measure
    )
    own, peer = rounds.ours("us_each"), rounds.fastest_peer("us_each")
    report = Report(name="live", problems=problems + rounds.problems)
    report.rows = rounds.rows({"us_each": "us/job"})
    if ratio := rounds.ratio("us_each", peer, own):
        report.line["ratio_to_fastest_peer"] = ratio
    if peer:
        report.line["fastest_peer"] = rounds.peer_of(peer)
    return report


def _seconds(made: Trial, jobs: int) -> float:
    firsts = [jobs * part // PRODUCERS for part in range(PRODUCERS + 1)]
    portions = [range(*ends) for ends in itertools.pairwise(firsts)]
    producers = [
        made.sending("live", "empty", portion.start, len(portion))
        for portion in portions
    ]
    made.wait(range(jobs))
    made.wait_until_acknowledged(jobs)
    ended = time.monotonic()
    for producer in producers:
        made.sent(producer)
    return ended - min(made.marks.sent[portion.start] for portion in portions)
