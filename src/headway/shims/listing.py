"""What was made by a shim, and what else is there: each engine's own way to tell."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from headway.app import App
from headway.backends.memory import MemoryBackend
from headway.backends.rq import RQBackend
from headway.errors import CapabilityError
from headway.job import JobStatus
from headway.wire.made_as_rq_scheduler import MadeAsRQScheduler


class Listing(Protocol):
    """The ids of what was made as rq-scheduler makes it."""

    def note(self, made: str) -> None:
        """Remember one."""
        ...

    def forget(self, gone: Collection[str]) -> None:
        """Remember some no longer."""
        ...

    def ids(self) -> set[str]:
        """Return them all."""
        ...

    def withdraw(self, job_id: str) -> None:
        """Have rq-scheduler itself not send a job that it has."""
        ...

    def put_off(self, job_id: str, queue: str, until: datetime) -> bool:
        """Have a delayed job be due at another time; False where it is none any more.

        Raises:
            CapabilityError: the engine cannot.
        """
        ...


def listing_of(app: App) -> Listing:
    """Return the listing that an application's engine keeps.

    Raises:
        CapabilityError: it keeps none.
    """
    backend = app.backend()
    if isinstance(backend, RQBackend):
        client = backend.client
        return MadeAsRQScheduler(lambda: client)
    match backend:
        case MemoryBackend():
            return _InMemory(app, backend)
        case other:
            raise CapabilityError(
                f"headway.shims.rq_scheduler: the engine {other.engine!r} does not "
                "list what waits; use app.schedules and task.enqueue_at(...)"
            )


class _InMemory:
    """Whatever waits in this process: it is a test's, and all its own."""

    def __init__(self, app: App, backend: MemoryBackend) -> None:
        self._app, self._backend = app, backend

    def note(self, made: str) -> None: ...

    def forget(self, gone: Collection[str]) -> None: ...

    def withdraw(self, job_id: str) -> None: ...

    def ids(self) -> set[str]:
        delayed = (job for job in self._backend.jobs() if not job.attempt)
        return {info.name for info in self._app.schedules if not info.declared} | {
            job.id for job in delayed if job.status is JobStatus.SCHEDULED
        }

    def put_off(self, job_id: str, queue: str, until: datetime) -> bool:
        raise CapabilityError(
            f"the memory engine cannot put off job {job_id} of {queue!r} until "
            f"{until}: cancel it, and send it anew"
        )
