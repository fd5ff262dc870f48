"""Where ours means to do otherwise than stock rq, beside the list in `meant.py`."""

from __future__ import annotations

import pytest
from redis import Redis
from rq.job import Job
from rq.results import Result
from rq.serializers import JSONSerializer

from tests.parity.contestant import OURS_IN_RQ, STOCK, Contestant
from tests.parity.line import Line


@pytest.fixture
def latest(database):
    """Run one job that returns what cannot be written; return its last result."""
    url = database()

    def run(contestant: Contestant) -> tuple[str, Result]:
        with Redis.from_url(url) as client:
            client.flushdb()
            line = Line(client=client, serializer="json", scenario="lock", listener="")
            sent = line.send("result", "calls.not_for_any_serializer")
            contestant.work(url, "json", "--burst")
            job = Job.fetch(sent.id, client, JSONSerializer)
            result = job.latest_result()
            assert result is not None
            return str(job.get_status().value), result

    return run


def test_a_result_that_cannot_be_written_is_a_failure_that_says_so(latest):
    status, result = latest(STOCK)
    assert (status, result.type) == ("finished", Result.Type.SUCCESSFUL)
    assert result.return_value == "Unserializable return value"
    status, result = latest(OURS_IN_RQ)
    assert (status, result.type) == ("failed", Result.Type.FAILED)
    assert "calls.not_for_any_serializer() returned <unlocked" in result.exc_string
