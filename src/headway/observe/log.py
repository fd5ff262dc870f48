"""Events as log lines: constant text, and the values as named fields."""

from __future__ import annotations

import logging

from headway.app import App
from headway.events import (
    Event,
    JobEnqueued,
    JobFailed,
    JobRetried,
    JobStarted,
    JobSucceeded,
)

log = logging.getLogger("headway.job")

_LINES: dict[type[Event], tuple[int, str]] = {
    JobEnqueued: (logging.DEBUG, "enqueued"),
    JobStarted: (logging.DEBUG, "started"),
    JobSucceeded: (logging.INFO, "succeeded"),
    JobRetried: (logging.WARNING, "failed, and will be retried"),
    JobFailed: (logging.ERROR, "failed"),
}


def log_events(app: App) -> None:
    """Write one log line for each event of this process."""
    app.subscribe(_write)


def _write(event: Event) -> None:
    level, what = _LINES.get(type(event), (logging.INFO, type(event).__name__))
    fields = event.named_fields()
    shown = " ".join(f"{name}={value}" for name, value in fields.items())
    log.log(level, "%s %s", what, shown, extra=fields)
