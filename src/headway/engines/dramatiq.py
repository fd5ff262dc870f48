"""Dramatiq's worker: `dramatiq headway.engines.dramatiq --queues gpu default`.

Its messages name the job; the job itself is taken from Redis, under a lease. So none of
Dramatiq's own retries, times, ages and results is there, and what it delivers twice is
run once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from concurrent.futures import CancelledError
from threading import Thread
from typing import Any

from dramatiq import Actor, Broker, Message, Middleware, Worker, set_broker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import Retry
from dramatiq.middleware import CurrentMessage

from headway.app import App
from headway.backends.carried import RUN
from headway.backends.dramatiq import NAMESPACE
from headway.engines.process import Process, loaded, said_plainly, served
from headway.errors import ConfigurationError
from headway.outcome import Failed, Retried
from headway.settings import Settings
from headway.worker.carried import Carried
from headway.worker.execute import Ending

log = logging.getLogger("headway.worker")

ENGINE = "dramatiq"
#: For how long Dramatiq sleeps when there is nothing, at most, in milliseconds; its own
#: second would be how late a job is.
IDLE = 100
#: For how long Redis is waited for: Dramatiq hears no signal until all are up.
BOOTS = 10.0


class Jobs(Middleware):
    """What a process of Dramatiq's has of ours, from its begin to its end."""

    def __init__(self, app: App, *, is_pushed: bool) -> None:
        """Serve an application; its broker may push messages that nobody asks for."""
        self._app, self._is_pushed = app, is_pushed
        self._process: Process | None = None
        #: Where `async def` tasks run: one that waits in a thread hears nothing.
        self._loop = asyncio.new_event_loop()

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002
        """Be ready before the first job.

        Raises:
            SystemExit: it cannot be; Dramatiq would go on after any other exception.
        """
        try:
            queues = served(self._app, ENGINE, sorted(worker.consumer_whitelist or ()))
            self._process = Process(
                self._app, ENGINE, queues, in_threads=True, waits=BOOTS
            )
            self._process.keep()
            self._process.serve()
            Thread(
                target=self._loop.run_forever, name="headway-loop", daemon=True
            ).start()
        except ConfigurationError as error:
            log.critical("this worker cannot begin: %s", error)
            sys.exit(1)
        except Exception as error:  # whatever a start hook raises
            log.critical("this worker cannot begin: %s", error, exc_info=True)
            sys.exit(1)
        if "dramatiq_worker_timeout" not in os.environ:
            worker.worker_timeout = IDLE
        if self._is_pushed and "dramatiq_queue_prefetch" not in os.environ:
            # What RabbitMQ has pushed to a worker that hangs, no other is given.
            worker.queue_prefetch = worker.worker_threads

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002
        """Let running jobs end within the grace, then break them off."""
        if self._process is not None:
            self._process.let_end()

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002
        """Leave."""
        if self._process is not None:
            self._process.close()
            self._process = None

    def run(self, *_args: object, **_kwargs: object) -> None:
        """Run the job of a message; how it ended is also told to Dramatiq, for its log.

        Raises:
            Retry: it failed, and is to run again.
            Exception: it failed.
        """
        message = CurrentMessage.get_current_message()
        if message is None or self._process is None:
            return
        match self._ending(self._process.carried, message):
            case Retried(error=error, delay=delay):
                raise Retry(str(error), delay=int(delay.total_seconds() * 1000))
            case Failed(error=error):
                raise error
            case _:
                pass

    def _ending(self, carried: Carried, message: Message[Any]) -> Ending | None:
        if not carried.is_async(message.actor_name):
            return carried.run(message.message_id)
        running = carried.run_async(message.message_id)
        try:
            return asyncio.run_coroutine_threadsafe(running, self._loop).result()
        except CancelledError:  # it was given back
            return None


class InRedis(RedisBroker):
    """Dramatiq's broker, without its queues of delayed messages: those are ours."""

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue, and none beside it that a thread would have to look at."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)


def _made(app: App, settings: Settings) -> Broker:
    jobs = Jobs(app, is_pushed=bool(settings.broker_url))
    made = _broker(settings, [CurrentMessage(), jobs])
    queues = served(app, ENGINE)
    for name in queues:
        made.declare_queue(name)
    for name in [*app.registry.names(), RUN]:
        Actor(
            jobs.run,
            broker=made,
            actor_name=name,
            queue_name=queues[0],
            priority=0,
            options={},
        )
    return made


def _broker(settings: Settings, middleware: list[Any]) -> Broker:
    if settings.broker_url:
        from headway.engines.dramatiq_amqp import QuorumBroker

        return QuorumBroker(settings.broker_url, middleware)
    return InRedis(url=settings.redis_url, namespace=NAMESPACE, middleware=middleware)


with said_plainly():
    broker = _made(loaded(), Settings.from_environment())
set_broker(broker)
