"""Engines that carry RQ's data: their own worker programs, forked from this process."""

from __future__ import annotations

import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.process import BaseProcess
from types import ModuleType

import celery.bin.worker  # noqa: F401 - so that what is forked has it already
import dramatiq.cli
from celery.exceptions import SecurityWarning
from redis import Redis

from headway import App
from headway.wire import keys
from tests.contract.arq_workers import ArqWorker, Zygote
from tests.contract.engines import (
    BETWEEN_LOOKS,
    DEADLINE,
    QUEUES,
    OnRedis,
    be_alone,
    end,
)


class Carried(OnRedis):
    """Jobs as RQ keeps them, run by the worker of another engine."""

    def __init__(
        self, app: App, tasks: ModuleType, url: str, program: Callable[[], object]
    ) -> None:
        super().__init__(app, tasks, url)
        self._program = program

    def work(self, *, leave: bool = False) -> None:
        before = self._workers()
        worker, deadline = self.worker(), time.monotonic() + DEADLINE
        while self._workers() <= before or not self._is_done():
            assert time.monotonic() < deadline, "its jobs are not done in time"
            if not worker.is_alive():
                worker = self.worker()  # as whatever supervises it would do
            time.sleep(BETWEEN_LOOKS)
        # To be told to leave takes Celery and Dramatiq two seconds: few tests wait.
        end(worker, signal.SIGTERM if leave else signal.SIGKILL)

    def worker(self, *, burst: bool = False) -> BaseProcess:
        # Kombu closes in a fork what it finds open, and so here as well.
        self.app.backend().carrier.close()
        return super().worker(burst=burst)

    def pass_time(self, time: timedelta) -> None:
        super().pass_time(time)
        self.app.backend().relay(QUEUES)  # as a scheduler does

    def _serve(self, burst: bool) -> None:
        be_alone(self.said)
        sys.exit(self._program())

    def _workers(self) -> set[bytes]:
        with Redis.from_url(self.url) as client:
            return client.smembers(keys.WORKERS)

    def _is_done(self) -> bool:
        """Tell whether nothing is left that a worker would do."""
        with Redis.from_url(self.url) as client:
            pipeline = client.pipeline()
            pipeline.keys(f"{keys.LEASE_PREFIX}*")
            paused = {name.decode() for name in client.smembers(keys.PAUSED)}
            for queue in QUEUES:
                if queue not in paused:
                    pipeline.llen(keys.queue(queue))
                pipeline.zcard(keys.sent(queue))
                pipeline.zcount(keys.scheduled(queue), "-inf", time.time())
            left = pipeline.execute()
        return not any(left) and all(map(self.app.backend().carrier.is_empty, QUEUES))


class ByArq(Carried):
    """Those jobs, run by arq's worker, whose environment is another."""

    def __init__(self, app: App, tasks: ModuleType, url: str, zygote: Zygote) -> None:
        super().__init__(app, tasks, url, lambda: None)
        self._zygote = zygote

    def worker(self, *, burst: bool = False) -> ArqWorker:
        worker = self._zygote.fork(self.said, self.clock.shift)
        self._started.append(worker)
        return worker


def by_celery() -> object:
    from headway.engines.celery import app

    warnings.filterwarnings("ignore", category=SecurityWarning)  # in CI it is root
    options = ("--without-mingle", "--without-gossip", "--without-heartbeat")
    which = ("-n", f"{os.getpid()}@%h", "-Q", ",".join(QUEUES), "--concurrency", "1")
    app.worker_main(["worker", *which, *options])
    return 0


def by_dramatiq() -> object:
    words = ["headway.engines.dramatiq", "-Q", *QUEUES, "-p", "1", "-t", "1"]
    return dramatiq.cli.main(dramatiq.cli.make_argument_parser().parse_args(words))


PROGRAMS = {"celery": by_celery, "dramatiq": by_dramatiq}
