"""What the worker of these tests runs."""

from __future__ import annotations

import os
from pathlib import Path

from redis import Redis
from rq import get_current_job


def echo(value: object = None, **more: object) -> object:
    return value


def fail(message: str, **more: object) -> None:
    raise ValueError(message)


def fail_until(path: str) -> str:
    if not Path(path).exists():
        raise FileNotFoundError(path)
    return "ran again"


def report(note: str) -> None:
    job = get_current_job()
    assert job is not None
    progress = {"done": 3, "total": 4, "note": note}
    job.meta["headway"] = {"progress": progress}
    job.save_meta()


def hold(seconds: int = 60) -> None:
    """Run until the test says otherwise."""
    with Redis.from_url(os.environ["REDIS_URL"]) as redis:
        redis.lpush("test:holding", "1")
        redis.blpop(["test:release"], seconds)
