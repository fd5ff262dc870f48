"""What the command lines of benchmarks and drills have in common."""

from __future__ import annotations

import argparse
from pathlib import Path


def parser(program: str, description: str) -> argparse.ArgumentParser:
    """Return a parser that knows what all of them know."""
    made = argparse.ArgumentParser(prog=program, description=description)
    made.add_argument("--json", type=file, metavar="FILE")
    return made


def file(text: str) -> Path:
    """Read where something is to be written when all is done.

    Raises:
        ArgumentTypeError: nothing can be: its folder is not there.
    """
    if not Path(text).absolute().parent.is_dir() or Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text!r}: expected a file in a folder")
    return Path(text)


def number(text: str) -> int:
    """Read a number that counts something.

    Raises:
        ArgumentTypeError: it is none, or below 1.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number above 0")
    return int(text)
