"""Celery with RabbitMQ: messages leave Redis, each of them confirmed."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from kombu.connection import Connection
from kombu.entity import Exchange, Queue
from kombu.pools import ProducerPool

from headway.backends.capabilities import CAPABILITIES
from headway.backends.carried import Broker, OnAMQP, Parcel
from headway.backends.celery import EXCHANGE, body, headers

#: How long the broker may take to answer, in seconds; and how many ask it at once.
ANSWER, PRODUCERS = 2, 16
_RETRY = {"max_retries": 1, "interval_start": 0, "interval_max": 0}


def queue(name: str) -> Queue:
    """Return a queue as senders and workers declare it: kept by a quorum of servers."""
    return Queue(
        name,
        Exchange(EXCHANGE, type="direct", durable=True),
        routing_key=name,
        durable=True,
        queue_arguments={"x-queue-type": "quorum"},
    )


class _Broker:
    def __init__(self, url: str) -> None:
        self._url = url
        self._process = 0
        self._pool: Any = None  # kombu is not typed

    def publish(self, parcel: Parcel) -> None:
        with self._producer() as producer:
            producer.publish(
                body(parcel),
                exchange=queue(parcel.queue).exchange,
                routing_key=parcel.queue,
                headers=headers(parcel),
                correlation_id=parcel.id,
                declare=[queue(parcel.queue)],
                serializer="json",
                delivery_mode=2,
                timeout=ANSWER,
                confirm_timeout=ANSWER,
                retry=True,
                retry_policy=_RETRY,
            )

    def length(self, name: str) -> int:
        with self._producer() as producer:
            _name, messages, _consumers = queue(name)(producer.channel).queue_declare()
            return int(messages)

    def close(self) -> None:
        if self._pool is not None and self._process == os.getpid():
            self._pool.force_close_all()
            self._pool.connections.force_close_all()
        self._pool = None

    @contextmanager
    def _producer(self) -> Generator[Any]:
        if self._pool is None or self._process != os.getpid():
            # Forked: those connections belong to the parent.
            connection = Connection(
                self._url,
                connect_timeout=ANSWER,
                transport_options={
                    "confirm_publish": True,
                    "read_timeout": ANSWER,
                    "write_timeout": ANSWER,
                },
            )
            self._pool = ProducerPool(connection.Pool(PRODUCERS), PRODUCERS)
            self._process = os.getpid()
        with self._pool.acquire(block=True, timeout=ANSWER) as producer:
            yield producer


class CeleryOnAMQP(OnAMQP):
    """Has jobs carried by Celery, in RabbitMQ."""

    engine = "celery"
    capabilities = CAPABILITIES["celery", OnAMQP.broker]

    def _broker_at(self, url: str) -> Broker:
        return _Broker(url)
