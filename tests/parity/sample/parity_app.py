"""The application that serves what stock producers send."""

from __future__ import annotations

from headway import App, Queue

app = App(
    queues=[Queue("high"), Queue("default"), Queue("low")],
    tasks="own_tasks",
    # Plain functions from before, pickle among them, go on as they were.
    allow=["parity_tasks"],
    accept_pickle=True,
)
