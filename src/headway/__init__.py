"""Background jobs that start on RQ and are never stuck there."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headway.app import App, load_app
    from headway.cron import Cron
    from headway.delivery import RunningJob, current_job
    from headway.errors import Interrupted
    from headway.flow import Flow, chain, chord, group, workflow
    from headway.job import Job, JobInfo, JobStatus, Progress
    from headway.message import Message
    from headway.middleware import Middleware
    from headway.options import Options, Unique
    from headway.queue import Queue
    from headway.reference import Failure, previous
    from headway.repeat import Repeat
    from headway.resource import Resource, injected
    from headway.retry import Backoff, Retry, exponential, fixed
    from headway.schedule import Schedule
    from headway.solar import Solar
    from headway.task import AsyncTask, Task
    from headway.timing import At, Every
    from headway.worker import Worker
    from headway.workflows import Workflow, WorkflowInfo

#: Where each public name lives; it is imported when it is first used.
_HOMES = {
    "App": "app",
    "AsyncTask": "task",
    "At": "timing",
    "Backoff": "retry",
    "Cron": "cron",
    "Every": "timing",
    "Failure": "reference",
    "Flow": "flow",
    "Interrupted": "errors",
    "Job": "job",
    "JobInfo": "job",
    "JobStatus": "job",
    "Message": "message",
    "Middleware": "middleware",
    "Options": "options",
    "Progress": "job",
    "Queue": "queue",
    "Repeat": "repeat",
    "Resource": "resource",
    "Retry": "retry",
    "RunningJob": "delivery",
    "Schedule": "schedule",
    "Solar": "solar",
    "Task": "task",
    "Unique": "options",
    "Worker": "worker",
    "Workflow": "workflows",
    "WorkflowInfo": "workflows",
    "chain": "flow",
    "chord": "flow",
    "current_job": "delivery",
    "exponential": "retry",
    "fixed": "retry",
    "group": "flow",
    "injected": "resource",
    "load_app": "app",
    "previous": "reference",
    "workflow": "flow",
}

__all__ = [
    "App",
    "AsyncTask",
    "At",
    "Backoff",
    "Cron",
    "Every",
    "Failure",
    "Flow",
    "Interrupted",
    "Job",
    "JobInfo",
    "JobStatus",
    "Message",
    "Middleware",
    "Options",
    "Progress",
    "Queue",
    "Repeat",
    "Resource",
    "Retry",
    "RunningJob",
    "Schedule",
    "Solar",
    "Task",
    "Unique",
    "Worker",
    "Workflow",
    "WorkflowInfo",
    "chain",
    "chord",
    "current_job",
    "exponential",
    "fixed",
    "group",
    "injected",
    "load_app",
    "previous",
    "workflow",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'headway' has no attribute {name!r}")
    return getattr(importlib.import_module(f"headway.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
