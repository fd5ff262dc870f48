"""Events as log lines: constant text, and the values as named fields."""

from __future__ import annotations

import logging

from headway.app import App
from headway.delivery import current_job
from headway.events import (
    Event,
    JobEnqueued,
    JobFailed,
    JobRetried,
    JobStarted,
    JobSucceeded,
)
from headway.observe.json_log import JSONFormatter
from headway.settings import Settings

log = logging.getLogger("headway.job")

_LINES: dict[type[Event], tuple[int, str]] = {
    JobEnqueued: (logging.DEBUG, "enqueued"),
    JobStarted: (logging.DEBUG, "started"),
    JobSucceeded: (logging.INFO, "succeeded"),
    JobRetried: (logging.WARNING, "failed, and will be retried"),
    JobFailed: (logging.ERROR, "failed"),
}


def log_events(app: App) -> None:
    """Write one log line for each event of this process whose level is shown."""
    for kind, (level, _) in _LINES.items():
        if log.isEnabledFor(level):
            app.subscribe(_write, kind)


def _write(event: Event) -> None:
    level, what = _LINES[type(event)]
    fields = event.named_fields()
    shown = " ".join(f"{name}={value}" for name, value in fields.items())
    log.log(level, "%s %s", what, shown, extra=fields)


class JobFields(logging.Filter):
    """Adds the running job's id, task, queue and attempt to what its code logs.

    Give it to a handler: a logger's filters do not see what its children log.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through."""
        if (job := current_job()) is not None:
            for name in ("task", "queue", "attempt"):
                record.__dict__.setdefault(name, getattr(job, name))
            record.__dict__.setdefault("job_id", job.id)
        return True


def set_up_logs(settings: Settings) -> None:
    """Write log lines to stderr, as text for people or as JSON for machines."""
    handler = logging.StreamHandler()
    handler.addFilter(JobFields())
    if settings.log_format == "json":
        handler.setFormatter(JSONFormatter())
    else:
        line = "%(asctime)s %(levelname)s %(name)s: %(message)s"
        handler.setFormatter(logging.Formatter(line, "%H:%M:%S"))
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
