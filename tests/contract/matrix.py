"""Which engine passes which test: a table at the end of a run of the contract."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import pytest

from tests.contract.cells import CELLS

#: The fixtures by which a test asks for an engine.
ASKED_BY = ("engine", "real")
#: By test, by cell: `passed`, `refused: FLAG` or `failed`.
Rows = dict[str, dict[str, str]]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*flags): what its engine must be able to")


def cell_of(item: pytest.Item) -> str | None:
    """Return the engine and the broker that a test runs on."""
    if item.path.parent.name != "contract":
        return None  # an engine's name is a word of other tests, too
    params = item.callspec.params if hasattr(item, "callspec") else {}
    found = [params[name] for name in ASKED_BY if name in params]
    return found[0] if found else None


def pytest_itemcollected(item: pytest.Item) -> None:
    if cell := cell_of(item):
        # Reports of processes of xdist bring these along, and nothing else of ours.
        item.user_properties += [("cell", cell), ("test", _name(item, cell))]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    stats = terminalreporter.stats
    of_tests = [*stats.get("passed", ()), *stats.get("failed", ())]
    rows = _rows([*of_tests, *stats.get("error", ()), *stats.get("skipped", ())])
    if rows:
        terminalreporter.section("contract: test x engine")
        for line in table(rows):
            terminalreporter.write_line(line)


def _name(item: pytest.Item, cell: str) -> str:
    name, _, parameters = item.name.partition("[")
    others = parameters.rstrip("]").replace(cell, "").strip("-")
    words = name.removeprefix("test_").replace("_", " ")
    return f"{item.path.stem.removeprefix('test_')}: {words} {others}".strip()


def _rows(reports: Iterable[pytest.TestReport]) -> Rows:
    rows: Rows = {}
    for report in reports:
        # A module that cannot be collected is reported as well, and has none.
        told = dict(getattr(report, "user_properties", ()))
        if "cell" in told:
            row = rows.setdefault(told["test"], {})
            # What fails as it is torn down has passed before, and failed all the same.
            if row.get(told["cell"]) != "failed":
                row[told["cell"]] = _outcome(report, told)
    return rows


def _outcome(report: pytest.TestReport, told: dict[str, object]) -> str:
    if report.outcome != "passed":
        return "failed"  # a skipped one, too: an engine refuses, or it does it
    return f"refused: {told['refused']}" if "refused" in told else "passed"


def table(rows: Rows) -> list[str]:
    """Return the lines of the matrix, its totals last."""
    cells = [cell for cell in CELLS if any(cell in row for row in rows.values())]
    lines = [["", *cells]]
    lines += [
        [name, *(row.get(cell, "") for cell in cells)]
        for name, row in sorted(rows.items())
    ]
    outcomes = [[row[cell] for row in rows.values() if cell in row] for cell in cells]
    for kind in ("passed", "refused", "failed"):
        counts = [sum(each.startswith(kind) for each in found) for found in outcomes]
        lines.append([f"{kind} in all", *map(str, counts)])
    every = Counter(each.partition(":")[0] for found in outcomes for each in found)
    total = f"passed cells: {every['passed']} of {every.total()}"
    return [*_aligned(lines), f"{total} ({every['refused']} refused by a flag)"]


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            word.ljust(width) for word, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    ]
