"""What Headway costs on an engine, beside that engine's own API and worker.

Jobs of ten milliseconds whose results both sides store, with the same worker options,
by turns; and empty jobs, for who wants to know what a lease costs in round trips.
Celery is measured as well as both serve long jobs: with nothing fetched ahead.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmarks.contestants import Contestant, contestants
from benchmarks.report import Options, Report, Row
from benchmarks.rounds import Rounds
from benchmarks.trial import trial

JOBS, ROUNDS = 1_000, 7
#: The part of a round's jobs that are sent to no worker, to see what sending costs.
SENT = 2_000
ENGINES = ("celery", "dramatiq", "arq")
#: What a set-up is used for, and how its figures are named.
USES = {"overhead": "", "overhead, late": "_late"}


def run(options: Options) -> Report:
    """Play the engines that are asked for, one after the other."""
    report = Report(name="overhead")
    for engine in ENGINES:
        if engine in options.peers:
            found, problems = contestants((engine, f"headway_on_{engine}"))
            report.problems += problems
            for use, ending in USES.items():
                pair = [each for each in found if use in each.setup.uses]
                if pair:
                    _play(engine + ending, pair, report, options)
    return report


def _play(
    name: str, pair: Sequence[Contestant], report: Report, options: Options
) -> None:
    jobs = options.jobs or JOBS

    def measure(contestant: Contestant) -> dict[str, float]:
        keep = options.append_only
        with trial(contestant, SENT, append_only=keep, results=True) as made:
            enqueue = made.send("loop", "ten", 0, SENT)
        figures = {"enqueue": enqueue * 1e6}
        for figure, task in (("execution", "ten"), ("empty", "empty")):
            with trial(contestant, jobs, append_only=keep, results=True) as made:
                figures[figure] = made.drain(task).seconds / jobs * 1e6
                made.check()
        return figures

    rounds = Rounds.play(f"overhead {name}", pair, options.rounds or ROUNDS, measure)
    report.problems += rounds.problems
    titles = {
        "enqueue": "enqueue us/job",
        "execution": "10 ms job us/job",
        "empty": "empty job us/job",
    }
    rows: list[Row] = rounds.rows(titles)
    report.rows += [{"engine": name, **row} for row in rows]
    for figure in titles:
        if (over := _over(rounds, figure)) is not None:
            report.line[f"{name}_{figure}_percent"] = over * 100


def _over(rounds: Rounds, figure: str) -> float | None:
    """Return how much more ours takes, as a part of theirs: the rounds' median."""
    ours, theirs = rounds.ours(figure), rounds.fastest_peer(figure)
    if ours is None or theirs is None:
        return None
    column = rounds.column(figure)
    pairs = zip(column[ours], column[theirs], strict=True)
    return statistics.median(own / their - 1 for own, their in pairs)
