"""The same jobs under stock rq and under ours: every key, field, score and time."""

from __future__ import annotations

import pytest

from tests.parity.comparison import SHARED, differences, of_scenario, unexplained
from tests.parity.contest import scenarios_of
from tests.parity.contestant import OURS, OURS_IN_RQ, STOCK
from tests.parity.meant import MEANT

CASES = [
    (contestant.name, serializer, scenario)
    for contestant, serializer in (
        (OURS_IN_RQ, "json"),
        (OURS, "json"),
        (OURS, "pickle"),
    )
    for scenario in (*(one.name for one in scenarios_of(serializer)), SHARED)
]


@pytest.mark.parametrize(("contestant", "serializer", "scenario"), CASES)
def test_jobs_end_as_they_do_under_stock_rq(ran, contestant, serializer, scenario):
    runs = ran(STOCK.name, serializer), ran(contestant, serializer)
    stock, ours = (of_scenario(run.result(), scenario) for run in runs)
    assert stock, "nothing was compared"
    found = unexplained(differences(stock, ours), MEANT)
    assert not found, "\n".join(map(str, found))
