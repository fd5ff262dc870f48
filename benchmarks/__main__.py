"""Measure Headway beside its peers: see scripts/bench."""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import signal
import sys

from benchmarks.arguments import number, parser
from benchmarks.contestants import OURS, PEERS
from benchmarks.report import Options, Report, table

SCENARIOS = (
    "drain",
    "live",
    "enqueue",
    "latency",
    "schedule",
    "io",
    "mixed",
    "cpu",
    "memory",
    "scale",
    "overhead",
)


def main() -> int:
    """Run a scenario, or all; return 1 where one contestant did not do its work."""
    asked = _arguments()
    # So that a benchmark which is stopped leaves no worker and no server behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    options = Options(
        peers=(OURS, *(peer for peer in asked.peers if peer != OURS)),
        jobs=asked.jobs,
        rounds=asked.rounds,
        append_only=asked.aof,
        json=asked.json,
    )
    names = SCENARIOS if asked.name == "all" else (asked.name,)
    reports = [_run(name, options) for name in names]
    if asked.json:
        asked.json.write_text(
            json.dumps([_as_json(each) for each in reports], indent=1)
        )
    if asked.name == "all":
        failed = sum(1 for report in reports if report.problems)
        print(f"bench=all scenarios={len(reports)} failed={failed}")
    return 1 if any(report.problems for report in reports) else 0


def _run(name: str, options: Options) -> Report:
    report: Report = importlib.import_module(f"benchmarks.scenarios.{name}").run(
        options
    )
    print(table(report.rows))
    for problem in report.problems:
        print(f"bench: {problem}", file=sys.stderr)
    print(report.last_line(), flush=True)
    return report


def _as_json(report: Report) -> dict[str, object]:
    return {
        "bench": report.name,
        **report.line,
        "rows": report.rows,
        "problems": report.problems,
        "machine": platform.platform(),
        "python": platform.python_version(),
    }


def _arguments() -> argparse.Namespace:
    asked = parser("scripts/bench", "Measure Headway beside its peers.")
    asked.add_argument("name", choices=(*SCENARIOS, "all"))
    asked.add_argument("--jobs", type=number, metavar="N")
    asked.add_argument("--rounds", type=number, metavar="N")
    asked.add_argument(
        "--peers",
        type=_peers,
        default=tuple(PEERS),
        metavar="a,b",
        help=f"some of: {', '.join(PEERS)} (headway is always there)",
    )
    asked.add_argument("--aof", action="store_true", help="append-only every second")
    return asked.parse_args()


def _peers(text: str) -> tuple[str, ...]:
    asked = tuple(text.split(","))
    if unknown := [peer for peer in asked if peer not in PEERS]:
        raise argparse.ArgumentTypeError(
            f"no contestant {', '.join(unknown)}; there are: {', '.join(PEERS)}"
        )
    return asked


if __name__ == "__main__":
    sys.exit(main())
