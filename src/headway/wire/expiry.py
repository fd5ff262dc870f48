"""Jobs that may not begin any more, as they are once a person wants them to run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from headway.wire import job_hash, keys
from headway.wire.reading import text

if TYPE_CHECKING:
    from redis import Redis


def without_expiry(written: str | bytes | None) -> str:
    """Return a job's meta as it is to be; empty where it is to stay as it is."""
    meta = job_hash.json_object(written)
    expired = job_hash.extras_of(meta).pop("expires_at", None)
    return json.dumps(meta) if expired else ""


def nodes_without_expiry(client: Redis, workflow_id: str) -> list[str]:
    """Return id and meta as it is to be, node after node, of those that expire."""
    ids = list(map(text, client.hkeys(keys.workflow_nodes(workflow_id))))
    pipeline = client.pipeline(transaction=False)
    for job_id in ids:
        pipeline.hget(keys.job(job_id), "meta")
    metas = map(without_expiry, pipeline.execute())
    changed = [pair for pair in zip(ids, metas, strict=True) if pair[1]]
    return [word for pair in changed for word in pair]
