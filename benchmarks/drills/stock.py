"""RQ's own worker with points in it at which it ends itself: see traps."""

from __future__ import annotations

from typing import Any

import rq

from benchmarks.drills.traps import spring


class Worker(rq.Worker):
    """As RQ has it, but for the points."""

    def dequeue_job_and_maintain_ttl(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - RQ's
        """Take a job out of its queue."""
        taken = super().dequeue_job_and_maintain_ttl(*args, **options)
        if taken:
            spring("popped", taken[0].id)
        return taken

    def prepare_execution(self, job: rq.job.Job) -> Any:  # noqa: ANN401 - RQ's
        """Register that it runs."""
        execution = super().prepare_execution(job)
        spring("registered", job.id)
        return execution

    def main_work_horse(self, job: rq.job.Job, queue: rq.Queue) -> None:
        """Run it, in a process of its own."""
        spring("forked", job.id)
        super().main_work_horse(job, queue)
