"""Tasks as an application of ours defines them; a stock worker runs them as well."""

from __future__ import annotations

from datetime import timedelta

from parity_app import app
from parity_tasks.trace import leave

from headway import Retry, current_job

AGAIN = Retry(attempts=3)


@app.task
def double(number: int) -> int:
    return 2 * number


@app.task
def broken(message: str) -> None:
    raise ValueError(message)


@app.task
async def awaited(number: int) -> int:
    return 2 * number


@app.task(retry=AGAIN)
def mended(key: str, runs: int) -> int:
    if leave(key, "run") < runs:
        raise OSError(f"not yet: {key}")
    return runs


@app.task
def in_days(span: timedelta) -> float:
    return span / timedelta(days=1)


@app.task
def tell() -> str:
    job = current_job()
    assert job is not None
    job.progress(1, 2, "half")
    return f"{job.id} {job.task} {job.queue} {job.attempt}"
