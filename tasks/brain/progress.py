"""How an ingest is shown: a bar in a terminal, now and then a line elsewhere."""

from __future__ import annotations

import re
import sys
import time
from types import TracebackType
from typing import Self

import click

from tasks.brain.runs import Run

WIDTH = 36
#: Seconds between two lines where there is no terminal.
SPARINGLY = 2.0
REPEAT = 10.0
NUMBER = re.compile(r"\d+")


class Progress:
    """Hears how a run goes on, and shows it."""

    def __init__(self) -> None:
        self._is_terminal = sys.stdout.isatty()
        self._shown = 0.0
        self._said: dict[str, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._is_terminal:
            click.echo()

    def moved(self, run: Run) -> None:
        """Show how many documents are done."""
        if self._is_terminal:
            bar = "█" * int(run.share * WIDTH)
            click.echo(f"\r{bar:░<{WIDTH}} {_count(run)}\x1b[K", nl=False)
        elif time.monotonic() - self._shown > SPARINGLY or run.complete:
            self._shown = time.monotonic()
            click.echo(_count(run))

    def said(self, line: str) -> None:
        """Show a remark, and not again at once with other numbers in it."""
        kind, now = NUMBER.sub("", line), time.monotonic()
        if now - self._said.get(kind, -REPEAT) >= REPEAT:
            self._said[kind] = now
            start = "\r\x1b[K" if self._is_terminal else ""
            click.echo(f"{start}{line}")


def _count(run: Run) -> str:
    counts = f"{run.read} read, {run.embedded} embedded, {run.linked} linked"
    return f"{run.share:4.0%} of {run.found} documents: {counts}" + (
        f", {run.failed} failed" if run.failed else ""
    )
