"""A child that is a program of its own, for what a forked process cannot use.

Its parent tells it by its standard input what it is. The parent is trusted: it is the
supervisor of the same user, on the other end of an unnamed pipe.
"""

from __future__ import annotations

import os
import pickle
import sys
from typing import NoReturn

from headway.observe.log import set_up_logs
from headway.settings import Settings
from headway.worker.process import begin, leave
from headway.worker.slot import Slot


def main() -> NoReturn:
    """Read what to be from standard input, and be it."""
    told = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own parent
    start, descriptor, parent, address = told
    with open(os.devnull) as nothing:  # noqa: PTH123 - a descriptor is wanted
        os.dup2(nothing.fileno(), 0)
    set_up_logs(Settings.from_environment())
    leave(begin, start, address, Slot(descriptor), parent)
