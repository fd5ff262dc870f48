"""What the jobs of a drill do: write that they began, take some time, say so again."""

from __future__ import annotations

import time
from datetime import timedelta

from benchmarks.drills import traps
from benchmarks.drills.app import app
from headway import Retry, current_job, fixed

_DAY = timedelta(days=1)  # the drill reads how each job ended only when all is over


@app.task(result_ttl=_DAY)
def work(milliseconds: float) -> float:
    """Succeed."""
    _run(milliseconds)
    traps.JOURNAL.write("end", _id())
    return milliseconds


@app.task(result_ttl=_DAY)
def fail(milliseconds: float) -> None:
    """Raise, for good."""
    _run(milliseconds)
    traps.JOURNAL.write("raise", _id())
    raise ValueError(milliseconds)


@app.task(result_ttl=_DAY, retry=Retry(attempts=3, backoff=fixed(timedelta(0))))
def again(milliseconds: float) -> float:
    """Raise once, and succeed then."""
    job = current_job()
    if job is None or job.attempt > 1:
        return work.function(milliseconds)
    _run(milliseconds)
    traps.JOURNAL.write("raise", _id())
    raise OSError(milliseconds)


def _run(milliseconds: float) -> None:
    traps.JOURNAL.write("begin", _id())
    traps.spring("in_task", _id())
    time.sleep(milliseconds / 1000)


def _id() -> str:
    job = current_job()
    return job.id if job else "-"
