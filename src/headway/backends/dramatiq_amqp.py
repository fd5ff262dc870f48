"""Dramatiq with RabbitMQ: messages leave Redis, each of them confirmed."""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Generator
from contextlib import contextmanager

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError

from headway.backends.capabilities import CAPABILITIES
from headway.backends.carried import Broker, OnAMQP, Parcel
from headway.backends.dramatiq import written

#: How the names of its queues begin: Celery has the plain ones.
PREFIX = "headway.dramatiq."
ARGUMENTS = {"x-queue-type": "quorum"}
#: How long the broker may take to answer, in seconds.
ANSWER = 2
#: A connection that was not used for so long is not used again: nobody has answered the
#: server's heartbeats meanwhile.
IDLE, HEARTBEAT = 20.0, 30
_PERSISTENT = pika.BasicProperties(delivery_mode=2)


def address(url: str) -> pika.URLParameters:
    """Return where a RabbitMQ is; kombu's `//` is also a name of its first host."""
    found = pika.URLParameters(url)
    found.virtual_host = found.virtual_host or "/"
    return found


class _Broker:
    """Connections to RabbitMQ: each is used by one thread at a time."""

    def __init__(self, url: str) -> None:
        self._parameters = address(url)
        self._parameters.heartbeat = HEARTBEAT
        self._parameters.connection_attempts = 1
        self._parameters.socket_timeout = ANSWER
        self._parameters.stack_timeout = ANSWER
        self._parameters.blocked_connection_timeout = ANSWER
        self._parameters.tcp_options = {"TCP_USER_TIMEOUT": ANSWER * 1000}
        self._process = 0
        self._idle: queue.LifoQueue[tuple[BlockingChannel, float]] = queue.LifoQueue()
        self._declared: set[str] = set()

    def publish(self, parcel: Parcel) -> None:
        try:
            self._publish(parcel)
        except AMQPError:  # the connection was lost since, or the queue with the server
            self._publish(parcel)

    def _publish(self, parcel: Parcel) -> None:
        with self._channel() as channel:
            if parcel.queue not in self._declared:
                self._declare(channel, parcel.queue)
            channel.basic_publish(
                exchange="",
                routing_key=PREFIX + parcel.queue,
                body=written(parcel, {}).encode(),
                properties=_PERSISTENT,
                mandatory=True,
            )

    def length(self, name: str) -> int:
        with self._channel() as channel:
            return self._declare(channel, name)

    def close(self) -> None:
        while (channel := self._taken()) is not None:
            _close(channel)

    def _declare(self, channel: BlockingChannel, name: str) -> int:
        answer = channel.queue_declare(
            queue=PREFIX + name, durable=True, arguments=ARGUMENTS
        )
        self._declared.add(name)
        return int(answer.method.message_count)

    @contextmanager
    def _channel(self) -> Generator[BlockingChannel]:
        channel = self._taken() or self._made()
        try:
            yield channel
        except BaseException:
            self._declared.clear()  # a server that was made anew has none
            _close(channel)
            raise
        self._idle.put((channel, time.monotonic()))

    def _taken(self) -> BlockingChannel | None:
        if self._process != os.getpid():
            # Forked: those connections belong to the parent.
            self._idle, self._process = queue.LifoQueue(), os.getpid()
        while not self._idle.empty():
            try:
                channel, used = self._idle.get_nowait()
            except queue.Empty:  # another thread was faster
                break
            if channel.is_open and time.monotonic() - used < IDLE:
                return channel
            _close(channel)
        return None

    def _made(self) -> BlockingChannel:
        channel = pika.BlockingConnection(self._parameters).channel()
        channel.confirm_delivery()
        return channel


def _close(channel: BlockingChannel) -> None:
    try:
        channel.connection.close()
    except (AMQPError, OSError):  # it is closed
        return


class DramatiqOnAMQP(OnAMQP):
    """Has jobs carried by Dramatiq, in RabbitMQ."""

    engine = "dramatiq"
    capabilities = CAPABILITIES["dramatiq", OnAMQP.broker]

    def _broker_at(self, url: str) -> Broker:
        return _Broker(url)
