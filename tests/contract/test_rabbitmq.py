"""Workers and what is RabbitMQ's own: its queues, and its patience."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import amqp
import pytest

from headway import JobStatus
from tests.rabbitmq import RabbitMQ

ENGINES = ("celery-rabbitmq", "dramatiq-rabbitmq")
#: It waits for an acknowledgement for two seconds, and not for half an hour.
IMPATIENT = "-rabbit consumer_timeout 2000 -rabbit channel_tick_interval 500"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[RabbitMQ]:
    made = RabbitMQ(tmp_path_factory.mktemp("rabbitmq"), IMPATIENT)
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def rabbitmq_url(server) -> str:
    return server.url


def test_a_job_that_is_longer_than_its_patience_runs_once(
    real, server, log, until, tmp_path
):
    said = len(server.log)
    job = real.tasks.held.enqueue("a")
    worker = real.worker()
    until(lambda: log() == ["begun-a"])
    until(lambda: "delivery acknowledgement" in server.log[said:])
    (tmp_path / "go").touch()
    pid = job.result(timeout=20)
    assert real.tasks.held.enqueue("b").result(timeout=20) == pid
    assert worker.is_alive()
    assert log() == ["begun-a", "ended-a", "begun-b", "ended-b"]


def test_what_is_sent_while_it_is_away_runs_when_it_is_back(real, server, log):
    real.worker()
    assert real.tasks.order.enqueue("before").result(timeout=20) is None
    server.stop()
    job = real.tasks.order.enqueue("meanwhile")
    assert job.status is JobStatus.QUEUED
    server.start()
    assert job.result(timeout=60) is None
    assert real.tasks.order.enqueue("after").result(timeout=20) is None
    assert log() == ["before", "meanwhile", "after"]


def test_no_queues_are_declared_for_delays(real, rabbitmq_url):
    job = real.tasks.add.enqueue(1)
    real.work()
    assert job.result() == 2
    where = urlsplit(rabbitmq_url)
    with amqp.Connection(f"{where.hostname}:{where.port}") as connection:
        with pytest.raises(amqp.NotFound):
            connection.channel().queue_declare("celery_delayed_0", passive=True)
        with pytest.raises(amqp.NotFound):
            connection.channel().queue_declare(
                "headway.dramatiq.default.DQ", passive=True
            )
