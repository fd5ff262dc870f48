from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from sample_app import app

from headway import current_job, injected


@app.resource
def counter() -> Iterator[list[int]]:
    _note("opened")
    yield []
    _note("closed")


@app.task
def count(number: int, seen: Annotated[list[int], counter] = injected) -> bool:
    seen.append(number)
    job = current_job()
    return job is not None and job.resource(counter) is seen


@app.task
def talk(lines: int) -> None:
    job = current_job()
    assert job is not None
    for number in range(lines):
        job.log(f"line {number}")


def _note(line: str) -> None:
    with Path(os.environ["SAMPLE_LOG"]).open("a") as file:
        file.write(f"{line}\n")
