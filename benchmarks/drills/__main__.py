"""Do to a worker what may happen to it: see scripts/drill."""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import get_args

from benchmarks.drills import kills
from benchmarks.drills.crew import Kind
from benchmarks.drills.tally import Tally
from benchmarks.environments import CannotRunError

DRILLS = {"kills": kills.run}
_SHOWN = 20


def main() -> int:
    """Run a drill; return 1 where something was lost, or done twice."""
    asked = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # nothing is left running
    options = kills.Options(
        trials=asked.trials, seed=asked.seed, queues=asked.queues, worker=asked.worker
    )
    print(f"drill: seed {asked.seed}", file=sys.stderr)
    try:
        found = DRILLS[asked.name](options)
    except CannotRunError as error:
        print(f"drill: {error}", file=sys.stderr)
        return 1
    _say(found)
    if asked.json:
        asked.json.write_text(json.dumps({"seed": asked.seed, **asdict(found)}))
    print(found.last_line(asked.name), flush=True)
    return 1 if found.problems else 0


def _say(found: Tally) -> None:
    for problem in found.problems[:_SHOWN]:
        print(f"drill: {problem}", file=sys.stderr)
    if len(found.problems) > _SHOWN:
        print(f"drill: and {len(found.problems) - _SHOWN} more", file=sys.stderr)
    print(
        f"{len(found.back)} jobs ran again, half of them within "
        f"{found.back_at(0.5):.3f} s; {found.blamed} were failed since they had cost "
        "three children",
        file=sys.stderr,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/drill", description="Do to a worker what may happen to it."
    )
    parser.add_argument("name", choices=DRILLS)
    parser.add_argument("--trials", type=_number, default=1000, metavar="N")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument(
        "--queues",
        type=lambda text: tuple(map(_number, text.split(","))),
        default=(1, 2, 4),
        metavar="1,2,4",
        help="with how many queues workers are tried, one after another",
    )
    parser.add_argument("--worker", choices=get_args(Kind), default="headway")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def _number(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError
    return number


if __name__ == "__main__":
    sys.exit(main())
