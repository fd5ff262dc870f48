"""Background jobs that start on RQ and are never stuck there."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headway.app import App, load_app
    from headway.attempt import RunningJob, current_job
    from headway.job import Job, JobInfo, JobStatus, Progress
    from headway.message import Message
    from headway.options import Options, Unique
    from headway.queue import Queue
    from headway.retry import Backoff, Retry, exponential, fixed
    from headway.schedule import Cron, Every, Schedule
    from headway.task import AsyncTask, Task
    from headway.worker import Worker

#: Where each public name lives; it is imported when it is first used.
_HOMES = {
    "App": "app",
    "AsyncTask": "task",
    "Backoff": "retry",
    "Cron": "schedule",
    "Every": "schedule",
    "Job": "job",
    "JobInfo": "job",
    "JobStatus": "job",
    "Message": "message",
    "Options": "options",
    "Progress": "job",
    "Queue": "queue",
    "Retry": "retry",
    "RunningJob": "attempt",
    "Schedule": "schedule",
    "Task": "task",
    "Unique": "options",
    "Worker": "worker",
    "current_job": "attempt",
    "exponential": "retry",
    "fixed": "retry",
    "load_app": "app",
}

__all__ = [
    "App",
    "AsyncTask",
    "Backoff",
    "Cron",
    "Every",
    "Job",
    "JobInfo",
    "JobStatus",
    "Message",
    "Options",
    "Progress",
    "Queue",
    "Retry",
    "RunningJob",
    "Schedule",
    "Task",
    "Unique",
    "Worker",
    "current_job",
    "exponential",
    "fixed",
    "load_app",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'headway' has no attribute {name!r}")
    return getattr(importlib.import_module(f"headway.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
