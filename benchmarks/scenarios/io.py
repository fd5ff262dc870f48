"""Jobs that wait 5 ms, as for a database, a hundred at once: threads, and asyncio."""

from __future__ import annotations

from benchmarks.contestants import Contestant, contestants, of_use
from benchmarks.report import Options, Report
from benchmarks.rounds import Rounds
from benchmarks.trial import trial

JOBS, ROUNDS = 10_000, 3


def run(options: Options) -> Report:
    """Drain waiting jobs, those who use threads and those who use a loop apart."""
    found, problems = contestants(options.peers)
    report = Report(name="io", problems=problems)
    fastest: dict[str, tuple[float, str]] = {}
    for way in ("threads", "asyncio"):
        rounds = _play(way, of_use(found, way), options)
        report.problems += rounds.problems
        report.rows += [
            {"way": way, **row} for row in rounds.rows({"us_each": "us/job"})
        ]
        peer = rounds.fastest_peer("us_each")
        if peer:
            told = (rounds.median(peer, "us_each"), rounds.peer_of(peer))
            fastest[way] = told
        if ratio := rounds.ratio("us_each", peer, rounds.ours("us_each")):
            report.line[f"{way}_ratio_to_fastest_peer"] = ratio
    if fastest:
        report.line["fastest_peer"] = min(fastest.values())[1]
    return report


def _play(way: str, who: list[Contestant], options: Options) -> Rounds:
    jobs = options.jobs or JOBS

    def measure(contestant: Contestant) -> dict[str, float]:
        # We take plain functions and `async def` alike; the peers' file decides theirs.
        ours = contestant.is_ours and way == "asyncio"
        own = max(100, int(jobs * contestant.setup.share))
        with trial(contestant, own, append_only=options.append_only) as made:
            figures = made.drain("wait_async" if ours else "wait")
            made.check()
        return {"us_each": figures.seconds / own * 1e6, "jobs": own}

    return Rounds.play(f"io {way}", who, options.rounds or ROUNDS, measure)
