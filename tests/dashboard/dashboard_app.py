"""What `headway worker` loads in these tests."""

from __future__ import annotations

from headway import App, Queue

app = App(queues=[Queue("default")], tasks="dashboard_tasks")
