"""Jobs that keep a core busy for some milliseconds, one worker process a core."""

from __future__ import annotations

from benchmarks.contestants import Contestant, contestants, of_use
from benchmarks.report import Options, Report
from benchmarks.rounds import Rounds
from benchmarks.trial import trial

JOBS, ROUNDS = 2_000, 3


def run(options: Options) -> Report:
    """Drain jobs that compute: nobody can be much faster, nobody should be slower."""
    found, problems = contestants(options.peers)
    jobs = options.jobs or JOBS

    def measure(contestant: Contestant) -> dict[str, float]:
        with trial(contestant, jobs, append_only=options.append_only) as made:
            figures = made.drain("compute")
            made.check()
        return {"us_each": figures.seconds / jobs * 1e6}

    rounds = Rounds.play("cpu", of_use(found, "cpu"), options.rounds or ROUNDS, measure)
    report = Report(name="cpu", problems=problems + rounds.problems)
    report.rows = rounds.rows({"us_each": "us/job"})
    peer = rounds.fastest_peer("us_each")
    if ratio := rounds.ratio("us_each", peer, rounds.ours("us_each")):
        report.line["ratio_to_fastest_peer"] = ratio
    if peer:
        report.line["fastest_peer"] = rounds.peer_of(peer)
    return report
