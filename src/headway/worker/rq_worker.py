"""`headway.Worker`: what RQ's commands make of a worker, handed to the supervisor.

`rq worker -w headway.Worker`, `RQ_WORKER_CLASS=headway.Worker rq worker` and
`rq worker-pool -w headway.Worker` hand a worker class RQ's own defaults (pickle, and
`rq.job.Job`), since they cannot know better: what they hand over in those places is not
used. Under them a worker is one child with one record, of the name that was given.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
from collections.abc import Generator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import click
from redis import Redis
from rq.logutils import setup_loghandlers
from rq.queue import Queue as RQQueue
from rq.serializers import JSONSerializer
from rq.worker import BaseWorker

from headway.errors import ConfigurationError
from headway.settings import Settings
from headway.wire import client as wire_client
from headway.worker.declaration import declared
from headway.worker.plan import Order, Plan
from headway.worker.serve import serve

#: What RQ's commands say that its own code, in a child, has to know.
_FOR_RQ = (
    "default_result_ttl",
    "exception_handlers",
    "disable_default_exception_handler",
    "log_job_description",
)


class Worker(BaseWorker):
    """An RQ worker for one application, found by HEADWAY_APP."""

    def __init__(
        self,
        queues: Any,  # noqa: ANN401 - whatever RQ's commands pass
        name: str | None = None,
        connection: Redis | None = None,
        **options: Any,  # noqa: ANN401 - likewise
    ) -> None:
        with _said_by_a_command():
            self._settings = Settings.from_environment()
        options["serializer"] = JSONSerializer
        options.pop("job_class", None)
        served = _names(queues)
        # RQ makes a worker without queues only to look at one, as `rq info` does.
        with _said_by_a_command():
            self.declared = declared(self._settings.app, served) if served else []
        self.plan = Plan(
            app=self._settings.app,
            name="",
            queues=tuple(each.served() for each in self.declared),
            log_events=True,
            rq_options={key: options[key] for key in _FOR_RQ if key in options},
        )
        client = _client(connection, queues, self._settings)
        super().__init__(served, name=name, connection=client, **options)

    def work(self, *args: Any, **options: Any) -> bool:  # noqa: ANN401 - as RQ has it
        """Serve until told to stop, or done; tell whether any job was run."""
        told = inspect.signature(BaseWorker.work).bind(self, *args, **options)
        told.apply_defaults()
        asked = told.arguments
        # RQ's command has set the level of its own logger, by -v and -q.
        level = asked["logging_level"] or logging.getLogger("rq.worker").level
        for name in ("rq.worker", "rq.job", "headway"):
            setup_loghandlers(
                level or logging.INFO, asked["date_format"], asked["log_format"], name
            )
        idle = asked["max_idle_time"]
        limits = replace(
            self.plan.limits,
            burst=asked["burst"],
            jobs=asked["max_jobs"],
            idle=None if idle is None else timedelta(seconds=idle),
        )
        strategy = asked["dequeue_strategy"]
        order = cast("Order", getattr(strategy, "value", strategy))
        with _said_by_a_command():
            return serve(
                replace(self.plan, name=self.name, limits=limits, order=order),
                self.declared,
                self.connection,
                settings=self._settings,
                children=self._settings.children or 1,
                most_devices=self._settings.children or 1,
                with_scheduler=asked["with_scheduler"],
            )

    def _set_connection(self, connection: Redis) -> Redis:
        return connection  # RQ would have each answer waited for for seven minutes


@contextlib.contextmanager
def _said_by_a_command() -> Generator[None]:
    """Have a mistake of its user told by RQ's command as such, without a traceback."""
    try:
        yield
    except ConfigurationError as error:
        if click.get_current_context(silent=True) is None:
            raise
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(1) from error  # RQ shows the traceback of anything else


def _names(queues: Any) -> list[str]:  # noqa: ANN401 - whatever RQ's commands pass
    """Return names: RQ's queue objects carry the serializer of its command line."""
    several: Sequence[Any] = [queues] if isinstance(queues, str | RQQueue) else queues
    return [queue.name if isinstance(queue, RQQueue) else queue for queue in several]


def _client(connection: Redis | None, queues: Any, settings: Settings) -> Redis:  # noqa: ANN401 - likewise
    if connection is None and not isinstance(queues, str):
        found = [queue.connection for queue in queues if isinstance(queue, RQQueue)]
        connection = found[0] if found else None
    if connection is None:
        return wire_client.connect(
            settings.redis_url or "", patience=wire_client.WORKER
        )
    return wire_client.with_patience(connection, wire_client.WORKER)
