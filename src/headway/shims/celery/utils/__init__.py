from __future__ import annotations

from headway.message import new_id
from headway.shims.celery.lacking import nothing_else


def uuid() -> str:
    """Return a new id of a task."""
    return new_id()


gen_unique_id = uuid


__getattr__ = nothing_else("utils")
