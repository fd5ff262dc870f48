"""The application that the workers of these tests serve."""

from __future__ import annotations

import os

from headway import App, Queue

SIGNED = {"no": False, "send": "send", "yes": True}

app = App(
    queues=[
        Queue("high", weight=3),
        Queue("default"),
        Queue("one", prefetch=1, engine=os.environ.get("WORKER_ENGINE_OF_ONE")),
    ],
    tasks="worker_tasks",
    signed=SIGNED[os.environ.get("WORKER_SIGNED", "no")],
)
