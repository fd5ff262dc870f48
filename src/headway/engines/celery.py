"""Celery's worker: `celery -A headway.engines.celery worker -Q gpu,default`.

Its messages name the job; the job itself is taken from Redis, under a lease. So Celery
retries nothing, keeps no results, and what it delivers twice is run once.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from types import FrameType
from typing import Any

from billiard.exceptions import TimeLimitExceeded
from celery import Celery, Task, signals
from celery.concurrency.base import BasePool
from celery.exceptions import Ignore, Retry
from celery.worker.request import Request
from kombu.entity import Exchange, Queue
from redis.exceptions import RedisError

from headway.app import App
from headway.backends.carried import RUN
from headway.backends.celery import EXCHANGE, KEY_PREFIX
from headway.engines.process import (
    SPARE,
    Process,
    grace,
    leave_at_last,
    loaded,
    said_plainly,
    served,
)
from headway.errors import ConfigurationError, HeadwayError
from headway.observe.log import set_up_logs
from headway.outcome import Failed, Retried
from headway.settings import Settings
from headway.worker.alarm import Alarm
from headway.worker.execute import Ending

log = logging.getLogger("headway.worker")

ENGINE = "celery"
#: Modules of pools in which a thread is a thread.
KINDS = ("prefork", "solo", "thread")


class Worker:
    """What the processes of one Celery worker have of ours."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.queues = served(app, ENGINE)
        #: Of this very process; a forked one has to make its own.
        self._process: Process | None = None
        self._lock = threading.Lock()
        self._pool: Any = None
        #: The module of that pool, as Celery has it.
        self._kind = "prefork"
        #: Of a child: how Celery has it end, and the signal by which it was told to.
        self._ends: Any = None
        self._told_to_end: int | None = None
        self._is_interrupted = False

    @property
    def process(self) -> Process:
        """Return what this process has, made at first use in it."""
        with self._lock:
            if self._process is None or self._process.pid != os.getpid():
                self._process = Process(
                    self.app, ENGINE, self.queues, in_threads=self._kind == "thread"
                )
                self._process.keep()
            return self._process

    def set_up(self, instance: Any, **_: object) -> None:  # noqa: ANN401 - Celery's
        """Learn what the command line says.

        Raises:
            SystemExit: a queue is not Celery's, or the pool will not do.
        """
        self._kind = instance.pool_cls.__module__.rpartition(".")[2]
        with said_plainly():
            wanted = list(instance.app.amqp.queues.consume_from)
            self.queues = served(self.app, ENGINE, wanted)
            if self._kind not in KINDS:
                raise ConfigurationError(
                    f"--pool={self._kind}: jobs are interrupted by signals and "
                    "threads, which it replaces; use one of prefork, solo, threads"
                )
        # A late one keeps a child waiting, so that nothing is fetched that it could not
        # begin. Where that is wanted it gains nothing: the lease keeps the job.
        JobTask.acks_late = instance.prefetch_multiplier == 1

    def begin(self, sender: Any, **_: object) -> None:  # noqa: ANN401 - Celery's
        """Serve all workers, from the process that Celery's own loop runs in."""
        self._pool = sender.pool
        if self._kind != "prefork":
            self.process.serve()  # its jobs run here, too
            return
        if self._process is None:
            self._process = Process(self.app, ENGINE, self.queues)
        self._process.serve()

    def begin_child(self, **_: object) -> None:
        """Be ready before the first job, in a process of the pool."""
        if isinstance(self.process.alarm, Alarm):
            signal.signal(signal.SIGUSR2, self._interrupt)

    def run(self, job_id: str) -> Ending | None:
        """Run a job in this process, which goes afterwards if it was told to."""
        if self._kind == "prefork" and self._ends is None:
            # Not earlier: Celery sets its own behind `begin_child`.
            for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP):
                self._ends = signal.signal(number, self._end_child)
        try:
            return self.process.carried.run(job_id)
        finally:
            if self._told_to_end is not None:
                self._end_child(self._told_to_end, None)

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        alarm = self.process.alarm
        if isinstance(alarm, Alarm):
            self._is_interrupted = True
            alarm.interrupt()

    def _end_child(self, number: int, frame: FrameType | None) -> None:
        """End, as Celery would at once: that would be taken for an error of the job."""
        if not self.process.carried.is_busy:
            self._ends(number, frame)
        elif self._is_interrupted:
            self._told_to_end = number
        # Otherwise it was sent to all processes, and this one has its grace.

    def stop(self, how: str = "Warm", **_: object) -> None:
        """Let running jobs end within the grace, then break them off."""
        left = grace() if how == "Warm" else 0.0
        timer = threading.Timer(left, self.break_off)
        timer.daemon = True
        timer.start()
        leave_at_last(left + SPARE, lambda: _children(self._pool))

    def break_off(self) -> None:
        """Have the jobs that run given back."""
        for pid in _children(self._pool):
            os.kill(pid, signal.SIGUSR2)
        if self._process is not None:
            self._process.carried.leave()

    def revoke(self, request: Any, **_: object) -> None:  # noqa: ANN401 - Celery's
        """Cancel a job as Celery was told to, or stop it where it runs."""
        try:
            self.app.job(request.id).cancel()
        except (HeadwayError, RedisError) as error:
            log.warning("job %s is revoked, and not canceled: %s", request.id, error)

    def end(self, **_: object) -> None:
        """Leave."""
        if self._process is not None and self._process.pid == os.getpid():
            self._process.close()
            self._process = None


class JobRequest(Request):
    """A message of Celery's that a worker was given."""

    def terminate(self, pool: object, signal: object = None) -> None:  # noqa: ARG002 - Celery's
        """Stop the job, and not the process that it runs in: that would be a crash."""
        _worker.revoke(self)

    def cancel(
        self,
        pool: object,  # noqa: ARG002 - Celery's
        signal: object = None,  # noqa: ARG002
        emit_retry: bool = True,  # noqa: ARG002, FBT002
    ) -> None:
        """Have the job given back: the whole worker leaves, and at once."""
        _worker.break_off()
        self._announce_cancelled(emit_retry=False)


class JobTask(Task):
    """A task of Celery's that runs the job its message names."""

    Request = JobRequest
    typing = False
    ignore_result = True
    acks_late = True
    max_retries = 0

    def run(self, *_args: object, **_kwargs: object) -> None:
        """Run it; how it ended is also told to Celery, for its log and events.

        Raises:
            Ignore: there is nothing to run, or it was stopped or given back.
            Retry: it failed, and is to run again.
            Exception: it failed.
        """
        match _worker.run(self.request.id):
            case None:
                raise Ignore
            case Retried(error=error, delay=delay):
                raise Retry(exc=error, when=delay.total_seconds())
            case Failed(error=error):
                raise error
            case _:
                pass

    def on_failure(
        self,
        exc: BaseException,
        task_id: str,
        args: object,  # noqa: ARG002 - Celery's
        kwargs: object,  # noqa: ARG002
        einfo: object,  # noqa: ARG002
    ) -> None:
        """Write that a job was killed for its time: nobody else could."""
        if isinstance(exc, TimeLimitExceeded):
            _worker.process.serve().has_overstayed(task_id, float(exc.args[0]))


def _children(pool: BasePool | None) -> list[int]:
    """Return the processes of a pool that has some."""
    processes = getattr(getattr(pool, "_pool", None), "_pool", None)
    return [each.pid for each in processes or () if hasattr(each, "pid")]


def _made(app: App, settings: Settings) -> Celery:
    names = [*app.registry.names(), RUN]
    made = Celery("headway", set_as_current=False, task_cls=JobTask)
    made.conf.update(
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # for as long as it is away
        task_reject_on_worker_lost=False,  # its lease tells, and counts the crash
        task_create_missing_queues=True,  # `set_up` says better what is wrong
        task_ignore_result=True,
        task_default_queue=served(app, ENGINE)[0],
        task_default_exchange=EXCHANGE,
        task_queues=_queues(app, settings),
        worker_prefetch_multiplier=1,
        worker_concurrency=settings.children or settings.web_concurrency,
        **_broker(settings),
    )
    for name in names:
        made.tasks.pop(name, None)  # Celery has a celery.map of its own
        made.register_task(type("JobTask", (JobTask,), {"name": name})())
    return made


def _set_up_logs(**_: object) -> None:
    set_up_logs(Settings.from_environment())


def _queues(app: App, settings: Settings) -> list[Queue]:
    names = served(app, ENGINE)
    if settings.broker_url:
        from headway.backends.celery_amqp import queue

        return [queue(name) for name in names]
    exchange = Exchange(EXCHANGE, type="direct")
    return [Queue(name, exchange, routing_key=name) for name in names]


def _broker(settings: Settings) -> dict[str, object]:
    if settings.broker_url:
        return {
            "broker_url": settings.broker_url,
            # RabbitMQ takes back what is not acknowledged for half an hour, and closes
            # the channel; the lease keeps the job, so that no other worker is given it.
            "broker_channel_error_retry": True,
            "worker_consumer": "headway.engines.celery_amqp:Consumer",
        }
    return {
        "broker_url": settings.redis_url,
        "broker_transport_options": {
            "global_keyprefix": KEY_PREFIX,
            "queue_order_strategy": "priority",  # as the queues are declared
        },
    }


with said_plainly():
    _worker = Worker(loaded())
    app = _made(_worker.app, Settings.from_environment())
if Settings.from_environment().log_format == "json":
    signals.setup_logging.connect(_set_up_logs)
signals.celeryd_after_setup.connect(_worker.set_up)
signals.worker_ready.connect(_worker.begin)
signals.worker_process_init.connect(_worker.begin_child)
signals.task_revoked.connect(_worker.revoke)
signals.worker_shutting_down.connect(_worker.stop)
signals.worker_process_shutdown.connect(_worker.end)
signals.worker_shutdown.connect(_worker.end)
