"""Celery's API, by Headway: only the lines that import it change."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from headway.shims.celery.lacking import NoMoreModules, nothing_else

if TYPE_CHECKING:
    from headway.shims.celery.application import Celery
    from headway.shims.celery.canvas import (
        Signature,
        chain,
        chord,
        chunks,
        group,
        maybe_signature,
        signature,
        subtask,
        xmap,
        xstarmap,
    )
    from headway.shims.celery.current import current_app, current_task
    from headway.shims.celery.shared import shared_task
    from headway.shims.celery.task import Task
    from headway.shims.celery.utils import uuid

__all__ = [
    "Celery",
    "Signature",
    "Task",
    "chain",
    "chord",
    "chunks",
    "current_app",
    "current_task",
    "group",
    "maybe_signature",
    "shared_task",
    "signature",
    "subtask",
    "uuid",
    "xmap",
    "xstarmap",
]

_CANVAS = "Signature chain chord chunks group maybe_signature signature subtask xmap"
#: Where each name lives; it is imported when it is first used.
_HOMES = {
    "Celery": "application",
    "shared_task": "shared",
    "Task": "task",
    "uuid": "utils",
    "current_app": "current",
    "current_task": "current",
    **dict.fromkeys((*_CANVAS.split(), "xstarmap"), "canvas"),
}
_SUBMODULES = (
    "canvas",
    "exceptions",
    "result",
    "schedules",
    "signals",
    "states",
    "utils",
)
_nothing_else = nothing_else(
    "celery",
    bootsteps="use middleware: app.headway.middleware",
    group_from="use group",
)
# Imports of modules that are not here fail with words of ours.
sys.meta_path.append(NoMoreModules())


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        _nothing_else(name)
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
