"""What runs by itself: one job a second, in a queue that is seldom served."""

from __future__ import annotations

from headway import Every, Schedule
from worker_tasks import short

schedules = [Schedule("tick", Every(seconds=1), short.using(queue="high").message("t"))]
