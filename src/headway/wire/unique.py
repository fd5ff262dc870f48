"""Unique keys, given back by whoever ends the job that holds one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headway.wire import job_hash
from headway.wire.scripts import Scripts

if TYPE_CHECKING:
    from redis import Redis

_scripts = Scripts()


def give_back(client: Redis, job_id: str, meta: Mapping[str, Any]) -> None:
    """Give back the unique key of a job, if by its meta it has one and holds it yet."""
    if key := job_hash.extras_of(meta).get("unique"):
        _scripts.unlock(client, [key], [job_id])
