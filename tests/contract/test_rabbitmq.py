"""What workers leave in a RabbitMQ beside the queues of the application."""

from __future__ import annotations

from urllib.parse import urlsplit

import amqp
import pytest

ENGINES = ("celery-rabbitmq",)


def test_celery_declares_no_queues_for_delays(real, rabbitmq_url):
    job = real.tasks.add.enqueue(1)
    real.work()
    assert job.result() == 2
    where = urlsplit(rabbitmq_url)
    with amqp.Connection(f"{where.hostname}:{where.port}") as connection:
        connection.channel().queue_declare("default", passive=True)
        with pytest.raises(amqp.NotFound):
            connection.channel().queue_declare("celery_delayed_0", passive=True)
