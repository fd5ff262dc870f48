"""The engines of the contract, each with the broker that it is run on."""

from __future__ import annotations

import pytest

#: Marks a test with the flags that it needs: an engine without one has to refuse it.
needs = pytest.mark.needs
#: In the order of the table. `stock` is RQ's own worker with `-S json`.
CELLS = (
    "memory",
    "rq",
    "stock",
    "celery-redis",
    "celery-rabbitmq",
    "dramatiq-redis",
    "dramatiq-rabbitmq",
    "arq",
)
#: Those whose workers are Headway's, or run its code: all but RQ's own.
OURS = tuple(cell for cell in CELLS if cell != "stock")
#: Those whose workers are processes.
REAL = CELLS[1:]
#: Those that carry the data of RQ by messages of their own.
CARRIED = CELLS[3:]
