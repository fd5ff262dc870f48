from __future__ import annotations

import os
from pathlib import Path

from sample_pickle_app import app

from headway import current_job


@app.task
def tick(name: str, *, owner: str = "") -> None:
    """Write down which job has run."""
    job = current_job()
    line = f"{name} {job.id if job else ''}\n"
    with Path(os.environ["SAMPLE_LOG"]).open("a") as file:
        file.write(line)


@app.task
def other() -> None:
    """Do nothing."""


class Holder:
    def method(self) -> None:
        return None
