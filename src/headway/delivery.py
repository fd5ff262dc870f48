"""A job that an engine hands over to be run, as its worker and its own code see it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

import msgspec

from headway import commits
from headway.errors import ArgumentError, ConfigurationError, TaskTimeoutError
from headway.flow import Flow, Step, chain, chord, grouped
from headway.job import LONGEST_LOG_LINE, Progress
from headway.resource import Resource, Resources
from headway.retry import Retry
from headway.task import DefinedTask

T = TypeVar("T")

#: A checkpoint travels with its job at every attempt, in bytes of JSON.
LARGEST_CHECKPOINT = 64 * 1024

#: Set by an attempt for as long as it runs.
current: ContextVar[RunningJob | None] = ContextVar("headway_job", default=None)


class SavesNotes(Protocol):
    """Keeps what a running job says of itself."""

    def save_progress(self, progress: Progress) -> None:
        """Save how far it has come; the last one is what counts."""
        ...

    def save_log(self, line: str) -> None:
        """Save a line of its log."""
        ...

    def save_checkpoint(self, checkpoint: object) -> None:
        """Save its place, in JSON's own types, before this returns.

        Raises:
            LeaseLostError: another worker has the job now.
        """
        ...

    def incarnation(self) -> str:
        """Return what tells the job from others that have had its id.

        Raises:
            LeaseLostError: another worker has the job now.
        """
        ...


# Not frozen: one is made for every job, and freezing doubles what that costs.
@dataclass(slots=True, kw_only=True)
class Delivery:
    """What an engine hands over: a job to be run once, here."""

    job_id: str
    task: DefinedTask[Any, Any]
    queue: str
    args: Sequence[object]
    kwargs: Mapping[str, object]
    #: Counted from 1.
    attempt: int
    retry: Retry | None
    expires_at: datetime | None
    notes: SavesNotes
    #: How often the job was given to a worker, this time included.
    fence: int = 1
    #: What an earlier attempt has saved of its place, in JSON's own types.
    checkpoint: object = None
    #: What the engine raises into a task that runs too long.
    timeouts: tuple[type[BaseException], ...] = ()
    #: What is made of them: the engine's own code may want to know it again.
    timeout_error: type[TaskTimeoutError] = TaskTimeoutError
    #: Raises one of `interrupts` for a returned value that is the engine's own word.
    inspect: Callable[[object], None] | None = None
    #: What the worker raises for reasons of its own: it goes through untouched.
    interrupts: tuple[type[BaseException], ...] = ()
    #: The workflow that it is a node of; empty for none.
    workflow: str = ""
    #: Those of its jobs whose results its arguments are made of.
    waited_for: Sequence[str] = ()
    #: Key of the lease and what that says of the job, where another may take it.
    lease: tuple[str, str] = ("", "")
    #: What it has asked to be sent in the place of its result.
    growth: Flow[Any] | None = None

    def grow(self) -> None:
        """Send what it has asked for.

        Raises:
            LeaseLostError: another worker has the job now.
            EnqueueError: the store did not confirm.
        """
        if self.growth is not None:
            self.task.sender.grow_workflow(
                self.growth, self.workflow, self.job_id, self.lease
            )

    def about(self) -> dict[str, Any]:
        """Return what every event of this attempt says."""
        return {
            "job_id": self.job_id,
            "task": self.task.name,
            "queue": self.queue,
            "attempt": self.attempt,
        }


class RunningJob:
    """The job that this code is the running of; see `current_job`."""

    __slots__ = ("_delivery", "_resources")

    def __init__(self, delivery: Delivery, resources: Resources) -> None:
        self._delivery = delivery
        self._resources = resources

    @property
    def id(self) -> str:
        """Return the job's id; the same in every attempt."""
        return self._delivery.job_id

    @property
    def task(self) -> str:
        """Return the task's name."""
        return self._delivery.task.name

    @property
    def queue(self) -> str:
        """Return the name of the queue that the job waited in."""
        return self._delivery.queue

    @property
    def attempt(self) -> int:
        """Return the number of this run, counted from 1."""
        return self._delivery.attempt

    def progress(self, done: float, total: float, note: str = "") -> None:
        """Say how far the job has come; `Job.progress` reads it.

        Raises:
            TypeError: these are no numbers.
            ValueError: they are not finite.
        """
        made = Progress(done=_number(done), total=_number(total), note=str(note))
        self._delivery.notes.save_progress(made)

    def checkpoint(self, place: object) -> None:
        """Save how far the work is done, for an attempt that takes it up from there.

        It is kept when this returns, whatever becomes of the worker afterwards. At most
        64 KiB as JSON: what is larger belongs into a store of your own.

        Raises:
            ArgumentError: it cannot be written as JSON, or is too large.
            LeaseLostError: another worker has the job: this run is for nothing.
        """
        try:
            written = msgspec.json.encode(place)
        except (TypeError, ValueError, OverflowError) as error:
            raise ArgumentError(
                f"{self.task}: checkpoint({place!r:.80}) cannot be written as JSON: "
                f"{error}"
            ) from error
        if len(written) > LARGEST_CHECKPOINT:
            raise ArgumentError(
                f"{self.task}: checkpoint() of {len(written)} bytes, at most "
                f"{LARGEST_CHECKPOINT} are kept: keep it in a store of your own, and "
                "save here where it is"
            )
        plain = msgspec.json.decode(written)
        self._delivery.notes.save_checkpoint(plain)
        self._delivery.checkpoint = plain

    @property
    def last_checkpoint(self) -> Any:  # noqa: ANN401 - whatever the task has saved
        """Return the last checkpoint in JSON's own types, of this attempt or another.

        None where nothing was saved.
        """
        return self._delivery.checkpoint

    def log(self, line: str) -> None:
        """Keep a line with the job; `Job.info().log` has the last hundred."""
        self._delivery.notes.save_log(line[:LONGEST_LOG_LINE])

    def fan_out(
        self,
        members: Iterable[Step] | Flow[list[Any]],
        then: Step | None = None,
        *,
        limit: int | None = None,
    ) -> None:
        """Have messages run side by side when this job has ended, and then one more.

        They become part of its workflow: what waits for this job waits for them, and
        gets what `then` returns, or the list of results without it. They are sent when
        the task returns, once, however often it is run; not at all when it raises.

        Raises:
            ConfigurationError: the job is part of no workflow, has asked for others
                before, or one is no message, no task and no flow.
        """
        if not self._delivery.workflow:
            raise ConfigurationError(
                f"{self.task}: fan_out() is for jobs of a workflow: send it as "
                "workflow(message).enqueue()"
            )
        if self._delivery.growth is not None:
            raise ConfigurationError(
                f"{self.task}: fan_out() a second time: give it all in one call"
            )
        several = grouped("fan_out", members, limit)
        self._delivery.growth = chain(several) if then is None else chord(several, then)

    @property
    def fence(self) -> int:
        """Return a number that is greater each time that the job is given to a worker.

        A store that refuses a smaller one than it has seen is safe from a run that was
        taken for dead.
        """
        return self._delivery.fence

    def commit(self, connection: object) -> bool:
        """Have this run's writes be kept once; call it first in their transaction.

        Tells whether they are this run's to make: False when another run of the job has
        committed, and there is nothing left to do. A row of the table `headway_commits`
        says so; the table is made where it is missing. While another run's transaction
        is under way, this waits for its end.

        Takes an open connection of psycopg, sqlite3, Django or SQLAlchemy, or a session
        of the latter.

        Raises:
            LeaseLostError: another worker has the job: let the transaction roll back.
            ConfigurationError: this is no connection, or no transaction is under way.
        """
        key = f"{self.id}:{self._delivery.notes.incarnation()}"
        is_ours = commits.claim(connection, key, self.fence)
        self._delivery.notes.incarnation()  # it may have waited, and lost the lease
        return is_ours

    async def commit_async(self, connection: object) -> bool:
        """Do what `commit` does, on a connection whose calls are awaited.

        Raises:
            LeaseLostError: another worker has the job: let the transaction roll back.
            ConfigurationError: this is no connection, or no transaction is under way.
        """
        key = f"{self.id}:{await asyncio.to_thread(self._delivery.notes.incarnation)}"
        is_ours = await commits.claim_async(connection, key, self.fence)
        await asyncio.to_thread(self._delivery.notes.incarnation)
        return is_ours

    def resource(self, resource: Resource[T]) -> T:
        """Return what the resource yields, opened if nobody has asked before.

        Raises:
            ResourceError: it was opened before this process was forked, or is empty.
            Exception: what its opening raised; the next job tries again.
        """
        return self._resources.get(resource)

    def __repr__(self) -> str:
        return f"<job {self.id}: {self.task}, attempt {self.attempt}>"


def _number(value: float) -> float:
    """Return a number as JSON has it, whichever kind of number it is.

    Raises:
        TypeError: it is none.
        ValueError: it is not finite.
    """
    number = value if type(value) is int else float(value)
    if not math.isfinite(number):
        raise ValueError(f"progress({value!r}): expected a finite number")
    return number


def current_job() -> RunningJob | None:
    """Return the job that runs here, or None outside of a worker."""
    return current.get()
