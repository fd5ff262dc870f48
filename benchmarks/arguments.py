"""What the command lines of benchmarks and drills have in common."""

from __future__ import annotations

import argparse
from pathlib import Path


def parser(program: str, description: str) -> argparse.ArgumentParser:
    """Return a parser that knows what all of them know."""
    made = argparse.ArgumentParser(prog=program, description=description)
    made.add_argument("--json", type=Path, metavar="FILE")
    return made


def number(text: str) -> int:
    """Read a number that counts something.

    Raises:
        ArgumentTypeError: it is none, or below 1.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number above 0")
    return int(text)
