"""RQ's worker, made safe: it reads JSON alone, and runs the application's tasks alone.

`rq worker -w headway.Worker` and `RQ_WORKER_CLASS=headway.Worker rq worker` hand a
worker class RQ's own defaults (pickle, and `rq.job.Job`), since the command line
cannot know better. What they hand over in those places is not used.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

import rq
from rq.exceptions import DeserializationError
from rq.job import Job as RQJob
from rq.queue import Queue as RQQueue
from rq.serializers import JSONSerializer

from headway.app import App, load_app
from headway.errors import TaskNotAllowedError
from headway.settings import Settings
from headway.wire import client as wire_client

if TYPE_CHECKING:
    from redis import Redis

log = logging.getLogger("headway.worker")


class TrustedJob(RQJob):
    """A job that resolves names through the application, and imports nothing else."""

    app: ClassVar[App]

    @property
    def func(self) -> Callable[..., Any]:
        """Return the task of the name that travelled.

        Raises:
            TaskNotAllowedError: it may not run here; nothing was imported.
            UnknownTaskError: it leads to no function.
        """
        if self.instance is not None:
            raise TaskNotAllowedError(
                f"job {self.id} calls a method of an object that travelled with it: "
                "only functions may run"
            )
        task = self.app.registry.resolve(str(self.func_name))
        return cast("Callable[..., Any]", task)

    @property
    def success_callback(self) -> Any:  # noqa: ANN401 - as RQ has it
        """Return RQ's callback, if it is a function that may run."""
        return self._callback(self._success_callback_name)

    @property
    def failure_callback(self) -> Any:  # noqa: ANN401 - as RQ has it
        """Return RQ's callback, if it is a function that may run."""
        return self._callback(self._failure_callback_name)

    @property
    def stopped_callback(self) -> Any:  # noqa: ANN401 - as RQ has it
        """Return RQ's callback, if it is a function that may run."""
        return self._callback(self._stopped_callback_name)

    def _deserialize_data(self) -> None:
        try:
            super()._deserialize_data()  # type: ignore[no-untyped-call]
        except DeserializationError as error:
            raise DeserializationError(
                f"job {self.id} is not JSON, so nothing of it was read; RQ writes "
                "pickle unless told otherwise: send it with Queue(serializer='json')"
            ) from error

    def _callback(self, name: str | None) -> Callable[..., Any] | None:
        # A callback's name travels in the job as well: the same rule for it.
        return self.app.registry.resolve(name).function if name else None


class Worker(rq.Worker):
    """An RQ worker for one application, found by HEADWAY_APP."""

    def __init__(
        self,
        queues: Any,  # noqa: ANN401 - whatever RQ's commands pass
        name: str | None = None,
        connection: Redis | None = None,
        **options: Any,  # noqa: ANN401
    ) -> None:
        settings = Settings.from_environment()
        options["serializer"] = JSONSerializer
        # RQ makes a worker without queues only to look at one, as `rq info` does.
        if queues:
            self.app = load_app(settings.app)
            options["job_class"] = type("Job", (TrustedJob,), {"app": self.app})
            for queue in _names(queues):
                self.app.queue(queue)
        client = _client(connection, queues, settings)
        super().__init__(_names(queues), name=name, connection=client, **options)

    def work(self, *args: Any, **options: Any) -> bool:  # noqa: ANN401
        """Import the application's tasks and warm up, then serve until told to stop.

        The imports happen here, once, so that each job's process begins with them.
        """
        for module, error in self.app.registry.import_all().items():
            log.error(
                "%s does not import, its jobs will fail: %s: %s",
                module,
                type(error).__name__,
                error,
            )
        self._warm_up()
        return super().work(*args, **options)

    def _warm_up(self) -> None:
        served = set(self.queue_names())
        for hook in self.app.start_hooks:
            if hook.queue is None or hook.queue in served:
                hook.function()


def _names(queues: Any) -> list[str]:  # noqa: ANN401
    """Return names: RQ's queue objects carry the serializer of its command line."""
    several: Sequence[Any] = [queues] if isinstance(queues, str | RQQueue) else queues
    return [queue.name if isinstance(queue, RQQueue) else queue for queue in several]


def _client(connection: Redis | None, queues: Any, settings: Settings) -> Redis:  # noqa: ANN401
    if connection is None and not isinstance(queues, str):
        found = [queue.connection for queue in queues if isinstance(queue, RQQueue)]
        connection = found[0] if found else None
    if connection is None:
        return wire_client.connect(
            settings.redis_url or "", patience=wire_client.WORKER
        )
    return wire_client.with_patience(connection, wire_client.WORKER)
