"""Headway on Dramatiq, with the options that its own worker is given beside it."""

from __future__ import annotations

from benchmarks.peers.headway import _QUIET, FINISHED, STORED, app, bulk, sender
from benchmarks.setup import Setup

__all__ = ["FINISHED", "STORED", "app", "bulk", "sender"]

QUEUE = ("ZCARD", "headway:sent:default")
_WORKER = ("dramatiq", "-p", "1", "-t", "2", "--skip-logging")
SETUPS = (
    Setup(
        name="headway on dramatiq",
        command=(*_WORKER, "headway.engines.dramatiq"),
        settings="-p 1 -t 2; results, leases, registries in Redis",
        uses=("overhead",),
        environment={**_QUIET, "HEADWAY_ENGINE": "dramatiq"},
    ),
)
