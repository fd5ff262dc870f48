"""A job put among the failed ones by nothing but its lease."""

from __future__ import annotations

import base64
import zlib
from typing import TYPE_CHECKING

from headway.lease import Leased
from headway.wire import keys
from headway.wire.moment import moment
from headway.wire.scripts import Script

if TYPE_CHECKING:
    from redis import Redis

BURY = Script("bury")


def bury(client: Redis, leased: Leased, *, reason: str, now: float) -> bool:
    """Fail a job, whatever its hash holds; tell whether it was the holder's to fail.

    `now` is in seconds since 1970.
    """
    job_id, worker = leased.job_id, leased.holder.worker
    names = (
        keys.lease(leased.holder.child),
        keys.job(job_id),
        keys.failed(leased.queue),
        keys.results(job_id),
    )
    held = f"{leased.ordinal}:{leased.queue}"
    written = base64.b64encode(
        zlib.compress(_plain(reason).encode())
    )  # as RQ writes it
    arguments = (job_id, held, moment(now), int(now), worker, written)
    return bool(BURY(client, names, arguments))


def _plain(text: str) -> str:
    """Return text that UTF-8 has: a file's name, and so an error, may hold other."""
    return text.encode(errors="backslashreplace").decode()
