"""RQ: jobs in Redis as rq 3.0 writes them, run by any worker that reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from redis.exceptions import (
    AuthenticationError,
    NoScriptError,
    RedisError,
    ResponseError,
)

from headway.backends import Context, development_redis, rq_hooks
from headway.backends.capabilities import CAPABILITIES
from headway.backends.rq_jobs import RQJobs
from headway.backends.rq_workflows import RQWorkflows
from headway.codec import Arguments
from headway.errors import ConfigurationError, EnqueueError
from headway.message import Envelope, Sealed
from headway.signing import Signer
from headway.timetable import Timetable
from headway.wire import client as wire_client
from headway.wire import job_hash
from headway.wire.chunk import Chunk
from headway.wire.exchange import Exchange
from headway.wire.outage import way_out
from headway.wire.promotion import Promotion
from headway.wire.server import CLUSTER_ERRORS, IN_A_CLUSTER
from headway.wire.single import is_single, single
from headway.wire.timetable import RedisTimetable
from headway.workflows import WorkflowStore

if TYPE_CHECKING:
    from redis import Redis

T = TypeVar("T")

NO_REDIS = (
    "no Redis is named: set REDIS_URL=redis://host:6379/0 in the environment (only "
    "commands of headway read .env), or start a development server with `headway up`"
)


class RQBackend(RQJobs):
    """Sends jobs as RQ's own data, and asks and acts by it."""

    engine = "rq"
    capabilities = CAPABILITIES["rq", ""]

    def __init__(self, context: Context) -> None:
        super().__init__(self._connected, context.clock)
        self._context = context
        self._timetable = RedisTimetable(lambda: self.client, self._written)
        self._workflows = self._new_workflows()

    def _connected(self) -> Redis:
        """Return a client that hears within seconds that Redis is away.

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
        self._timetable = RedisTimetable(lambda: self.client, self._written)
        self._workflows = self._new_workflows()
        if "client" in self.__dict__:
            self.client.close()
            del self.client

    @property
    def timetable(self) -> Timetable:
        """What Redis does for schedules."""
        return self._timetable

    @property
    def workflows(self) -> WorkflowStore:
        """What Redis does for workflows."""
        return self._workflows

    def _new_workflows(self) -> RQWorkflows:
        return RQWorkflows(
            lambda: self.client,
            self._clock,
            noted=lambda envelope: self._written(envelope, lambda noted: noted),
            cancel_job=self.cancel,
        )

    def promotion(self, queues: Sequence[str]) -> Promotion:
        """Return what moves delayed jobs of these queues when they are due."""
        return Promotion(self.client, queues)

    # Sending

    def _written(self, envelope: Envelope, write: Callable[[Envelope], T]) -> T:
        """Have a job written as any other is sent: signed, and past RQ's hooks."""
        if (signer := self._context.signer()) is not None:
            envelope = _signed(envelope, signer)
        answers: list[T] = []

        def send(noted: Envelope) -> dict[int, str]:
            answers.append(write(noted))
            return {}

        try:
            if rq_hooks.are_there():
                rq_hooks.send_through(self.client, envelope, send)
            else:
                send(envelope)
        except RedisError as error:
            raise _unconfirmed([envelope], error) from error
        return answers[0]

    def enqueue(self, envelopes: Sequence[Envelope]) -> dict[int, str]:
        """Send jobs without waiting for each; each is sent whole or not at all.

        Returns for those that were not sent: their place, and the id in their way.

        Raises:
            ArgumentError: a call is too large, and which; nothing was sent.
            EnqueueError: Redis did not confirm; says whether it may have.
        """
        if len(envelopes) > 1:
            job_hash.check_sizes(_calls(envelopes), len(envelopes))
        if (signer := self._context.signer()) is not None:
            envelopes = [_signed(envelope, signer) for envelope in envelopes]
        if rq_hooks.are_there():
            return self._enqueue_through_hooks(envelopes)
        return self._send(envelopes)

    def _enqueue_through_hooks(self, envelopes: Sequence[Envelope]) -> dict[int, str]:
        refused: dict[int, str] = {}
        for place, envelope in enumerate(envelopes):
            other = rq_hooks.send_through(
                self.client, envelope, lambda noted: self._send((noted,))
            )
            if other:
                refused[place] = other[0]
        return refused

    def _send(self, envelopes: Sequence[Envelope]) -> dict[int, str]:
        if len(envelopes) == 1 and is_single(envelopes[0]):
            return self._enqueue_one(envelopes[0])
        try:
            return dict(self._refused(envelopes))
        except RedisError as error:
            raise _unconfirmed(envelopes, error) from error

    def _enqueue_one(self, envelope: Envelope, message: bytes = b"") -> dict[int, str]:
        now = self._clock.now()
        try:
            try:
                by_hash = single(envelope, now, message=message)
                was_there = self._exchange.ask_one(by_hash)
            except NoScriptError:  # a new server, or a restarted one
                whole = single(envelope, now, whole=True, message=message)
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
        now = self._clock.now()
        script, chunk = self._scripts.enqueue, Chunk(now)
        for place, envelope in enumerate(envelopes):
            if chunk.is_full:
                yield chunk.packed(script, whole=True)
                chunk = Chunk(now)
                begins.append(place)
            chunk.add(envelope)
        yield chunk.packed(script, whole=whole or len(begins) > 1)


def _calls(envelopes: Sequence[Envelope]) -> Iterator[tuple[str, Arguments]]:
    if isinstance(envelopes, Sealed):
        return envelopes.calls
    return ((each.terms.task, each.arguments) for each in envelopes)


def _signed(envelope: Envelope, signer: Signer) -> Envelope:
    terms = envelope.terms
    call = job_hash.call(terms.task, envelope.arguments)
    signature = signer.sign(envelope.id, call)
    return envelope._replace(terms=replace(terms, signature=signature))


def _unconfirmed(envelopes: Sequence[Envelope], error: RedisError) -> EnqueueError:
    first, more = envelopes[0], len(envelopes) - 1
    whom = f"{first.terms.task} (job {first.id})" + (
        f" and {more} more" if more else ""
    )
    if isinstance(error, CLUSTER_ERRORS):
        return EnqueueError(f"{whom}: {IN_A_CLUSTER}")
    why = str(error).rstrip(".")
    refused = isinstance(error, ResponseError | AuthenticationError)
    if refused and not more:
        return EnqueueError(
            f"{whom}: it was not sent, Redis refuses it: {why}. {way_out(why)}"
        )
    return EnqueueError(
        f"{whom}: Redis did not confirm: {why}. The jobs may be there all the same: "
        "send again with the same job_id, and there will be one of each. "
        f"{way_out(why)}"
    )
