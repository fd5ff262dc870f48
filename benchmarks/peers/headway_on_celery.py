"""Headway on Celery, with the options that Celery's own worker is given beside it."""

from __future__ import annotations

from benchmarks.peers.celery import _BARE
from benchmarks.peers.headway import _QUIET, FINISHED, STORED, app, bulk, sender
from benchmarks.setup import Setup

__all__ = ["FINISHED", "STORED", "app", "bulk", "sender"]

QUEUE = ("ZCARD", "headway:sent:default")
_WORKER = ("celery", "-A", "headway.engines.celery", "worker", *_BARE)
SETUPS = (
    Setup(
        name="headway on celery",
        command=(*_WORKER, "-P", "prefork", "-c", "2", "--prefetch-multiplier", "8"),
        settings="-P prefork -c 2, prefetch 8; results, leases, registries in Redis",
        uses=("overhead",),
        processes=2,
        environment={**_QUIET, "HEADWAY_ENGINE": "celery"},
    ),
    Setup(
        name="headway on celery, late",
        command=(*_WORKER, "-P", "prefork", "-c", "2"),
        settings="-P prefork -c 2, prefetch 1, acks late; results, leases in Redis",
        uses=("overhead, late",),
        processes=2,
        environment={**_QUIET, "HEADWAY_ENGINE": "celery"},
    ),
)
