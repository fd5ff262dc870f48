"""Dramatiq's consumers on RabbitMQ."""

from __future__ import annotations

from typing import Any

from dramatiq import Consumer, Middleware
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from headway.backends.dramatiq_amqp import ARGUMENTS, PREFIX, address


class QuorumBroker(RabbitmqBroker):
    """Dramatiq's broker with queues that a quorum of servers keeps, and no others.

    Its delayed messages and its dead ones are ours, in Redis.
    """

    def __init__(self, url: str, middleware: list[Middleware]) -> None:
        super().__init__(middleware=middleware)
        self.parameters = address(url)

    def declare_queue(self, queue_name: str, *, ensure: bool = False) -> None:
        """Declare a queue, and none beside it that a thread would have to look at."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.queues_pending.add(queue_name)
            self.emit_after("declare_queue", queue_name)
        if ensure:
            self._ensure_queue(queue_name)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Any:  # noqa: ANN401 - Dramatiq's
        """Have a consumer of a queue, under the name that the server knows."""
        self.queues_pending.add(queue_name)  # the server may have been made anew
        self.declare_queue(queue_name, ensure=True)
        made: Consumer = self.consumer_class(
            self, PREFIX + queue_name, prefetch, timeout
        )
        return made

    def _declare_queue(self, queue_name: str) -> Any:  # noqa: ANN401 - pika's
        return self.channel.queue_declare(
            queue=PREFIX + queue_name, durable=True, arguments=ARGUMENTS
        )

    def _declare_dq_queue(self, queue_name: str) -> None:
        """Do nothing: delayed jobs wait in Redis."""

    def _declare_xq_queue(self, queue_name: str) -> None:
        """Do nothing: failed jobs are kept in Redis."""
