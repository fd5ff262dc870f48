"""What a tick's job does: write that it began, take some time, say so again."""

from __future__ import annotations

import time
from datetime import timedelta

from benchmarks.drills.ledger import Ledger
from benchmarks.drills.timed.app import TIMED, app
from headway import current_job

_LEDGER = Ledger.of_environment()


# The drill reads when each was enqueued only when all is over.
@app.task(queue=TIMED, result_ttl=timedelta(days=1))
def tick(seconds: float) -> None:
    """Be there, at a time of day: the store is on this machine and has its clock."""
    job = current_job()
    job_id = job.id if job else "-"
    _LEDGER.write("begin", job_id, at=time.time())
    time.sleep(seconds)
    _LEDGER.write("end", job_id, at=time.time())
