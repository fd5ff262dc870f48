"""The task of the benchmarks, in a module that a worker could import."""

from __future__ import annotations


def work(number: int) -> int:
    """Do nothing, so that what is measured is the queue."""
    return number
