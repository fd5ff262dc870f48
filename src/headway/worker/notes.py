"""What a running job says of itself, saved now and then.

A loop may report progress a thousand times a second. The first report is saved at once,
later ones twice a second, and the last of them always.
"""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from headway.clock import Clock
from headway.errors import LeaseLostError
from headway.job import LOG_LINES, Progress
from headway.lease import Holder, Lease
from headway.wire import job_hash, keys
from headway.wire.reading import text
from headway.wire.scripts import Script

if TYPE_CHECKING:
    from redis import Redis

log = logging.getLogger("headway.worker")

NOTE = Script("note")
#: Seconds between two saves.
EVERY = 0.5


class Notes:
    """The progress and the log lines of one attempt."""

    def __init__(
        self, client: Redis, holder: Holder, lease: Lease, clock: Clock
    ) -> None:
        self._client = client
        self._holder = holder
        self._lease = lease
        self._clock = clock
        self._lock, self._saving = threading.Lock(), threading.Lock()
        self._unsaved: dict[str, Any] = {}
        self._lines: list[str] = []
        self._saved_at: float | None = None
        self._later: threading.Timer | None = None

    @property
    def lease(self) -> tuple[str, str]:
        """Return the key of the lease, and what it says while the job is ours."""
        lease = self._lease
        return keys.lease(self._holder.child), f"{lease.ordinal}:{lease.queue}"

    def save_progress(self, progress: Progress) -> None:
        """Save how far the job has come, soon."""
        with self._lock:
            self._unsaved["progress"] = asdict(progress)
        self._soon()

    def save_log(self, line: str) -> None:
        """Save a line, soon."""
        with self._lock:
            self._lines.append(line)
        self._soon()

    def save_checkpoint(self, checkpoint: object) -> None:
        """Save the job's place, now.

        Raises:
            LeaseLostError: another worker has the job now.
        """
        with self._saving:
            try:
                kept = self._write({"checkpoint": checkpoint}, [])
            except RedisError as error:  # it goes on: all that is lost is a short cut
                log.warning(
                    "job %s: a checkpoint is lost: %s", self._lease.job_id, error
                )
                return
        if not kept:
            raise self._loss()

    def incarnation(self) -> str:
        """Return what tells the job from others that have had its id.

        Raises:
            LeaseLostError: another worker has the job now.
        """
        lease = self._lease
        pipeline = self._client.pipeline(transaction=False)
        pipeline.hget(keys.lease(self._holder.child), lease.job_id)
        pipeline.hmget(keys.job(lease.job_id), "created_at", "repeats_left")
        held, (created, repeats) = pipeline.execute()
        if text(held) != f"{lease.ordinal}:{lease.queue}":
            raise self._loss()
        return job_hash.incarnation(text(created), text(repeats))

    def _loss(self) -> LeaseLostError:
        return LeaseLostError(
            f"job {self._lease.job_id}: its lease was lost, so this run is for "
            "nothing: another worker has the job now, or it was deleted"
        )

    def close(self) -> None:
        """Save what is not saved; nothing is said after that."""
        if self._later is not None:
            self._later.cancel()
            self._later.join()  # it may be saving; there is to be no note after the end
        if self._unsaved or self._lines:
            self._save()

    def _soon(self) -> None:
        now = self._clock.monotonic()
        if self._saved_at is None or now - self._saved_at >= EVERY:
            self._save()
        elif self._later is None or not self._later.is_alive():
            rest = EVERY - (now - self._saved_at)
            self._later = threading.Timer(rest, self._save)
            self._later.daemon = True
            self._later.start()

    def _save(self) -> None:
        with self._saving:  # one reads and writes at a time, or lines were lost
            with self._lock:
                self._saved_at = self._clock.monotonic()
                unsaved, self._unsaved = self._unsaved, {}
                lines, self._lines = self._lines, []
            try:
                self._write(unsaved, lines)
            except RedisError as error:  # no reason for the job to fail
                log.warning("job %s: a note is lost: %s", self._lease.job_id, error)

    def _write(self, unsaved: dict[str, Any], lines: list[str]) -> bool:
        job_key = keys.job(self._lease.job_id)
        meta = job_hash.json_object(self._client.hget(job_key, "meta"))
        extras: dict[str, Any] = {**job_hash.extras_of(meta), **unsaved}
        if lines:
            extras["log"] = [*extras.get("log", []), *lines][-LOG_LINES:]
        meta["headway"] = extras
        kept = NOTE(
            self._client,
            [keys.lease(self._holder.child), job_key],
            [self._lease.job_id, self._lease.ordinal, json.dumps(meta)],
        )
        return bool(kept)
