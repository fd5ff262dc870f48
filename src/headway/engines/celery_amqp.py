"""Celery's worker on RabbitMQ."""

from __future__ import annotations

from celery.worker.consumer.consumer import Consumer as Whole

_OF_DELAYS = "celery.worker.consumer.delayed_delivery:DelayedDelivery"


class Consumer(Whole):
    """Celery's, but for its 28 queues and exchanges of delayed messages.

    It declares them wherever it sees a quorum queue. Delays are ours.
    """

    class Blueprint(Whole.Blueprint):
        """What it starts."""

        default_steps = [  # noqa: RUF012 - as Celery has it
            step for step in Whole.Blueprint.default_steps if step != _OF_DELAYS
        ]
