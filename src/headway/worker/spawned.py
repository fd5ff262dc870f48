"""A child that is a program of its own: `python -m headway.worker.spawned`.

Its parent tells it by its standard input what it is. The parent is trusted: it is the
supervisor of the same user, on the other end of an unnamed pipe.
"""

from __future__ import annotations

import os
import pickle
import sys

from redis import ConnectionPool, Redis

from headway.worker.child import begin
from headway.worker.slot import Slot


def main() -> int:
    """Read what to be from standard input, and be it."""
    told, kwargs = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own parent
    start, descriptor, parent, connection_class = told

    def connect() -> Redis:
        pool = ConnectionPool(connection_class=connection_class, **kwargs)
        return Redis.from_pool(pool)

    with open(os.devnull) as nothing:  # noqa: PTH123 - a descriptor is wanted
        os.dup2(nothing.fileno(), 0)
    return begin(start, connect, Slot(descriptor), parent)


if __name__ == "__main__":
    sys.exit(main())
