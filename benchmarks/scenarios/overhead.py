"""What Headway costs on an engine, beside that engine's own API and worker.

Jobs of ten milliseconds whose results both sides store, with the same worker options,
by turns; and empty jobs, for who wants to know what a lease costs in round trips.
"""

from __future__ import annotations

import statistics

from benchmarks.contestants import Contestant, contestants
from benchmarks.report import Options, Report, Row
from benchmarks.rounds import Rounds
from benchmarks.trial import trial

JOBS, ROUNDS = 1_000, 7
#: The part of a round's jobs that are sent to no worker, to see what sending costs.
SENT = 2_000
ENGINES = ("celery", "dramatiq", "arq")


def run(options: Options) -> Report:
    """Play the engines that are asked for, one after the other."""
    report = Report(name="overhead")
    for engine in ENGINES:
        if engine in options.peers:
            _play(engine, report, options)
    return report


def _play(engine: str, report: Report, options: Options) -> None:
    found, problems = contestants((engine, f"headway_on_{engine}"))
    pair = [each for each in found if "overhead" in each.setup.uses]
    jobs = options.jobs or JOBS

    def measure(contestant: Contestant) -> dict[str, float]:
        keep = options.append_only
        with trial(contestant, SENT, append_only=keep, results=True) as made:
            enqueue = made.send("loop", "ten", 0, SENT)
        figures = {"enqueue": enqueue * 1e6}
        for name, task in (("execution", "ten"), ("empty", "empty")):
            with trial(contestant, jobs, append_only=keep, results=True) as made:
                figures[name] = made.drain(task).seconds / jobs * 1e6
                made.check()
        return figures

    rounds = Rounds.play(f"overhead {engine}", pair, options.rounds or ROUNDS, measure)
    report.problems += problems + rounds.problems
    titles = {
        "enqueue": "enqueue us/job",
        "execution": "10 ms job us/job",
        "empty": "empty job us/job",
    }
    rows: list[Row] = rounds.rows(titles)
    report.rows += [{"engine": engine, **row} for row in rows]
    for figure in titles:
        if (over := _over(rounds, figure)) is not None:
            report.line[f"{engine}_{figure}_percent"] = over * 100


def _over(rounds: Rounds, figure: str) -> float | None:
    """Return how much more ours takes, as a part of theirs: the rounds' median."""
    ours, theirs = rounds.ours(figure), rounds.fastest_peer(figure)
    if ours is None or theirs is None:
        return None
    column = rounds.column(figure)
    pairs = zip(column[ours], column[theirs], strict=True)
    return statistics.median(own / their - 1 for own, their in pairs)
