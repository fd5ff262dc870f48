"""What a job shares with others of its child, and what it says."""

from __future__ import annotations

import pytest

from headway.errors import ArgumentError
from tests.contract.cells import CELLS

ENGINES = CELLS


@pytest.fixture
def shared(engine):
    import sample_tasks.shared

    return sample_tasks.shared


def test_a_resource_is_handed_over_and_closed_in_the_end(engine, shared, log):
    jobs = [shared.count.enqueue(number) for number in range(2)]
    engine.work(leave=True)
    assert [job.result(timeout=5) for job in jobs] == [True, True]
    engine.app.close()
    lines = log()
    assert lines
    assert lines == ["opened", "closed"] * (len(lines) // 2)


def test_a_resource_is_not_sent(engine, shared):
    for call in ({"seen": []}, {"number": 2, "seen": None}):
        with pytest.raises(ArgumentError, match="seen"):
            shared.count.enqueue(**call)
    with pytest.raises(ArgumentError, match=r"seen=\.\.\.\): a resource does not"):
        shared.count.enqueue(1, [])


def test_the_last_lines_that_a_job_says_are_kept(engine, shared):
    job = shared.talk.enqueue(120)
    assert job.info().log == ()
    engine.work()
    assert job.info().log == tuple(f"line {number}" for number in range(20, 120))
