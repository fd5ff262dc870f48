"""The application: its engine, and its queues in order of urgency."""

from __future__ import annotations

from datetime import timedelta

from headway import App, Queue

app = App(
    queues=[
        Queue("high"),
        Queue("default"),
        Queue("low"),
        Queue("gpu", timeout=timedelta(hours=1)),
    ],
    engine="rq",
    tasks="tasks",
)
high, default, low, gpu = app.queues
