"""RQ: jobs in Redis as rq 3.0 writes them, run by any worker that reads them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError, RedisError, WatchError
from rq import Queue
from rq.command import send_stop_job_command
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job as RQJob
from rq.serializers import JSONSerializer

from headway.backend import Capability
from headway.backends import Context, development_redis
from headway.errors import (
    ConfigurationError,
    EnqueueError,
    JobNotFoundError,
    JobStateError,
)
from headway.job import JobInfo, JobStatus
from headway.message import Envelope
from headway.wire import client as wire_client
from headway.wire import job_hash, keys
from headway.wire.chunk import Chunk
from headway.wire.exchange import Exchange
from headway.wire.scripts import Scripts
from headway.wire.server import CLUSTER_ERRORS, IN_A_CLUSTER
from headway.wire.single import is_single, single

if TYPE_CHECKING:
    from redis import Redis

#: How long one blocking wait for a result lasts before the status is asked again.
LONGEST_WAIT = 1.0
#: RQ takes a job out of its queue first and says `started` when its process is up. A
#: cancel that comes in between looks again that often, in seconds, and for so long.
BETWEEN_LOOKS, LONGEST_TAKING = 0.05, 3.0
WAITING = ("queued", "scheduled", "deferred")
NO_REDIS = (
    "no Redis is named: set REDIS_URL=redis://host:6379/0 in the environment or in "
    ".env, or start a development server with `headway up`"
)


class RQBackend:
    """Reads and writes RQ's own data."""

    engine = "rq"
    capabilities = frozenset(Capability)

    def __init__(self, context: Context) -> None:
        self._context = context
        self._scripts = Scripts()

    @cached_property
    def client(self) -> Redis:
        """The application's client: it hears within seconds that Redis is away.

        Raises:
            ConfigurationError: nothing names a Redis.
        """
        settings = self._context.settings
        named = self._context.redis_url or settings.redis_url
        url = named or development_redis(settings)
        if url is None:
            raise ConfigurationError(NO_REDIS)
        return wire_client.connect(url)

    @cached_property
    def _exchange(self) -> Exchange:
        return Exchange(self.client)

    def close(self) -> None:
        """Give back the connections."""
        self.__dict__.pop("_exchange", None)
        if "client" in self.__dict__:
            self.client.close()
            del self.client

    # Sending

    def enqueue(self, envelopes: Sequence[Envelope]) -> dict[int, str]:
        """Send jobs without waiting for each; each is sent whole or not at all.

        Returns for those that were not sent: their place, and the id in their way.

        Raises:
            EnqueueError: Redis did not confirm; says whether it may have.
        """
        if len(envelopes) == 1 and is_single(envelopes[0]):
            return self._enqueue_one(envelopes[0])
        try:
            return dict(self._refused(envelopes))
        except RedisError as error:
            raise _unconfirmed(envelopes, error) from error

    def _enqueue_one(self, envelope: Envelope) -> dict[int, str]:
        now = self._context.clock.now()
        try:
            try:
                was_there = self._exchange.ask_one(single(envelope, now))
            except NoScriptError:  # a new server, or a restarted one
                whole = single(envelope, now, whole=True)
                was_there = self._exchange.ask_one(whole)
        except RedisError as error:
            raise _unconfirmed([envelope], error) from error
        return {0: envelope.id} if was_there else {}

    def _refused(self, envelopes: Sequence[Envelope]) -> Iterator[tuple[int, str]]:
        """Send jobs; yield the place of each that was not written, and what is."""
        begins: list[int] = []
        for number, refused in enumerate(self._answers(envelopes, begins)):
            for at in range(0, len(refused), 2):
                yield begins[number] + refused[at], refused[at + 1].decode()

    def _answers(
        self, envelopes: Sequence[Envelope], begins: list[int]
    ) -> Iterator[list[Any]]:
        try:
            yield from self._exchange.ask(self._commands(envelopes, begins))
        except NoScriptError:  # a new server, or a restarted one: none was written
            whole = self._commands(envelopes, begins, whole=True)
            yield from self._exchange.ask(whole)

    def _commands(
        self, envelopes: Sequence[Envelope], begins: list[int], *, whole: bool = False
    ) -> Iterator[bytes]:
        """Yield the runs of the script, and note with which place each begins.

        Several are sent at once, each with the script: one that is unknown would be
        found out too late to keep the order of the jobs.
        """
        begins[:] = [0]
        now = self._context.clock.now()
        script, chunk = self._scripts.enqueue, Chunk(now)
        for place, envelope in enumerate(envelopes):
            if chunk.is_full:
                yield chunk.packed(script, whole=True)
                chunk = Chunk(now)
                begins.append(place)
            chunk.add(envelope)
        yield chunk.packed(script, whole=whole or len(begins) > 1)

    # Asking

    def info(self, job_id: str) -> JobInfo:
        """Return a snapshot.

        Raises:
            JobNotFoundError: there is no such job.
        """
        pipeline = self.client.pipeline(transaction=False)
        pipeline.hgetall(keys.job(job_id))
        pipeline.xrevrange(keys.results(job_id), count=1)
        fields, latest = pipeline.execute()
        if not fields:
            raise JobNotFoundError(
                f"no job {job_id}: it never was, it was deleted, or its time to live "
                "is over (`result_ttl`, 500 s unless said otherwise)"
            )
        due = None
        if fields.get(b"status") == b"scheduled":
            origin = job_hash.text(fields.get(b"origin", b""))
            due = self.client.zscore(keys.scheduled(origin), job_id)
        return job_hash.read(job_id, fields, latest[0][1] if latest else None, due)

    def wait(self, job_id: str, timeout: float | None) -> JobInfo:
        """Return a snapshot once the job ended, or when the seconds are over.

        Raises:
            JobNotFoundError: there is no such job.
        """
        clock = self._context.clock
        until = None if timeout is None else clock.monotonic() + timeout
        while True:
            # First where the stream ends, then the status: no end is missed.
            seen = self._last_result(job_id)
            info = self.info(job_id)
            left = LONGEST_WAIT if until is None else until - clock.monotonic()
            if info.status.is_final or left <= 0:
                return info
            milliseconds = max(1, int(min(left, LONGEST_WAIT) * 1000))
            self.client.xread({keys.results(job_id): seen}, block=milliseconds)

    def _last_result(self, job_id: str) -> str:
        latest = self.client.xrevrange(keys.results(job_id), count=1)
        return job_hash.text(latest[0][0]) if latest else "0-0"

    def failed(self, queue: str, limit: int) -> list[JobInfo]:
        """Return the failed jobs of a queue, latest first."""
        ids = self.client.zrevrange(keys.failed(queue), 0, limit - 1)
        found: list[JobInfo] = []
        for job_id in ids:
            # A job may be deleted while the list is read.
            with contextlib.suppress(JobNotFoundError):
                found.append(self.info(job_hash.text(job_id)))
        return found

    # Acting

    def cancel(self, job_id: str) -> bool:
        """Keep a job from running, or stop it; tell whether there was a need.

        Raises:
            JobNotFoundError: there is no such job.
            JobStateError: a worker took it, and does not say that it runs.
        """
        answer = self._canceled(job_id, self.info(job_id).queue)
        if answer == "done":
            self._unlock(job_id)
            return True
        if answer == "started":
            # It may end in the same moment, which RQ reports as an invalid request.
            with contextlib.suppress(InvalidJobOperation, NoSuchJobError):
                send_stop_job_command(self.client, job_id, JSONSerializer)
                return True
        if answer in WAITING:
            raise JobStateError(
                f"job {job_id} is {answer}, yet in no line: a worker has just taken "
                "it, or died as it did; cancel it again, or delete it"
            )
        return False

    def _canceled(self, job_id: str, queue: str) -> str:
        """Run the verb; where a worker is about to begin the job, wait until it has."""
        names = (keys.queue, keys.scheduled, keys.deferred, keys.canceled)
        all_keys = [keys.job(job_id), *(name(queue) for name in names)]
        clock = self._context.clock
        until = clock.monotonic() + LONGEST_TAKING
        while True:
            answer = self._scripts.cancel(self.client, all_keys, [job_id]).decode()
            if answer not in WAITING or clock.monotonic() >= until:
                return str(answer)
            clock.sleep(BETWEEN_LOOKS)

    def requeue(self, job_id: str) -> None:
        """Run a failed, stopped or canceled job again, with all its attempts.

        Raises:
            JobNotFoundError: there is no such job.
            JobStateError: it has not ended, or it finished.
        """
        queue = self.info(job_id).queue
        now = job_hash.time_text(self._context.clock.now())
        names = (keys.queue, keys.failed, keys.canceled)
        answer = self._scripts.requeue(
            self.client,
            [
                keys.job(job_id),
                *(name(queue) for name in names),
                keys.QUEUES,
                keys.wake(queue),
            ],
            [job_id, now, self._meta_without_expiry(job_id)],
        ).decode()
        if answer != "done":
            raise JobStateError(
                f"job {job_id} is {answer or 'gone'}: only a failed, stopped or "
                "canceled job can be requeued"
            )

    def _meta_without_expiry(self, job_id: str) -> str:
        """Return the meta of a job that expired as it is to be: a person wants it."""
        meta = job_hash.json_object(self.client.hget(keys.job(job_id), "meta"))
        expired = job_hash.extras_of(meta).pop("expires_at", None)
        return json.dumps(meta) if expired else ""

    def delete(self, job_id: str) -> None:
        """Forget a job and its result.

        Raises:
            JobNotFoundError: there is no such job.
            JobStateError: it is running.
        """
        if self.info(job_id).status is JobStatus.STARTED:
            raise JobStateError(f"job {job_id} is running: cancel it first")
        self._unlock(job_id)
        with contextlib.suppress(NoSuchJobError):
            RQJob.fetch(job_id, self.client, JSONSerializer).delete()

    def promote(self, queue: str, limit: int = 1000) -> int:
        """Move due jobs into their queue, in order of due time; return how many."""
        now = job_hash.time_text(self._context.clock.now())
        moved, *left = self._scripts.promote(
            self.client,
            [keys.scheduled(queue), keys.queue(queue), keys.QUEUES, keys.wake(queue)],
            [keys.JOB_PREFIX, limit, now, keys.queue(queue)],
        )
        for job_id in left:
            self._promote_by_rq(job_id.decode(), queue)
        return int(moved) + len(left)

    def _promote_by_rq(self, job_id: str, queue: str) -> None:
        """Enqueue a job of RQ's rate limits, in one transaction with its removal."""
        scheduled = keys.scheduled(queue)
        with self.client.pipeline() as pipeline, contextlib.suppress(WatchError):
            pipeline.watch(scheduled)  # type: ignore[no-untyped-call]
            if pipeline.zscore(scheduled, job_id) is None:
                return  # another promoter was here
            job = RQJob.fetch(job_id, self.client, JSONSerializer)
            pipeline.multi()
            pipeline.zrem(scheduled, job_id)
            rq_queue = Queue(queue, self.client, serializer=JSONSerializer)
            rq_queue._enqueue_rate_limited_job(job, pipeline)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - as RQ's own scheduler does
            pipeline.execute()

    def _unlock(self, job_id: str) -> None:
        meta = self.client.hget(keys.job(job_id), "meta")
        if unique := job_hash.extras_of(job_hash.json_object(meta)).get("unique"):
            self._scripts.unlock(self.client, [unique], [job_id])


def _unconfirmed(envelopes: Sequence[Envelope], error: RedisError) -> EnqueueError:
    first, more = envelopes[0], len(envelopes) - 1
    whom = f"{first.terms.task} (job {first.id})" + (
        f" and {more} more" if more else ""
    )
    if isinstance(error, CLUSTER_ERRORS):
        return EnqueueError(f"{whom}: {IN_A_CLUSTER}")
    return EnqueueError(
        f"{whom}: Redis did not confirm: {str(error).rstrip('.')}. The jobs may be "
        "there all the same: send again with the same job_id, and there will be "
        "one of each"
    )
