"""What a Celery application may tell its beat."""

from __future__ import annotations

from datetime import timedelta

from celery import Celery
from celery.schedules import crontab, schedule

app = Celery("sample_beat", broker="memory://")
app.conf.timezone = "Europe/Oslo"
app.conf.beat_schedule = {
    "nightly": {
        "task": "sample_tasks.basic.add",
        "schedule": crontab(minute=30, hour=3),
        "args": (1, 2),
        "options": {"queue": "low", "expires": 600, "priority": 5},
    },
    "office hours": {
        "task": "sample_tasks.basic.add",
        "schedule": crontab(minute="*/15", hour="9-16", day_of_week="mon-fri"),
        "kwargs": {"one": 1},
    },
    "on the hour": {
        "task": "sample_tasks.basic.add",
        "schedule": crontab(minute=0),
        "args": [1],
    },
    "twice a month": {
        "task": "sample_tasks.basic.add",
        "schedule": crontab(minute=0, hour=[6, 18], day_of_month="1,15"),
        "args": [1],
    },
    "each quarter": {
        "task": "sample_tasks.basic.add",
        "schedule": crontab(
            minute="5", hour="0", day_of_month="1", month_of_year="*/3"
        ),
        "args": [1],
    },
    "seconds": {"task": "sample_tasks.basic.add", "schedule": 30.0, "args": [1]},
    "span": {
        "task": "sample_tasks.basic.add",
        "schedule": timedelta(minutes=5),
        "args": [1],
    },
    "object": {
        "task": "sample_tasks.basic.add",
        "schedule": schedule(run_every=timedelta(hours=2)),
        "args": [1],
    },
    "friday the 13th": {
        "task": "sample_tasks.basic.add",
        "schedule": crontab(minute=0, hour=0, day_of_month=13, day_of_week="fri"),
        "args": [1],
    },
    "too fast": {"task": "sample_tasks.basic.add", "schedule": 0.5, "args": [1]},
    "gone": {"task": "sample_tasks.basic.gone", "schedule": 60.0},
    "elsewhere": {"task": "os.getpid", "schedule": 60.0},
    "no queue": {
        "task": "sample_tasks.basic.add",
        "schedule": 60.0,
        "args": [1],
        "options": {"queue": "celery"},
    },
    "no arguments": {"task": "sample_tasks.basic.add", "schedule": 60.0},
}
