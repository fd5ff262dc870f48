"""Celery's signals: those that come from the running of a task, or a worker's start."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from headway.shims.celery.lacking import nothing_else

log = logging.getLogger("headway.shims.celery")

Receiver = Callable[..., Any]


class Signal:
    """Calls whoever has connected."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._receivers: list[tuple[Receiver, object]] = []

    def connect(self, *args: Any, sender: object = None, **ignored: Any) -> Any:
        """Call a function each time, or each time that it is of one `sender`."""

        def connected(receiver: Receiver) -> Receiver:
            if all(receiver is not one for one, _ in self._receivers):
                self._receivers.append((receiver, sender))
            return receiver

        return connected(args[0]) if args else connected

    def send(self, sender: object, **named: Any) -> None:
        """Call all; what one of them raises is told in the log."""
        for receiver, wanted in self._receivers:
            if wanted is not None and sender is not wanted:
                continue
            try:
                receiver(signal=self, sender=sender, **named)
            except Exception:  # a receiver's mistake is not the task's
                log.exception("signal %s: %r raised", self.name, receiver)


task_prerun = Signal("task_prerun")
task_postrun = Signal("task_postrun")
task_success = Signal("task_success")
task_failure = Signal("task_failure")
task_retry = Signal("task_retry")
worker_process_init = Signal("worker_process_init")

__getattr__ = nothing_else(
    "signals",
    worker_ready="use worker_process_init",
    worker_init="use worker_process_init",
    worker_process_shutdown="close what is open in a resource: app.headway.resource",
    worker_shutdown="close what is open in a resource: app.headway.resource",
    before_task_publish="pass headers=... to apply_async",
    after_task_publish="subscribe: app.headway.subscribe(function, JobEnqueued)",
    task_received="subscribe: app.headway.subscribe(function, JobStarted)",
    task_revoked="subscribe: app.headway.subscribe(function)",
    setup_logging="LOG_FORMAT and LOG_LEVEL say how a worker logs",
    beat_init="`headway scheduler` sends what beat sent",
)
