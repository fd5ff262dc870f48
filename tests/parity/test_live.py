"""A worker that stays up: commands, suspension, its scheduler, RQ's tools."""

from __future__ import annotations

import pytest

from tests.parity import story
from tests.parity.comparison import differences, unexplained
from tests.parity.contestant import OURS, OURS_IN_RQ, STOCK
from tests.parity.meant import MEANT, MEANT_OF_TOOLS, MEANT_WHILE_RUNNING

STEPS = [step.__name__ for step in story.STEPS]
MOMENTS = (
    *STEPS,
    "while a job runs",
    "what the tools say of a job that runs",
    "while it is suspended",
    "what the tools say of a job that failed",
    "a result that was waited for: good",
    "a result that was waited for: bad",
    "a result that was waited for: none",
    "while it is canceled",
    "while it is deleted",
    "exit",
    "at the end",
)
#: By the first word of the moment.
ALSO_MEANT = {"while": MEANT_WHILE_RUNNING, "what": MEANT_OF_TOOLS}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("contestant", [OURS_IN_RQ.name, OURS.name])
def test_a_worker_that_stays_up_does_as_stock_rq(told, contestant, moment):
    stock, ours = told(STOCK.name)[moment], told(contestant)[moment]
    meant = (*MEANT, *ALSO_MEANT.get(moment.partition(" ")[0], ()))
    found = unexplained(differences(stock, ours), meant)
    assert not found, "\n".join(map(str, found))


def test_each_step_can_be_done_with_stock_rq_and_every_moment_is_compared(told):
    stock = told(STOCK.name)
    assert {step: stock[step]["went"] for step in STEPS} == dict.fromkeys(STEPS, "well")
    assert set(stock) == set(MOMENTS)
