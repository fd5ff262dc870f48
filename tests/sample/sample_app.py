"""The application that the suite's processes serve."""

from __future__ import annotations

from datetime import timedelta

from headway import App, Queue

app = App(
    queues=[
        Queue("high"),
        Queue("default"),
        Queue("low", timeout=timedelta(minutes=7)),
    ],
    tasks="sample_tasks",
)
high, default, low = app.queues
