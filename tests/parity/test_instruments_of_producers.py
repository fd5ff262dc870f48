"""Sentry and OpenTelemetry see what an application sends, as they see RQ do it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from redis import Redis

from tests.parity.contestant import HERE, environment


@pytest.mark.parametrize("instrument", ["sentry", "opentelemetry"])
def test_a_send_is_seen_and_carries_its_trace(instrument, database, tmp_path):
    url = database()
    watched = {
        "HEADWAY_APP": "instrumented_app:app",
        "PARITY_HEARD": str(tmp_path / "heard"),
        "PARITY_WATCHED": instrument,
    }
    # A process of its own: what is watched once stays so.
    sent = subprocess.run(
        [sys.executable, HERE / "sample" / "instrumented_producer.py"],
        env=environment(url) | watched,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert sent.returncode == 0, sent.stderr
    said = json.loads(sent.stdout)
    assert said["ours"] == said["stock"] != []
    assert said["again"] == "first"
    with Redis.from_url(url) as client:
        metas = {
            job_id: json.loads(client.hget(f"rq:job:{job_id}", "meta") or "{}")
            for who in ("stock", "ours")
            for job_id in (f"{who}-now", f"{who}-later", f"{who}-many")
        }
        assert not client.exists("rq:job:second")
        assert client.zrange("rq:scheduled:default", 0, -1) == [
            b"stock-later",
            b"ours-later",
        ]
    for what in ("now", "later", "many"):
        # RQ's own sends of many, or for later, do not all go through Sentry's hook.
        assert set(metas[f"ours-{what}"]) >= set(metas[f"stock-{what}"])
    assert metas["ours-now"]
