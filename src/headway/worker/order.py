"""In which order a worker asks its queues."""

from __future__ import annotations

import random
from collections.abc import Sequence

from headway.lease import Served
from headway.worker.plan import Order


class Ordering:
    """The order of the next reservation, by the strategy that was chosen."""

    def __init__(self, queues: Sequence[Served], order: Order) -> None:
        self._queues = tuple(queues)
        self._order = order

    @property
    def is_strict(self) -> bool:
        """Tell whether a batch may hold many jobs of one queue: no turns are taken."""
        return self._order == "default" or len(self._queues) == 1

    def next(self) -> tuple[Served, ...]:
        """Return the queues, the one to be asked first in front."""
        match self._order:
            case "random":
                return tuple(random.sample(self._queues, len(self._queues)))
            case "weighted":
                return tuple(sorted(self._queues, key=_drawn))
            case _:
                return self._queues

    def served(self, name: str) -> None:
        """Say from which queue jobs came: with round robin it is the last now."""
        if self._order == "round_robin":
            names = [queue.name for queue in self._queues]
            place = names.index(name) + 1
            self._queues = self._queues[place:] + self._queues[:place]


def _drawn(queue: Served) -> float:
    # Efraimidis and Spirakis 2006: the k-th smallest of such times is drawn k-th.
    return random.expovariate(queue.weight)
