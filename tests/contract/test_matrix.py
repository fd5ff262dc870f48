"""The table itself: nothing of what failed is left out of it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.contract.matrix import _rows, table


def report(test: str, cell: str, outcome: str = "passed", **told: str):
    properties = {"test": test, "cell": cell, **told}
    return SimpleNamespace(outcome=outcome, user_properties=[*properties.items()])


def test_each_cell_is_told_and_counted():
    rows = _rows(
        [
            report("b: works", "rq"),
            report("a: goes in front", "rq"),
            report("a: goes in front", "celery-rabbitmq", refused="AT_FRONT"),
            report("b: works", "celery-rabbitmq", "failed"),
            SimpleNamespace(outcome="passed", user_properties=[]),
        ]
    )
    assert [line.split("  ", 1)[0] for line in table(rows)] == [
        *("", "a: goes in front", "b: works"),
        *("passed in all", "refused in all", "failed in all"),
        "passed cells: 2 of 4 (1 refused by a flag)",
    ]
    assert table(rows)[1].split("  ")[1:] == ["passed", "refused: AT_FRONT"]
    assert table(rows)[2].split()[-1] == "failed"


@pytest.mark.parametrize("outcomes", [("passed", "failed"), ("failed", "passed")])
def test_what_fails_as_it_is_torn_down_has_failed(outcomes):
    rows = _rows([report("a", "rq", outcome) for outcome in outcomes])
    assert rows == {"a": {"rq": "failed"}}


def test_a_skipped_test_is_a_failed_one():
    assert _rows([report("a", "rq", "skipped")]) == {"a": {"rq": "failed"}}
