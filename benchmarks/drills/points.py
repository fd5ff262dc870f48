"""The exact points of a job's life at which it can be made to cost its child."""

from __future__ import annotations

#: In the order of a job's life.
POINTS = (
    "reserved",  # the store says that it runs, the child has not looked at it
    "held",  # the slot says that it is the child's, not that it has begun
    "begun",  # the slot says that it has begun, the task has not
    "in_task",
    "returned",  # the task has, nothing says so
    "noted",  # the slot says so, the store does not
    "sent",  # both say so
    "cleared",  # the store says so, the slot is free for the next
)
#: Where RQ's own code writes the outcome, as of jobs that fail.
COMMIT_POINTS = ("before_commit", "after_commit")


def victim(point: str, times: int, number: int) -> str:
    """Return the id of a job that costs its child so many times at that point."""
    return f"v-{point}-{times}-{number}"


def is_due(job_id: str, point: str) -> int:
    """Return how often the job is to cost its child at that point."""
    kind, _, rest = job_id.partition("-")
    if kind != "v":
        return 0
    wanted, times, _ = rest.split("-")
    return int(times) if wanted == point else 0
