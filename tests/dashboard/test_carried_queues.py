"""Queues that another engine carries: what waits there is counted, listed, emptied."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from headway import App, Queue
from headway.wire import keys
from tests.dashboard.conftest import HERE
from tests.dashboard.test_pages import words
from tests.worker.running import until


@pytest.fixture
def application(redis, valkey, monkeypatch) -> Iterator[App]:
    monkeypatch.syspath_prepend(str(HERE))
    queues = [Queue("default", engine="celery")]
    app = App(queues=queues, tasks="dashboard_tasks", redis_url=valkey)
    yield app
    app.close()


@pytest.fixture
def sent(application, redis) -> list[str]:
    """Ids of five jobs that Celery carries, and that no worker asks for."""
    task = application.resolve("dashboard_tasks.echo")
    ids = [task.enqueue(number).id for number in range(5)]
    assert redis.llen(keys.queue("default")) == 0
    return ids


def listed(client, order="asc", per_page=8, page=1):
    path = f"/rq/0/data/jobs/default/queued/{per_page}/{order}/{page}.json"
    return [job["id"] for job in client.get(path).json["jobs"]]


def test_what_an_engine_carries_counts_as_waiting_with_its_oldest(client, redis, sent):
    then = datetime.now(UTC) - timedelta(minutes=7)
    redis.hset(keys.job(sent[0]), "enqueued_at", f"{then:%Y-%m-%dT%H:%M:%S.%fZ}")
    page = client.get("/").text
    _, _, row = page.partition('<tr data-key="q default">')
    row = words(type("Row", (), {"text": row.partition("</tr>")[0]}))
    assert row.startswith("default 5 7 min 0")


def test_the_older_of_what_is_carried_and_what_is_about_to_be_counts(
    client, redis, sent
):
    then = datetime.now(UTC) - timedelta(minutes=9)
    redis.hset(keys.job("left"), "enqueued_at", f"{then:%Y-%m-%dT%H:%M:%S.%fZ}")
    redis.rpush(keys.queue("default"), "left")
    assert ">9 min</time>" in client.get("/").text


def test_the_list_of_a_queue_has_those_that_an_engine_carries(client, redis, sent):
    redis.rpush(keys.queue("default"), "a", "b", "c")
    everything = [*sent, "a", "b", "c"]
    assert listed(client) == everything
    assert listed(client, "dsc") == everything[::-1]
    pages = [listed(client, per_page=3, page=page) for page in (1, 2, 3, 4)]
    assert pages == [everything[:3], everything[3:6], everything[6:], []]
    newest = [listed(client, "dsc", 3, page) for page in (1, 2, 3)]
    assert [each for page in newest for each in page] == everything[::-1]


def test_emptying_a_queue_deletes_those_that_an_engine_carries(client, redis, sent):
    redis.rpush(keys.queue("default"), "a")
    answer = client.post("/rq/queue/default/queued/empty").json
    assert (answer["done"], answer["left"]) == (6, 0)
    assert not redis.exists(keys.sent("default"), *map(keys.job, sent))
    assert listed(client) == []


def test_a_queue_with_waiting_jobs_that_no_worker_serves_says_so(client, worker, sent):
    with worker("other"):
        until(lambda: "No worker is running" not in client.get("/").text, "a worker")
        assert "default no worker 5" in words(client.get("/"))
        client.post("/queues/default/pause")
        assert "no worker" not in words(client.get("/"))
