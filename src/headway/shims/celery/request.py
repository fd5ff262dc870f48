"""What a task knows of the call that it runs: `self.request`."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from headway.delivery import current_job

#: The argument of a job that says what Celery's headers said.
EXTRAS = "_celery"


class Context:
    """The call that runs; outside of one, what a call has when nothing is said."""

    args: Any = None
    kwargs: Any = None
    id: str | None = None
    task: str | None = None
    root_id: str | None = None
    parent_id: str | None = None
    group: str | None = None
    retries: int = 0
    is_eager = False
    called_directly = True
    eta: str | None = None
    expires: str | None = None
    hostname: str | None = None
    timelimit: Any = (None, None)
    callbacks: Any = None
    errbacks: Any = None
    headers: Any = None
    correlation_id: str | None = None
    ignore_result = False

    def __init__(self, **known: Any) -> None:
        self.delivery_info: dict[str, Any] = {}
        vars(self).update(known)

    def get(self, key: str, default: Any = None) -> Any:
        """Return what is known under a name."""
        return getattr(self, key, default)

    def update(self, **known: Any) -> None:
        """Know more."""
        vars(self).update(known)


#: The calls under way here, the innermost last, each with its task.
stack: ContextVar[tuple[tuple[Any, Context], ...]] = ContextVar("celery", default=())


def top() -> tuple[Any, Context] | None:
    """Return the task that runs here, and its call."""
    calls = stack.get()
    return calls[-1] if calls else None


def of_the_job(task: Any, args: Any, kwargs: Any, extras: dict[str, Any]) -> Context:
    """Return the call of the job that runs here."""
    job = current_job()
    if job is None:
        return Context(args=args, kwargs=kwargs)
    return Context(
        args=args,
        kwargs=kwargs,
        id=job.id,
        correlation_id=job.id,
        task=task.name,
        retries=job.attempt - 1,
        called_directly=False,
        delivery_info={"routing_key": job.queue, "exchange": "", "redelivered": None},
        timelimit=(task.time_limit, task.soft_time_limit),
        ignore_result=task.ignore_result,
        **{"root_id": job.id, "hostname": "headway", **extras},
    )
