"""How long sending a job takes: Headway beside RQ's own queue, on one Redis of ours.

The contestants alternate, and medians are compared as ratios: machines are noisy.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from empty_task import work
from redis import Redis
from rq import Queue as RQQueue
from rq.serializers import JSONSerializer

from headway import App, Queue
from headway.embedded import Services

NAME = "empty_task.work"


def rq_loop(redis: Redis, jobs: int) -> None:
    """Send one by one, as an application of RQ does."""
    queue = RQQueue("default", redis, serializer=JSONSerializer)
    for number in range(jobs):
        queue.enqueue(NAME, number)


def rq_bulk(redis: Redis, jobs: int) -> None:
    """Send many, as RQ's documentation does."""
    queue = RQQueue("default", redis, serializer=JSONSerializer)
    queue.enqueue_many([RQQueue.prepare_data(NAME, (n,)) for n in range(jobs)])


def main() -> None:
    """Measure, print a table for people, then one line for machines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with (
        TemporaryDirectory() as data,
        Services(data=Path(data)).running({"redis"}) as found,
    ):
        seconds = measure(found["REDIS_URL"], options.jobs, options.rounds)
    for name, rounds in seconds.items():
        each = statistics.median(rounds) / options.jobs * 1e6
        print(f"{name:14} {each:7.1f} us a job")
    ratio = {
        way: statistics.median(seconds[f"rq {way}"])
        / statistics.median(seconds[f"headway {way}"])
        for way in ("loop", "bulk")
    }
    print(
        f"bench=enqueue loop_ratio_to_rq={ratio['loop']:.1f} "
        f"bulk_ratio_to_rq={ratio['bulk']:.1f}"
    )


def measure(url: str, jobs: int, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each contestant in each round."""
    redis = Redis.from_url(url)
    app = App(queues=[Queue("default")], tasks="empty_task", redis_url=url)
    task = app.task(work)
    contestants: dict[str, Callable[[], object]] = {
        "rq loop": lambda: rq_loop(redis, jobs),
        "headway loop": lambda: [task.enqueue(n) for n in range(jobs)],
        "rq bulk": lambda: rq_bulk(redis, jobs),
        "headway bulk": lambda: app.enqueue_many(
            [task.message(n) for n in range(jobs)]
        ),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _round in range(rounds):
        for name, run in contestants.items():
            redis.flushdb()  # of a server of our own
            begin = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - begin)
            if redis.llen("rq:queue:default") != jobs:
                raise SystemExit(f"{name}: {jobs} jobs sent, others found")
    return seconds


if __name__ == "__main__":
    main()
