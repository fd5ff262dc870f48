"""What Headway adds to a job's meta, read from JSON that anybody may have written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from headway.job import Progress
from headway.observe.reading import text


def extras(meta: object) -> Mapping[str, object]:
    """Return the part of a job's meta that is Headway's."""
    return _mapping(_mapping(meta).get("headway"))


def progress_of(meta: object) -> Progress | None:
    """Return how far the job says it has come."""
    written = _mapping(extras(meta).get("progress"))
    done, total = written.get("done"), written.get("total")
    if not isinstance(done, int | float) or not isinstance(total, int | float):
        return None
    return Progress(done=done, total=total, note=text(written.get("note")))


def errors_of(meta: object) -> tuple[str, ...]:
    """Return one line for each attempt that failed, oldest first."""
    written = extras(meta).get("errors")
    return tuple(text(line) for line in written) if isinstance(written, list) else ()


def _mapping(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}
