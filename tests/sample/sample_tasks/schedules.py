from __future__ import annotations

from headway import Every, Schedule
from sample_tasks.basic import add

schedules = [Schedule("sum", Every(minutes=1), add.message(1, 2))]
