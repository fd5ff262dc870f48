"""What runs by itself, and when."""

from __future__ import annotations

from headway import Cron, Schedule
from tasks.ingest import ingest

schedules = [
    Schedule("reread-packages", Cron("0 3 * * *", zone="UTC"), ingest.message(None)),
]
