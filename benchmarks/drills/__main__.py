"""Do to workers what may happen to them: see scripts/drill."""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from math import inf
from typing import NoReturn, get_args

from benchmarks.arguments import number, parser
from benchmarks.drills.crew import Kind
from benchmarks.drills.ledger import ledger_server
from benchmarks.drills.rows import DRILLS, FEW, OF_STOCK, USUAL, Row
from benchmarks.drills.side_by_side import play_all
from benchmarks.drills.soak import soak
from benchmarks.drills.tally import Tally
from benchmarks.drills.ticks import Found
from benchmarks.drills.ticks import drill as drill_ticks
from benchmarks.drills.trial import Order
from benchmarks.drills.workflows import ENGINES
from benchmarks.drills.workflows import drill as drill_workflows
from benchmarks.environments import CannotRunError
from benchmarks.report import Row as Line
from benchmarks.report import table

_SAY_EVERY = 20
_SOAK_MINUTES, _TICKS_MINUTES = 20.0, 3.0
_TRIALS = 20
_SCHEDULERS, _MOST_SCHEDULERS = 5, 50
#: Trials at once: most of their time they wait. One of RQ's own workers waits longer.
AT_ONCE: dict[Kind, int] = {"headway": 6, "stock": 24}
#: With none of n trials wrong, the rate of wrong ones is below 3/n, with 95 % certainty
#: (J. A. Hanley and A. Lippman-Hand, "If nothing goes wrong, is everything all right?",
#: JAMA 249, 1983).
_RULE_OF_THREE = 3


def main() -> int:
    """Run a drill, or all; return 1 where a promise did not hold."""
    asked = _arguments()
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, _leave)
    print(f"drill: seed {asked.seed}", file=sys.stderr)
    if "ticks" in asked.names:
        return _ticks(asked)
    if "workflow" in asked.names:
        return _workflows(asked)
    rows = _rows(asked)
    try:
        with ledger_server() as ledger:
            found = _played(rows, asked, ledger)
    except CannotRunError as error:
        print(f"drill: {error}", file=sys.stderr)
        return 1
    problems = _say(rows, found)
    if asked.json:
        told = {row.name: asdict(found[row.name]) for row in rows}
        asked.json.write_text(json.dumps({"seed": asked.seed, "rows": told}))
    print(
        _last_line(
            "+".join(dict.fromkeys(asked.names)),
            list(found.values()),
            is_good=not problems,
        ),
        flush=True,
    )
    return 1 if problems else 0


def _ticks(asked: argparse.Namespace) -> int:
    try:
        with ledger_server() as ledger:
            found: Found = drill_ticks(
                seed=asked.seed,
                ledger=ledger,
                schedulers=asked.schedulers or _SCHEDULERS,
                minutes=asked.minutes or _TICKS_MINUTES,
            )
    except CannotRunError as error:
        print(f"drill: {error}", file=sys.stderr)
        return 1
    for problem in found.problems:
        print(f"drill: ticks: {problem}", file=sys.stderr)
    found.say()
    if asked.json:
        asked.json.write_text(json.dumps({"seed": asked.seed, **found.to_json()}))
    print(found.last_line(), flush=True)
    return 1 if found.problems else 0


def _workflows(asked: argparse.Namespace) -> int:
    try:
        with ledger_server() as ledger:
            found = drill_workflows(
                seed=asked.seed,
                ledger=ledger,
                trials=asked.trials,
                engine=asked.engine or ENGINES[0],
            )
    except CannotRunError as error:
        print(f"drill: {error}", file=sys.stderr)
        return 1
    for problem in found.problems:
        print(f"drill: workflow: {problem}", file=sys.stderr)
    kills = ", ".join(f"{count} of a {what}" for what, count in found.kills.items())
    print(f"kills: {kills}; chords that were retried: {found.retried}")
    line = found.last_line()
    if asked.json:
        asked.json.write_text(json.dumps({"seed": asked.seed, "line": line}))
    print(line, flush=True)
    return 0 if line.endswith("verdict=pass") else 1


def _leave(signal_number: int, _frame: object) -> NoReturn:
    """End all trials, with what they have started: nothing is left running."""
    print("drill: stopping its workers and servers", file=sys.stderr, flush=True)
    sys.exit(128 + signal_number)


def _rows(asked: argparse.Namespace) -> Sequence[Row]:
    minutes = asked.minutes or _SOAK_MINUTES
    long = Row(name="soak", play=partial(soak, minutes=minutes), most=1)
    every = DRILLS if "all" in asked.names else ()
    names = dict.fromkeys((*every, *asked.names))
    rows = [row for name in names if name != "all" for row in DRILLS.get(name, (long,))]
    return [row for row in rows if row.of_stock or asked.worker != "stock"]


def _played(
    rows: Sequence[Row], asked: argparse.Namespace, ledger: str
) -> dict[str, Tally]:
    """Make the trials of all rows, the longest first, and add up what they came to."""
    orders: list[tuple[Row, Order]] = []
    for row in sorted(rows, key=lambda row: -row.takes):
        for trial in range(min(asked.trials, row.most or asked.trials)):
            order = Order(
                number=len(orders) + 1,
                seed=f"{asked.seed} {row.name} {trial}",
                ledger=ledger,
                kind=asked.worker,
                play=row.play,
            )
            orders.append((row, order))
    of = {order.number: row.name for row, order in orders}
    found = {row.name: Tally() for row in rows}
    done = play_all(
        [order for _, order in orders], asked.at_once or AT_ONCE[asked.worker]
    )
    for count, (order, tally) in enumerate(done, 1):
        found[of[order.number]].add(tally)
        for problem in tally.problems:
            print(f"drill: {of[order.number]}: {problem}", file=sys.stderr)
        if count % _SAY_EVERY == 0:
            print(f"drill: {count} of {len(orders)} trials", file=sys.stderr)
    return found


def _say(rows: Sequence[Row], found: dict[str, Tally]) -> list[str]:
    """Print the table; return what should not have been."""
    problems: list[str] = []
    lines: list[Line] = []
    for row in rows:
        tally = found[row.name]
        shortfalls = row.shortfalls(tally)
        problems += tally.problems + shortfalls
        lines.append(_line(row, tally, is_good=not (tally.problems or shortfalls)))
        for shortfall in shortfalls:
            print(f"drill: {shortfall}", file=sys.stderr)
    print(table(lines))
    return problems


def _line(row: Row, tally: Tally, *, is_good: bool) -> Line:
    is_lossless = not (tally.lost or tally.wedged)
    return {
        "fault": row.name,
        "trials": tally.trials,
        "jobs": tally.jobs,
        "struck as they ran": tally.struck,
        "of these done": tally.redone,
        "lost": tally.lost,
        "double commits": tally.double_commits,
        "extra runs per struck": tally.extra_per_fault if tally.struck else "-",
        **{
            f"back {name}, s": tally.back_at(share) if tally.back else "-"
            for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
        },
        "failed for it": tally.wronged,
        "wedged": tally.wedged,
        "verdict": "pass" if is_good else "fail",
        "trials that lose, 95 %": (
            f"< {100 * _RULE_OF_THREE / tally.trials:.1f} %"
            if is_lossless and tally.trials > _RULE_OF_THREE
            else "-"
        ),
    }


def _last_line(name: str, tallies: Sequence[Tally], *, is_good: bool) -> str:
    total = Tally()
    for tally in tallies:
        total.add(tally)
    worst = max((tally.extra_per_fault for tally in tallies), default=0.0)
    told = {
        "drill": name,
        "trials": max((tally.trials for tally in tallies), default=0),
        "jobs": total.jobs,
        "lost": total.lost,
        "double_commits": total.double_commits,
        "extra_runs_per_fault": f"{worst:.2f}".rstrip("0").rstrip("."),
        "back_p99_s": f"{total.back_at(0.99):.2f}",
        "back_max_s": f"{total.back_at(1.0):.2f}",
        "wedged": total.wedged,
        "verdict": "pass" if is_good else "fail",
    }
    return " ".join(f"{key}={value}" for key, value in told.items())


def _arguments() -> argparse.Namespace:
    asked = parser("scripts/drill", "Do to workers what may happen to them.")
    asked.add_argument(
        "names",
        nargs="+",
        choices=(*DRILLS, "soak", "ticks", "workflow", "all"),
        metavar="NAME",
        help=f"some of: {', '.join(DRILLS)}; soak; all, which leaves out soak; or "
        "ticks, or workflow, alone",
    )
    asked.add_argument(
        "--trials",
        type=number,
        metavar="N",
        help=f"of each row, {_TRIALS} if nothing is said; at most {FEW} where a lease "
        f"of {USUAL} s is waited for, and one of soak",
    )
    asked.add_argument("--seed", type=int, default=random.randrange(10**6))
    asked.add_argument("--worker", choices=get_args(Kind), default="headway")
    asked.add_argument(
        "--minutes",
        type=_minutes,
        metavar="M",
        help=f"of soak, {_SOAK_MINUTES:g} if nothing is said; of ticks, "
        f"{_TICKS_MINUTES:g}",
    )
    asked.add_argument(
        "--schedulers",
        type=_schedulers,
        metavar="N",
        help=f"of ticks, {_SCHEDULERS} if nothing is said",
    )
    asked.add_argument(
        "--engine", choices=ENGINES, help="of workflow: whose worker runs the jobs"
    )
    asked.add_argument(
        "--at-once", type=number, metavar="N", help="trials side by side"
    )
    told = asked.parse_args()
    if told.worker == "stock" and not {*told.names} <= {*OF_STOCK, "all"}:
        asked.error(f"--worker stock is for {', '.join(OF_STOCK)}, and all")
    if told.minutes and not {"soak", "ticks"}.intersection(told.names):
        asked.error(
            "--minutes is for soak and ticks; other drills are as long as their "
            "--trials"
        )
    if "ticks" in told.names and {*told.names} != {"ticks"}:
        asked.error("ticks is played alone: name no other drill beside it")
    if "workflow" in told.names and {*told.names} != {"workflow"}:
        asked.error("workflow is played alone: name no other drill beside it")
    if told.engine and "workflow" not in told.names:
        asked.error("--engine is for workflow")
    if "ticks" in told.names and (told.trials or told.at_once):
        asked.error("ticks is one trial: leave out --trials and --at-once")
    if told.schedulers and "ticks" not in told.names:
        asked.error("--schedulers is for ticks")
    told.trials = told.trials or _TRIALS
    return told


def _schedulers(text: str) -> int:
    if number(text) > _MOST_SCHEDULERS:
        raise argparse.ArgumentTypeError(f"{text!r}: expected 1 to {_MOST_SCHEDULERS}")
    return int(text)


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes < inf:
        raise argparse.ArgumentTypeError(f"{text!r}: expected minutes, more than 0")
    return minutes


if __name__ == "__main__":
    sys.exit(main())
