"""RQ's job as a worker of ours reads it: names lead to the application's tasks."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rq.defaults import DEFAULT_FAILURE_TTL
from rq.job import Job as RQJob
from rq.job import JobStatus
from rq.serializers import DefaultSerializer, JSONSerializer

from headway.app import App
from headway.errors import HeadwayError, UnreadableJobError
from headway.wire import job_hash, keys
from headway.wire.reading import text
from headway.worker import payload

if TYPE_CHECKING:
    from redis import Redis
    from redis.client import Pipeline

log = logging.getLogger("headway.worker")


def job_class_of(app: App) -> type[TrustedJob]:
    """Return the class of an application's jobs: RQ knows no other way to tell it."""
    return type("Job", (TrustedJob,), {"app": app})


class TrustedJob(RQJob):
    """A job that resolves names through the application, and imports nothing else."""

    app: ClassVar[App]
    #: Round the function itself: what comes after it may not be interrupted.
    interruptible: ClassVar[Any] = nullcontext
    #: Its commit has to write `meta` as well, which RQ's own leaves alone.
    meta_changed = False
    #: The run has ended well: it is not the next attempt that is scheduled, if any is.
    has_succeeded = False
    #: How its next run stands, in words: that of a job that repeats, and has failed.
    told_of_repeats = ""
    #: As they were when the run began: RQ's code counts down more than once where what
    #: it writes is refused.
    repeats_before: int | None = None
    #: The workflow that it is a node of; empty for none.
    workflow = ""

    @classmethod
    def of(cls, job_id: str, client: Redis, fields: dict[bytes, bytes]) -> TrustedJob:
        """Return the job that a hash holds, in whichever way it was serialized.

        Raises:
            UnreadableJobError: a field is not what RQ writes there.
        """
        raw = payload.unpacked(job_id, fields.get(b"data", b""))
        if cls.app.checks_signatures and cls.app.signer is not None:
            payload.check(cls.app.signer, job_id, raw, fields.get(b"meta"))
        pickled = payload.is_pickle(raw) and cls.app.accept_pickle
        serializer = DefaultSerializer if pickled else JSONSerializer
        job = cls(job_id, connection=client, serializer=serializer)
        try:
            job.restore(dict(fields))
            _ = job._dependency_id  # as RQ reads it when it writes the job's end
        except Exception as error:  # whatever was written there, a nest of brackets too
            raise UnreadableJobError(
                f"job {job_id}: a field of its hash is not what RQ writes: {error}"
            ) from error
        job.repeats_before = job.repeats_left
        job.workflow = text(fields.get(b"headway_workflow"))
        if not pickled:  # RQ keeps, as bytes, what it cannot read: it is for nobody
            job.meta = job_hash.json_object(fields.get(b"meta"))
        return job

    def _execute(self) -> object:
        with type(self).interruptible():
            return super()._execute()

    @property
    def func(self) -> Callable[..., Any]:
        """Return the task of the name that travelled.

        Raises:
            TaskNotAllowedError: it may not run here; nothing was imported.
            UnknownTaskError: it leads to no function.
        """
        if self.instance is not None:  # pickled: the application accepts it
            return cast(
                "Callable[..., Any]", getattr(self.instance, str(self.func_name))
            )
        name = str(self.func_name)
        task = self.app.registry.resolve(name)
        # A pickled call has its own types already, and its result keeps them.
        if self.serializer is DefaultSerializer and self.app.registry.is_plain(name):
            return task.function
        return cast("Callable[..., Any]", task)

    @property
    def success_callback(self) -> Any:  # noqa: ANN401 - as RQ has it
        """Return RQ's callback, if it is a function that may run; it cannot raise."""
        return self._harmless(self._success_callback_name)

    @property
    def failure_callback(self) -> Any:  # noqa: ANN401 - as RQ has it
        """Return RQ's callback, if it is a function that may run; it cannot raise."""
        try:
            return self._harmless(self._failure_callback_name)
        except HeadwayError as error:  # the job fails as it is
            log.error("job %s: its callback: %s", self.id, error)  # noqa: TRY400 - it says all
            return None

    @property
    def stopped_callback(self) -> Any:  # noqa: ANN401 - as RQ has it
        """Return RQ's callback, if it is a function that may run."""
        return self._callback(self._stopped_callback_name)

    def set_status(self, status: JobStatus, pipeline: Pipeline | None = None) -> None:
        """Set the status as part of a transaction, and never without one.

        RQ writes `scheduled` at once where a retry has an interval: a run that has
        lost its lease would. The transaction that follows writes it all the same.
        """
        self._status = status
        if pipeline is not None:
            super().set_status(status, pipeline)

    def _handle_failure(
        self,
        exc_string: str,
        pipeline: Pipeline,
        *about: Any,  # noqa: ANN401 - RQ's own signature
        **more: Any,  # noqa: ANN401
    ) -> None:
        super()._handle_failure(exc_string, pipeline, *about, **more)
        # RQ keeps the reason for ever, and the job for a year.
        if self.failure_ttl is None:
            pipeline.expire(keys.results(self.id), DEFAULT_FAILURE_TTL)

    def _deserialize_data(self) -> None:
        if self.serializer is DefaultSerializer:  # accepted by name, in `of`
            super()._deserialize_data()  # type: ignore[no-untyped-call]
            return
        raw = payload.unpacked(self.id, self.data)
        self._func_name, self._args, self._kwargs = payload.read(self.id, raw)
        self._instance = None

    def _harmless(self, name: str | None) -> Callable[..., None] | None:
        """Return a callback whose own failure is no failure of the job's."""
        callback = self._callback(name)
        if callback is None:
            return None

        def call(*about: object) -> None:
            if inspect.iscoroutinefunction(callback):
                log.error("job %s: %s is async, no callback may be", self.id, name)
                return
            try:
                callback(*about)
            except (Exception, SystemExit):  # a timeout, too
                log.exception("job %s: its callback %s failed", self.id, name)

        return call

    def _callback(self, name: str | None) -> Callable[..., Any] | None:
        # A callback's name travels in the job as well: the same rule for it.
        return self.app.registry.resolve(name).function if name else None


class UnreadJob(RQJob):
    """What `rq.get_current_job()` returns in a task: read when it is looked at."""

    def __init__(self, job_id: str, client: Redis) -> None:  # pylint: disable=super-init-not-called
        self._id = job_id
        self.connection = client

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any field of a job
        if name.startswith("__") or "created_at" in self.__dict__:
            raise AttributeError(name)
        super().__init__(self._id, self.connection, JSONSerializer)
        self.refresh()  # type: ignore[no-untyped-call]
        return getattr(self, name)
