"""What all engines but RQ share: jobs as RQ keeps them, carried by others' messages.

A job is written as any job of RQ is, and so all that asks about jobs, or acts on them,
serves every engine. What differs is who brings it to a worker: the queue's list is what
is to be sent, and an engine's own message says "run this job". Who takes the job first
has it (`reserve_one.lua`): a message that comes twice, late, or from an engine that the
queue has left does nothing. So a message is sent once more whenever there is a doubt.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, Protocol, TypeVar

import msgspec
from redis.exceptions import NoScriptError

from headway.backend import Capability
from headway.backends import Context
from headway.backends.rq import RQBackend
from headway.codec import Arguments
from headway.errors import StoreError
from headway.message import Envelope
from headway.settings import without_password
from headway.wire import keys
from headway.wire.exchange import Exchange
from headway.wire.line import call, command, pack
from headway.wire.overdue import Overdue
from headway.wire.reading import Fields, text
from headway.wire.scripts import Script
from headway.wire.single import is_single
from headway.wire.stored_job import StoredJob

if TYPE_CHECKING:
    from redis import Redis

log = logging.getLogger("headway.engine")

#: What runs a job whose function is no task of its own: workers know it by this name.
RUN = "headway.run"
#: How many jobs are handed over at once: that holds Redis up for some 3 ms.
BATCH = 200
#: For how long one who hands over many jobs is left to it, in milliseconds.
TURN = 10_000
_FIELDS = (
    "data",
    "timeout",
    "enqueue_at_front",
    "headway_crashes",
    "headway_resent",
)

_encode = msgspec.msgpack.Encoder().encode

P = ParamSpec("P")
T = TypeVar("T")
Words = Sequence[str | bytes | int | float]


class Parcel(NamedTuple):
    """A job as it is handed over to an engine."""

    id: str
    queue: str
    #: The name that its worker knows: the task's, or `RUN`.
    task: str
    arguments: Arguments
    #: In seconds; none or less is for as long as it likes.
    timeout: float
    at_front: bool = False


class Carrier(Protocol):
    """An engine's broker."""

    def carry(self, queue: str, parcels: Sequence[Parcel]) -> int:
        """Hand jobs over, and note that they are; return how many.

        Raises:
            Exception: the broker does not confirm; they can be handed over again.
        """
        ...

    def is_empty(self, queue: str) -> bool:
        """Tell whether no message of a queue waits there.

        Raises:
            Exception: the broker does not answer.
        """
        ...

    def close(self) -> None:
        """Give back the connections."""
        ...


class Broker(Protocol):
    """A broker of its own, asked in an engine's way."""

    def publish(self, parcel: Parcel) -> None:
        """Put a message there, confirmed.

        Raises:
            Exception: it is not confirmed.
        """
        ...

    def length(self, name: str) -> int:
        """Return how many messages of a queue wait.

        Raises:
            Exception: it does not answer.
        """
        ...

    def close(self) -> None:
        """Give back the connections."""
        ...


class CarriedBackend(RQBackend):
    """Keeps jobs as RQ does, and has them carried."""

    #: Where its messages are, if not in the Redis of the jobs.
    broker = ""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._is_task = context.is_task
        self._carrier: Carrier | None = None

    def _made_carrier(self) -> Carrier:
        """Return what hands jobs over to the engine."""
        raise NotImplementedError

    @property
    def carrier(self) -> Carrier:
        """Return what hands jobs over to the engine, made at first use."""
        if self._carrier is None:
            self._carrier = self._made_carrier()
        return self._carrier

    def close(self) -> None:
        """Give back the connections."""
        if self._carrier is not None:
            self._carrier.close()
            self._carrier = None
        super().close()

    # Sending

    def _send(self, envelopes: Sequence[Envelope]) -> dict[int, str]:
        is_one = len(envelopes) == 1 and is_single(envelopes[0])
        if is_one and isinstance(self.carrier, InRedis):
            message = self.carrier.packed(self._parcel(envelopes[0]))
            return self._enqueue_one(envelopes[0], message)
        refused = super()._send(envelopes)
        sent: dict[str, list[Parcel]] = {}
        for place, envelope in enumerate(envelopes):
            if place not in refused and envelope.terms.due is None:
                parcel = self._parcel(envelope)
                sent.setdefault(parcel.queue, []).append(parcel)
        for queue, parcels in sent.items():
            self._carried(queue, parcels)
        return refused

    def _parcel(self, envelope: Envelope) -> Parcel:
        terms = envelope.terms
        return Parcel(
            envelope.id,
            terms.queue,
            self._name(terms.task),
            envelope.arguments,
            terms.timeout.total_seconds(),
            terms.at_front,
        )

    def _name(self, task: str) -> str:
        return task if self._is_task(task) else RUN

    def _carried(self, queue: str, parcels: Sequence[Parcel]) -> None:
        """Hand jobs over now; where that fails they are sent a moment later."""
        try:
            for at in range(0, len(parcels), BATCH):
                self.carrier.carry(queue, parcels[at : at + BATCH])
        except Exception as error:  # noqa: BLE001 - whatever the engine's broker raises
            log.warning(
                "%d jobs of queue %s are kept, and sent as soon as the broker of %s "
                "takes them: %s",
                len(parcels),
                queue,
                self.engine,
                error,
            )

    # What is left to send

    def relay(self, queues: Sequence[str]) -> int:
        """Hand over what waits for it in these queues; return how many jobs.

        Raises:
            RedisError: Redis does not answer.
            Exception: the engine's broker does not.
        """
        pipeline = self.client.pipeline(transaction=False)
        pipeline.exists(keys.SUSPENDED)
        for queue in queues:
            pipeline.sismember(keys.PAUSED, queue)
            pipeline.lrange(keys.queue(queue), 0, BATCH - 1)
        suspended, *found = pipeline.execute(raise_on_error=False)
        count = 0
        for queue, paused, ids in zip(queues, found[::2], found[1::2], strict=True):
            if isinstance(ids, list) and ids and not (suspended or paused):
                parcels = self._stored(queue, map(text, ids))
                count += self.carrier.carry(queue, parcels)
        return count

    def _stored(self, queue: str, ids: Iterable[str]) -> list[Parcel]:
        wanted = list(ids)
        pipeline = self.client.pipeline(transaction=False)
        for job_id in wanted:
            pipeline.hmget(keys.job(job_id), _FIELDS)
        found = pipeline.execute(raise_on_error=False)
        return [
            self._parcel_of(job_id, queue, values if isinstance(values, list) else [])
            for job_id, values in zip(wanted, found, strict=True)
        ]

    def _parcel_of(self, job_id: str, queue: str, values: Sequence[Any]) -> Parcel:
        fields = Fields(dict(zip(_FIELDS, values, strict=False)))
        job = StoredJob(id=job_id, fields=fields, outcome=Fields({})).info()
        resent = bool(fields.text("headway_resent"))
        return Parcel(
            job_id,
            queue,
            RUN if resent else self._name(job.task),
            Arguments(job.args, job.kwargs),
            job.timeout.total_seconds() if job.timeout else 0.0,
            bool(fields.text("enqueue_at_front") or fields.text("headway_crashes"))
            and Capability.AT_FRONT in self.capabilities,
        )

    def send_lost(self, queues: Sequence[str]) -> list[str]:
        """Have jobs sent again whose messages the engine has lost; return their ids.

        Raises:
            RedisError: Redis does not answer.
            Exception: the engine's broker does not.
        """
        overdue = Overdue(self.client)
        lost = [
            overdue.put_back(queue, nothing_waits=self.carrier.is_empty(queue))
            for queue in overdue.queues(queues)
        ]
        return list(chain.from_iterable(lost))


class InRedis:
    """An engine whose messages are in the Redis of the jobs: one step does it all."""

    def __init__(
        self,
        backend: CarriedBackend,
        message: Callable[[Parcel], Sequence[Words]],
        length: Callable[[Redis, str], int],
    ) -> None:
        self._backend, self._message, self._length = backend, message, length
        self._script = Script("carry")
        self._exchange = Exchange(backend.client)

    def carry(self, queue: str, parcels: Sequence[Parcel]) -> int:
        """Hand jobs over, and note that they are; return how many.

        Raises:
            RedisError: Redis does not confirm.
        """
        # Each of those for the front goes before those that are there.
        front = [parcel for parcel in reversed(parcels) if parcel.at_front]
        words: list[str | bytes] = []
        for parcel in [*front, *(p for p in parcels if not p.at_front)]:
            words += [parcel.id, self.packed(parcel)]
        packed = pack(2, keys.queue(queue), keys.sent(queue), *words)
        count = 3 + len(words)
        try:
            self._exchange.ask_one(call(self._script, count, packed))
        except NoScriptError:  # a new server, or a restarted one
            whole = pack(b"EVAL", self._script.text) + packed
            self._exchange.ask_one(command(count + 2, whole))
        return len(parcels)

    def packed(self, parcel: Parcel) -> bytes:
        """Return what writes the message of a job, as the scripts read it."""
        return _encode([keys.sent(parcel.queue), *self._message(parcel)])

    def is_empty(self, queue: str) -> bool:
        """Tell whether no message of a queue waits there.

        Raises:
            RedisError: Redis does not answer.
        """
        return self._length(self._backend.client, queue) == 0

    def close(self) -> None:
        """Do nothing: the connections are the backend's."""


class Elsewhere:
    """An engine whose messages are in a broker of its own.

    What is sent is noted afterwards: a crash in between has it sent twice, not never.
    That takes a while for many jobs, and every worker looks for what is to be sent: so
    one at a time does it for a queue, and the others leave it to that one.
    """

    def __init__(
        self,
        backend: CarriedBackend,
        publish: Callable[[Parcel], None],
        length: Callable[[str], int],
        close: Callable[[], None],
    ) -> None:
        self._backend, self._publish, self._length = backend, publish, length
        self._close = close
        self._script = Script("carried")

    def carry(self, queue: str, parcels: Sequence[Parcel]) -> int:
        """Hand jobs over, and note that they are; return how many.

        Raises:
            Exception: the broker does not confirm.
            RedisError: it did, and Redis does not answer: they are sent again.
        """
        if len(parcels) == 1:
            return self._carried(queue, parcels)
        client, turn = self._backend.client, keys.sending(queue)
        if not client.set(turn, 1, nx=True, px=TURN):
            return 0
        try:
            return self._carried(queue, self._left(queue, parcels))
        finally:
            client.delete(turn)

    def _left(self, queue: str, parcels: Sequence[Parcel]) -> list[Parcel]:
        """Return those that nobody has handed over since they were looked up."""
        pipeline = self._backend.client.pipeline(transaction=False)
        for parcel in parcels:
            pipeline.lpos(keys.queue(queue), parcel.id)
        places = pipeline.execute()
        found = zip(parcels, places, strict=True)
        return [parcel for parcel, place in found if place is not None]

    def _carried(self, queue: str, parcels: Sequence[Parcel]) -> int:
        done: list[str] = []
        try:
            for parcel in parcels:
                self._publish(parcel)
                done.append(parcel.id)
        finally:
            if done:
                places = [keys.queue(queue), keys.sent(queue)]
                self._script(self._backend.client, places, done)
        return len(done)

    def is_empty(self, queue: str) -> bool:
        """Tell whether no message of a queue waits there.

        Raises:
            Exception: the broker does not answer.
        """
        return self._length(queue) == 0

    def close(self) -> None:
        """Give back the connections."""
        self._close()


class OnAMQP(CarriedBackend):
    """Has jobs carried by an engine whose messages are in RabbitMQ."""

    broker = "RabbitMQ"

    def _broker_at(self, url: str) -> Broker:
        """Return what asks the one at an address, in the engine's way."""
        raise NotImplementedError

    def _made_carrier(self) -> Carrier:
        url = self._context.settings.broker_url or ""
        broker = self._broker_at(url)

        def named(ask: Callable[P, T]) -> Callable[P, T]:
            def asked(*args: P.args, **kwargs: P.kwargs) -> T:
                try:
                    return ask(*args, **kwargs)
                except Exception as error:
                    raise StoreError(
                        f"{self.broker} at {without_password(url)} (HEADWAY_BROKER_URL)"
                        f" does not answer: {type(error).__name__} {error}".rstrip()
                    ) from error

            return asked

        return Elsewhere(
            self, named(broker.publish), named(broker.length), broker.close
        )
