"""A producer and the workers at once: from the first enqueue to the last end."""

from __future__ import annotations

import time

from benchmarks.contestants import Contestant, contestants, of_use
from benchmarks.report import Options, Report
from benchmarks.rounds import Rounds
from benchmarks.trial import trial

JOBS, ROUNDS = 10_000, 3


def run(options: Options) -> Report:
    """Let one producer send in a loop while warm workers run what it sends."""
    found, problems = contestants(options.peers)
    jobs = options.jobs or JOBS

    def measure(contestant: Contestant) -> dict[str, float]:
        own = max(100, int(jobs * contestant.setup.share))
        with trial(contestant, own, append_only=options.append_only) as made:
            made.start()
            producer = made.sending("live", "empty", 0, own)
            made.wait(range(own))
            made.wait_until_acknowledged(own)
            seconds = time.monotonic() - made.marks.sent[0]
            made.sent(producer)
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
