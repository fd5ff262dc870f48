"""The application that a worker under the drill serves: its children can be trapped."""

from __future__ import annotations

import os

from benchmarks.drills import traps
from headway import App, Queue

NAMES = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")

app = App(
    queues=[Queue(name) for name in NAMES],
    tasks="benchmarks.drills.tasks",
    redis_url=os.environ["DRILL_REDIS"],
)
traps.set_up()
