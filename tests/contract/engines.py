"""How the contract drives an engine: its real worker, and time that passes at once."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import multiprocessing
import os
import re
import signal
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from typing import Protocol

import rq
from redis import Redis
from rq.serializers import JSONSerializer

from headway import App, Worker
from headway.settings import Settings
from headway.testing import Harness
from headway.wire import keys

DEADLINE = 20
#: Seconds: whoever waits for a process leaves it the machine.
BETWEEN_LOOKS = 0.01
FORK = multiprocessing.get_context("fork")
QUEUES = ("high", "default", "low")


class Engine(Protocol):
    app: App
    tasks: ModuleType

    def work(self, *, leave: bool = False) -> None:
        """Run all that is due, in a worker of this engine; or until that has left."""

    def pass_time(self, time: timedelta) -> None:
        """Let that much time pass."""


class ShiftedClock:
    """The machine's clock, shifted: processes that are forked later see it, too."""

    def __init__(self, shift: timedelta = timedelta(0)) -> None:
        self.shift = shift

    def now(self) -> datetime:
        return datetime.now(UTC) + self.shift

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def shift_store_clock(app: App) -> None:
    """Let the scripts that say what schedules are due read a clock that tests move."""
    scripts = app.backend().timetable._scripts
    for script in (scripts.due_schedules, scripts.send_tick):
        moved = re.sub(rb"(redis\.)?call\('TIME'\)", b"shifted()", script.text)
        assert moved != script.text
        script.text = SHIFTED + moved
        script.sha = hashlib.sha1(script.text, usedforsecurity=False).hexdigest()


SHIFTED = b"""
local function shifted()
  local time = redis.call('TIME')
  return { time[1] + (redis.call('GET', 'shift') or 0), time[2] }
end
"""


class Memory:
    def __init__(self, harness: Harness, tasks: ModuleType) -> None:
        self.app, self.tasks, self._harness = harness.app, tasks, harness

    def work(self, *, leave: bool = False) -> None:
        self._harness.drain(raise_failures=False)

    def pass_time(self, time: timedelta) -> None:
        self._harness.clock.move(time)


class OnRedis:
    """RQ's data, worked on by real processes."""

    def __init__(self, app: App, tasks: ModuleType, url: str) -> None:
        self.app, self.tasks, self.url = app, tasks, url
        #: What its workers write of themselves.
        self.said = Path(os.environ["SAMPLE_LOG"]).with_name("said")
        self.clock = app.clock = ShiftedClock()
        self._started: list[BaseProcess] = []
        shift_store_clock(app)

    def work(self, *, leave: bool = False) -> None:
        has_left(self.worker(burst=True))

    def worker(self, *, burst: bool = False) -> BaseProcess:
        """Start a worker that goes on until it is told, or with `burst` is done."""
        process = FORK.Process(target=self._serve, args=[burst])
        process.start()
        self._started.append(process)
        return process

    def _serve(self, burst: bool) -> None:
        be_alone(self.said)
        with Redis.from_url(self.url) as client:
            made = self._made(client)
            made.work(burst=burst, logging_level="CRITICAL")

    def _made(self, client: Redis) -> rq.Worker:
        worker = Worker(QUEUES, connection=client)
        lease = Settings.from_environment().lease  # the commands have an option for it
        worker.plan = replace(worker.plan, lease=lease)
        return worker

    def pass_time(self, time: timedelta) -> None:
        self.clock.shift += time
        with Redis.from_url(self.url) as client:
            client.incrby("shift", round(time.total_seconds()))
            for queue in self.app.queues:
                key = keys.scheduled(queue.name)
                for job_id in client.zrange(key, 0, -1):
                    client.zincrby(key, -time.total_seconds(), job_id)
        for queue in self.app.queues:
            self.app.backend().promote(queue.name)

    def close(self) -> None:
        """End what is still there."""
        for process in self._started:
            end(process, signal.SIGKILL)


def be_alone(said: Path | str) -> None:
    """Make a forked process one of its own, which says what it says to a file."""
    os.setsid()  # it and what it starts are ended together
    tempfile.tempdir = str(Path(said).parent)
    with Path(said).open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    gc.freeze()  # drivers that other tests have open are not this worker's


def end(worker: BaseProcess, how: signal.Signals) -> None:
    """Tell a worker to leave, or kill it with all that it has started."""
    if how is signal.SIGKILL:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.pid, how)
        worker.join(DEADLINE)
    else:
        os.kill(worker.pid, how)
        has_left(worker)


def has_left(worker: BaseProcess) -> None:
    """Wait until a worker has left, and hold that it did so well."""
    worker.join(DEADLINE)
    assert worker.exitcode == 0


class Stock(OnRedis):
    """The same data, and RQ's own worker with `-S json`."""

    def _made(self, client: Redis) -> rq.Worker:
        return rq.Worker(QUEUES, connection=client, serializer=JSONSerializer)
