"""Sentry's and OpenTelemetry's RQ integrations, the real packages, under our worker."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import cache
from pathlib import Path

import pytest
from redis import Redis
from rq import Retry

from tests.parity.contestant import (
    OURS,
    OURS_IN_RQ,
    STOCK,
    Contestant,
    environment,
)
from tests.parity.line import Line

Heard = Callable[[Contestant, str], "Counter[str]"]


@pytest.fixture(scope="module")
def watched(database, tmp_path_factory) -> Heard:
    """Run a few jobs with instruments; return what these would have sent, counted."""
    url = database()

    @cache
    def run(contestant: Contestant, instrument: str) -> Counter[str]:
        folder = tmp_path_factory.mktemp("heard")
        with Redis.from_url(url) as client:
            client.flushdb()
            _send(client)
        # A sitecustomize starts the instruments of a stock worker, as `rq -c` does.
        (folder / "sitecustomize.py").write_text("import instrumented_app")
        env = _env(folder, instrument)
        if contestant is STOCK:
            paths = environment(url)["PYTHONPATH"]
            env["PYTHONPATH"] = f"{folder}{os.pathsep}{paths}"
        contestant.work(url, "json", "--burst", env=env)
        return Counter((folder / "heard").read_text().splitlines())

    return run


def _env(folder: Path, instrument: str) -> dict[str, str]:
    return {
        "HEADWAY_APP": "instrumented_app:app",
        "PARITY_HEARD": str(folder / "heard"),
        "PARITY_WATCHED": instrument,
    }


def _send(client: Redis) -> None:
    line = Line(client=client, serializer="json", scenario="watched", listener="")
    line.send("good", "calls.echo", 1)
    line.send("bad", "calls.fail", "no bread")
    line.send("retried", "calls.fail", "twice", retry=Retry(max=1))


@pytest.mark.parametrize("contestant", [OURS_IN_RQ, OURS], ids=lambda one: one.name)
def test_sentry_hears_of_each_failure_and_sees_each_run(watched, contestant):
    stock, ours = watched(STOCK, "sentry"), watched(contestant, "sentry")
    errors = [one for one in map(json.loads, stock.elements()) if one["errors"]]
    assert sorted((one["job"], *one["errors"]) for one in errors) == [
        ("watched--bad", "ValueError: no bread"),
        ("watched--retried", "ValueError: twice"),
    ]
    assert ours == stock


@pytest.mark.parametrize("contestant", [OURS_IN_RQ, OURS], ids=lambda one: one.name)
def test_opentelemetry_sees_a_span_of_each_run(watched, contestant):
    stock = watched(STOCK, "opentelemetry")
    ours = watched(contestant, "opentelemetry")
    spans = Counter(json.loads(one)["span"] for one in stock.elements())
    assert spans["consume default"] == 4
    assert spans["perform"] == 4
    assert ours == stock


def test_what_the_instruments_cost_is_printed(database, tmp_path, capsys):
    url, jobs = database(), 300
    micros: dict[str, float] = {}
    for watched in ("nobody", "sentry", "opentelemetry"):
        with Redis.from_url(url) as client:
            client.flushdb()
            line = Line(client=client, serializer="json", scenario="cost", listener="")
            for number in range(jobs):
                line.send(str(number), "calls.nothing")
            OURS_IN_RQ.work(url, "json", "--burst", env=_env(tmp_path, watched))
            assert client.zcard("rq:finished:default") == jobs
            micros[watched] = _span(client, jobs) / jobs * 1e6
    with capsys.disabled():
        shown = ", ".join(f"{name} {micro:.0f} us" for name, micro in micros.items())
        print(f"\na job of nothing, watched by: {shown}")
    # Whoever is not there costs nothing: the quick way is taken.
    assert micros["nobody"] < micros["sentry"]
    assert micros["nobody"] < micros["opentelemetry"]


def _span(client: Redis, jobs: int) -> float:
    """Return the seconds from the first beginning to the last end."""
    times = [
        datetime.fromisoformat(time.decode())
        for number in range(jobs)
        for time in client.hmget(f"rq:job:cost--{number}", "started_at", "ended_at")
    ]
    return (max(times) - min(times)).total_seconds()
