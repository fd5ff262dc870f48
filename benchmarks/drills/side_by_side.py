"""Trials made at the same time, each in a process of its own.

A trial is told by its environment where its store is, so it needs one for itself.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from benchmarks.drills.tally import Tally
from benchmarks.drills.trial import Order, play

#: A fork has all modules loaded; nothing here has begun a thread when it is made.
_FORK = multiprocessing.get_context("fork")


def play_all(orders: Sequence[Order], at_once: int) -> Iterator[tuple[Order, Tally]]:
    """Make all trials, so many at once, and yield what each came to as it ends."""
    waiting = list(orders)[::-1]
    running: dict[Connection, tuple[Order, Any]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                order = waiting.pop()
                near, far = _FORK.Pipe(duplex=False)
                process = _FORK.Process(target=_play, args=(order, far))
                process.start()
                far.close()
                running[near] = (order, process)
            for ended in wait(list(running)):
                assert isinstance(ended, Connection)
                order, process = running.pop(ended)
                yield order, _told(ended, order)
                process.join()
    finally:
        for _order, process in running.values():
            process.terminate()  # it stops its workers and its server
        for _order, process in running.values():
            process.join()


def _play(order: Order, answer: Connection) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answer.send(play(order))


def _told(ended: Connection, order: Order) -> Tally:
    try:
        found: Tally = ended.recv()
    except EOFError:
        said = f"trial {order.number}: it broke off, see above"
        return Tally(trials=1, problems=[said])
    return found
