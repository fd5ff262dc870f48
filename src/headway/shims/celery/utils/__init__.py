from __future__ import annotations

from headway.message import new_id


def uuid() -> str:
    """Return a new id of a task."""
    return new_id()


gen_unique_id = uuid
