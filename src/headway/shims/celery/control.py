"""`app.control`: what Celery broadcasts to its workers, as far as there is a need."""

from __future__ import annotations

from typing import Any

from headway.shims.celery.lacking import missing

_INSTEAD = {
    "inspect": "look at the dashboard, or ask app.headway",
    "ping": "`headway doctor` says what is wrong",
    "purge": "app.headway.job(id).cancel() for each",
    "rate_limit": "give the task a queue that a worker of few children serves",
    "shutdown": "send SIGTERM to the worker",
    "cancel_consumer": "`headway pause QUEUE`",
}


class Control:
    """Keeps calls from running."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def revoke(self, task_id: Any, terminate: bool = False, **ignored: Any) -> None:
        """Keep one call, or several, from running; stop them with `terminate`."""
        ids = [task_id] if isinstance(task_id, str) else task_id
        for each in ids:
            self._app.AsyncResult(str(each)).revoke(terminate=terminate)

    def __getattr__(self, name: str) -> Any:
        raise missing("app.control", name, _INSTEAD)
