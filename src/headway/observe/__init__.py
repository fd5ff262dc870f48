"""Read-only queries on RQ's own data, for the dashboard and for metrics.

Nothing here writes, cleans up or unpickles. RQ's `count` and `get_job_ids` sweep
their registries on the way, which may fail or drop jobs: a page that a person has
left open must not be what decides the fate of a job.
"""

from __future__ import annotations

from headway.observe.flow import Given, ends_workflow, failed_alone, is_workflow
from headway.observe.jobs import JobLine, JobPage, job, lines, recent_failures
from headway.observe.queues import QueueInfo, queue_names, queues
from headway.observe.registries import (
    REGISTRIES,
    job_ids,
    put_aside,
    size,
    waiting,
    waiting_ids,
)
from headway.observe.schedules import Unsent, unsent
from headway.observe.workers import WorkerInfo, workers
from headway.wire.reading import Reading

__all__ = [
    "REGISTRIES",
    "Given",
    "JobLine",
    "JobPage",
    "QueueInfo",
    "Reading",
    "Unsent",
    "WorkerInfo",
    "ends_workflow",
    "failed_alone",
    "is_workflow",
    "job",
    "job_ids",
    "lines",
    "put_aside",
    "queue_names",
    "queues",
    "recent_failures",
    "size",
    "unsent",
    "waiting",
    "waiting_ids",
    "workers",
]
