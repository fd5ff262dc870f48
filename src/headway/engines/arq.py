"""Arq's worker: `arq headway.engines.arq.gpu`, one for each queue, as is Arq's way.

`headway.engines.arq.WorkerSettings` is the worker of the first queue, and `python -m
headway.engines.arq gpu default` is one process with a worker for each of these queues.

Its messages name the job; the job itself is taken from Redis, under a lease. So Arq
takes no time and counts no tries, and what it delivers twice is run once.
"""

# Arq is in an environment of its own.
# pyright: reportMissingImports=false
from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
from asyncio import Future
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

from arq.connections import RedisSettings
from arq.worker import Function, Worker, func
from redis.asyncio.retry import Retry as Again
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from headway.app import App
from headway.backends.arq import job_id_of, queue
from headway.backends.carried import RUN
from headway.engines.process import (
    AGAIN,
    SPARE,
    Process,
    grace,
    leave_at_last,
    loaded,
    said_plainly,
    served,
)
from headway.errors import Interrupted
from headway.observe.log import set_up_logs
from headway.outcome import Failed
from headway.settings import Settings
from headway.worker.execute import Ending

ENGINE = "arq"
#: Jobs at once, where nothing says otherwise: Arq's own.
MOST = 10
#: Longer than a job may take by our own word, which is the one that counts.
LONGEST = timedelta(days=3650)
#: How often Arq asks for jobs, in seconds; its own half a second is how late they are.
POLL = 0.02
#: How often a connection is tried when it begins, by the second; for ever, to Arq.
TRIES = 1_000_000


class Jobs:
    """What runs the jobs of one process, whichever of its queues they come from."""

    def __init__(self, app: App, queues: Sequence[str], most: int) -> None:
        self._app, self._queues = app, queues
        self._threads = ThreadPoolExecutor(most * len(queues), "headway-job")
        self._process: Process | None = None
        self._users = 0

    async def begin(self, _context: dict[Any, Any]) -> None:
        """Be ready before the first job."""
        self._users += 1
        if self._process is None:
            self._process = Process(self._app, ENGINE, self._queues, in_threads=True)
            self._process.keep()
            self._process.serve()

    async def end(self, _context: dict[Any, Any]) -> None:
        """Leave, once no worker is there any more."""
        self._users -= 1
        if not self._users and self._process is not None:
            await asyncio.to_thread(self._process.close)
            self._process = None

    def functions(self) -> list[Function]:
        """Return what Arq is to call by the name of each task."""
        names = [*self._app.registry.names(), RUN]
        return [func(self._function(name), name=name) for name in names]

    def _function(self, task: str) -> Any:  # noqa: ANN401 - what Arq calls
        async def run(
            context: dict[str, Any], /, *_args: object, **_kwargs: object
        ) -> None:
            await self._run(task, context)

        return run

    async def _run(self, task: str, context: dict[str, Any]) -> None:
        if self._process is None:
            return
        own: str = context["job_id"]
        # By now: Arq keeps one whose worker died from all others for years.
        await context["redis"].zrem(context["queue"], own)
        carried, job_id = self._process.carried, job_id_of(own)
        if carried.is_async(task):
            ending = await carried.run_async(job_id)
        else:
            ending = await self._in_a_thread(job_id)
        if isinstance(ending, Failed):
            raise ending.error

    async def _in_a_thread(self, job_id: str) -> Ending | None:
        carried = self._process.carried if self._process else None
        if carried is None:
            return None
        loop = asyncio.get_running_loop()
        running: Future[Ending | None] = loop.run_in_executor(
            self._threads, carried.run, job_id
        )
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:  # Arq has waited for the grace
            while not running.done():
                for run in carried.runs_of(job_id):
                    carried.break_off(run, Interrupted)
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait([running], timeout=AGAIN)
            raise


def _settings(name: str, jobs: Jobs, most: int) -> dict[str, Any]:
    """Return what Arq is told of the worker of a queue."""
    return {
        "functions": jobs.functions(),
        "queue_name": queue(name),
        "ctx": {"queue": queue(name)},
        "redis_settings": _redis(),
        "on_startup": jobs.begin,
        "on_shutdown": jobs.end,
        "job_completion_wait": grace(),
        "max_jobs": most,
        "job_timeout": LONGEST,
        "max_tries": 1_000_000,
        "keep_result": 0,
        "poll_delay": POLL,
        "health_check_interval": 10,
        "job_serializer": _written,
        "job_deserializer": json.loads,
    }


def _redis() -> RedisSettings:
    made = RedisSettings.from_dsn(Settings.from_environment().redis_url or "")
    made.conn_retries = TRIES
    made.retry = Again(ExponentialBackoff(cap=1, base=0.05), -1)  # for ever
    made.retry_on_error = [RedisConnectionError, RedisTimeoutError]
    return made


def _written(value: object) -> bytes:
    return json.dumps(value).encode()


with said_plainly():
    _app = loaded()


def __getattr__(name: str) -> dict[str, Any]:
    """Return the settings of a queue's worker; `WorkerSettings` are of the first."""
    with said_plainly():
        queues = served(_app, ENGINE)
    wanted = queues[0] if name == "WorkerSettings" and queues else name
    if wanted not in queues:
        raise AttributeError(
            f"{name!r} is no queue of arq's; those are {', '.join(queues) or 'none'}"
        )
    return _settings(wanted, Jobs(_app, [wanted], MOST), MOST)


async def _serve(queues: Sequence[str], most: int, *, burst: bool) -> None:
    jobs = Jobs(_app, queues, most)
    workers = [Worker(**_settings(name, jobs, most), burst=burst) for name in queues]
    stop = partial(_stop, workers)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        # Each worker has set its own: only the last one would hear of it.
        loop.add_signal_handler(number, stop, number)
    running = [asyncio.ensure_future(worker.async_run()) for worker in workers]
    done, others = await asyncio.wait(running, return_when=asyncio.FIRST_EXCEPTION)
    if others:
        stop(signal.SIGTERM)
        await asyncio.wait(others)
    for worker in workers:
        await worker.close()
    for each in done:
        if not each.cancelled():
            each.result()


def _stop(workers: Sequence[Worker], number: signal.Signals) -> None:
    leave_at_last(grace() + SPARE)
    for worker in workers:
        worker.handle_sig_wait_for_completion(number)


def main() -> None:
    """Serve the queues that are named, each by a worker of Arq's, in this process."""
    parser = argparse.ArgumentParser("python -m headway.engines.arq")
    parser.add_argument("queues", nargs="*")
    parser.add_argument("--max-jobs", type=int, default=MOST)
    parser.add_argument("--burst", action="store_true")
    given = parser.parse_args()
    with said_plainly():
        queues = served(_app, ENGINE, given.queues)
    set_up_logs(Settings.from_environment())
    asyncio.run(_serve(queues, given.max_jobs, burst=given.burst))


if __name__ == "__main__":
    main()
