"""The exact points of a job's life at which it can be made to cost its process."""

from __future__ import annotations

#: Where a job is given to a child, in order: what stands between store and task.
FETCH_POINTS = (
    "reserved",  # the store says that it runs, the child has not looked at it
    "held",  # the slot says that it is the child's, not that it has begun
    "begun",  # the slot says that it has begun, the task has not
)
#: In the order of a job's life.
POINTS = (
    *FETCH_POINTS,
    "in_task",
    "returned",  # the task has, nothing says so
    "noted",  # the slot says so, the store does not
    "sent",  # both say so
    "cleared",  # the store says so, the slot is free for the next
)
#: Where RQ's own code writes the outcome, as of jobs that fail.
COMMIT_POINTS = ("before_commit", "after_commit")
#: Where a worker of RQ's own gives a job to its work-horse, in order.
STOCK_POINTS = (
    "popped",  # out of the queue's list
    "registered",  # in the registry of started jobs
    "forked",  # the work-horse lives, and has written nothing
)


def victim(point: str, times: int, number: str) -> str:
    """Return the id of a job that costs its process so many times at that point."""
    return f"v-{point}-{times}-{number}"


def is_due(job_id: str, point: str) -> int:
    """Return how often the job is to cost its process at that point."""
    kind, _, rest = job_id.partition("-")
    if kind != "v":
        return 0
    wanted, times, _ = rest.split("-", 2)
    return int(times) if wanted == point else 0
