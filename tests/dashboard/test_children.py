"""Each child of a worker of ours is a worker of its own on the pages."""

from __future__ import annotations

import importlib
import re
import time

from headway import load_app
from headway.dashboard import Options, create_app

DEADLINE = 30


def test_each_child_is_shown_with_the_long_job_it_runs(
    sample, redis, environment, start, monkeypatch
):
    monkeypatch.setenv("REDIS_URL", environment["REDIS_URL"])
    app = load_app("sample_app:app")
    basic = importlib.import_module("sample_tasks.basic")
    basic.wait_to_be_stopped.enqueue()
    start("headway", "worker", "--children", "2", "--name", "w", "default")
    page = create_app(redis, Options(open_on_loopback=True)).test_client()
    until = time.monotonic() + DEADLINE
    while "wait_to_be_stopped" not in (shown := _workers(page.get("/").text)):
        assert time.monotonic() < until, shown
    assert "w-1" in shown
    assert "w-2" in shown
    assert re.search(r"busy wait_to_be_stopped for \d+ s", shown)
    assert shown.count("wait_to_be_stopped") == 1
    app.close()


def _workers(page: str) -> str:
    """Return what a person reads in the table of workers."""
    table = page.partition('id="workers"')[2].partition("</table>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", table).split())
