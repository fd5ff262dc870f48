"""The application that the workers of these tests serve."""

from __future__ import annotations

from headway import App, Queue

app = App(
    queues=[Queue("high", weight=3), Queue("default"), Queue("one", prefetch=1)],
    tasks="worker_tasks",
)
