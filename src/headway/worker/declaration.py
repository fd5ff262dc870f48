"""What `queues.py` declares, read in a process of its own.

A worker's parent imports no user code, yet has to know the queues before it begins.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headway.app import load_app
from headway.errors import ConfigurationError, HeadwayError
from headway.lease import Served
from headway.options import check_queue
from headway.worker.pace import MOST


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A queue, as far as a worker's parent has to know it."""

    name: str
    prefetch: int | None
    weight: int
    device: str | None
    engine: str

    def served(self) -> Served:
        """Return how a child serves it."""
        prefetch = self.prefetch or (1 if self.device else MOST)
        return Served(name=self.name, prefetch=prefetch, weight=self.weight)


def declared(app: str, wanted: Sequence[str] = ()) -> list[Declared]:
    """Return the queues that a worker is to serve; all of them if none is named.

    Raises:
        UnknownQueueError: one is not declared.
        ConfigurationError: the application cannot be imported.
    """
    queues = {queue["name"]: Declared(**queue) for queue in _asked(app)}
    for name in wanted:
        check_queue(app, name, queues)
    return [queues[name] for name in dict.fromkeys(wanted or queues)]


def _asked(app: str) -> list[dict[str, Any]]:
    ears, mouth = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(ears)
            with os.fdopen(mouth, "w") as pipe:
                json.dump(_told(app), pipe)
        finally:
            os._exit(0)
    os.close(mouth)
    with os.fdopen(ears) as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    answer = json.loads(text or "{}")
    if "queues" not in answer:
        raise ConfigurationError(answer.get("error", f"{app} ends its process"))
    queues: list[dict[str, Any]] = answer["queues"]
    return queues


def _told(app: str) -> dict[str, Any]:
    try:
        found = load_app(app)
    except HeadwayError as error:
        return {"error": str(error)}
    except SystemExit as leaving:
        return {"error": f"{app} exits with {leaving.code!r} when it is imported"}
    return {
        "queues": [
            {
                "name": queue.name,
                "prefetch": queue.prefetch,
                "weight": queue.weight,
                "device": queue.device,
                "engine": queue.engine or found.engine,
            }
            for queue in found.queues
        ]
    }
