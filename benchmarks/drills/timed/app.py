"""The application that schedulers under the drill serve."""

from __future__ import annotations

import os

from headway import App, Queue

#: Nothing is sent to the queue of those workers that are there for their scheduler.
TIMED, IDLE = "timed", "idle"

app = App(
    queues=[Queue(TIMED), Queue(IDLE)],
    tasks="benchmarks.drills.timed",
    redis_url=os.environ["DRILL_REDIS"],
)
