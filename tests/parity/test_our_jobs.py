"""The other direction: jobs that Headway sends, on stock workers."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from datetime import timedelta
from time import time
from types import ModuleType
from typing import Any

import pytest
from redis import Redis
from rq import Queue
from rq.job import Job
from rq.results import Result
from rq.serializers import JSONSerializer

from tests.parity.comparison import Meant, differences, of_scenario, unexplained
from tests.parity.contestant import STOCK
from tests.parity.snapshot import Reader, Snapshot

SECONDS = timedelta(seconds=1)
#: name: task, arguments, options as rq writes them, as Headway writes them.
CALLS: dict[str, tuple[str, tuple[object, ...], dict[str, Any], dict[str, Any]]] = {
    "plain": ("double", (21,), {}, {}),
    "coroutine": ("awaited", (21,), {}, {}),
    "failing": ("broken", ("no bread",), {}, {}),
    "kept": ("double", (1,), {"result_ttl": 9}, {"result_ttl": 9 * SECONDS}),
    "failed_kept": ("broken", ("x",), {"failure_ttl": 9}, {"failure_ttl": 9 * SECONDS}),
    "timeout": ("double", (1,), {"job_timeout": 77}, {"timeout": 77 * SECONDS}),
    "described": ("double", (1,), {"description": "two"}, {"description": "two"}),
    "high": ("double", (1,), {"queue": "high"}, {"queue": "high"}),
    "front": ("double", (1,), {"at_front": True}, {"at_front": True}),
    "delayed": ("double", (1,), {"delay": 3600 * SECONDS}, {"delay": 3600 * SECONDS}),
}
MEANT = (
    Meant(
        path=r"rq:job:.*\.meta\.headway",
        stock="None",
        why="the reasons of all attempts that failed; RQ keeps the last one's",
    ),
)


@pytest.fixture(scope="module")
def tasks(database) -> Iterator[tuple[ModuleType, str]]:
    url = database()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REDIS_URL", url)
        module = importlib.import_module("own_tasks")
        yield module, url
        module.app.close()


@pytest.fixture(scope="module")
def ours(tasks) -> Snapshot:
    """Return what stock rq made of jobs that Headway sent."""
    module, url = tasks
    began = time()
    for name, (task, args, _stock, options) in CALLS.items():
        sent = getattr(module, task).using(job_id=f"{name}--job", **options)
        sent.enqueue(*args)
    return _worked(url, began)


@pytest.fixture(scope="module")
def stock(database) -> Snapshot:
    """Return what stock rq made of the same jobs, sent by its own `enqueue`."""
    url, began = database(), time()
    with Redis.from_url(url) as client:
        for name, (task, args, options, _ours) in CALLS.items():
            named = {**options, "job_id": f"{name}--job"}
            queue = Queue(
                named.pop("queue", "default"), connection=client, serializer="json"
            )
            delay = named.pop("delay", None)
            send = queue.enqueue if delay is None else queue.enqueue_in
            moment = () if delay is None else (delay,)
            send(*moment, f"own_tasks.{task}", *args, **named)
    return _worked(url, began)


def _worked(url: str, began: float) -> Snapshot:
    STOCK.work(url, "json", "--burst")
    with Redis.from_url(url) as client:
        return Reader(client=client, worker=STOCK.worker, began=began).read()


@pytest.mark.parametrize("name", CALLS)
def test_a_job_of_ours_ends_on_a_stock_worker_as_one_of_rq_does(stock, ours, name):
    one, other = of_scenario(stock, name), of_scenario(ours, name)
    assert one, "nothing was compared"
    found = unexplained(differences(one, other), MEANT)
    assert not found, "\n".join(map(str, found))


def test_retries_progress_and_types_of_ours_work_on_a_stock_worker(tasks):
    module, url = tasks
    mended = module.mended.using(job_id="mended--job").enqueue("mended--job", 2)
    hopeless = module.mended.using(job_id="hopeless--job").enqueue("hopeless--job", 9)
    days = module.in_days.enqueue(timedelta(hours=12))
    told = module.tell.using(queue="high").enqueue()
    with Redis.from_url(url) as client:
        # Nobody waits for the pauses: they are due at once, time and again.
        for _ in range(3):
            for job_id, _score in client.zscan_iter("rq:scheduled:default"):
                if job_id in (b"mended--job", b"hopeless--job"):
                    client.zrem("rq:scheduled:default", job_id)
                    client.rpush("rq:queue:default", job_id)
            _worked(url, time())
        kinds = [
            result.type
            for result in Job.fetch(hopeless.id, client, JSONSerializer).results()
        ]
    assert mended.result(timeout=5) == 2
    assert hopeless.info().attempt == 3
    assert hopeless.info().errors == ("OSError: not yet: hopeless--job",) * 3
    assert kinds == [Result.Type.FAILED, Result.Type.RETRIED, Result.Type.RETRIED]
    assert days.result(timeout=5) == 0.5
    assert told.result(timeout=5) == f"{told.id} own_tasks.tell high 1"
    assert told.progress.note == "half"
