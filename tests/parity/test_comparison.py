"""The suite's own measure: it finds nothing where nothing is, and all that is."""

from __future__ import annotations

from time import time

import pytest
from redis import Redis

from tests.parity.comparison import Meant, differences, owner, unexplained
from tests.parity.contest import Contest
from tests.parity.contestant import STOCK
from tests.parity.meant import MEANT
from tests.parity.snapshot import Reader

SOME = ("exceptions", "retries", "dependents", "rate_limits", "current_job", "meta")


@pytest.fixture(scope="module")
def contest(database) -> Contest:
    return Contest(url=database(), serializer="json", only=SOME)


@pytest.fixture(scope="module")
def stock(contest):
    return contest.run(STOCK)


@pytest.fixture
def client(contest, stock):
    with Redis.from_url(contest.url) as client:
        yield client


@pytest.fixture
def found(client, stock):
    """Return what differs from the stock run since it ended."""

    def compare() -> list[str]:
        reader = Reader(client=client, worker=STOCK.worker, began=time() - 60)
        return [one.path for one in differences(stock, reader.read())]

    assert compare() == []
    return compare


def test_two_stock_runs_do_not_differ(contest, stock):
    assert len(stock) > 500
    again = contest.run(STOCK)
    assert differences(stock, again) == []


WRONG = {
    "a field is missing": (
        lambda client: client.hdel("rq:job:meta--saved", "worker_name"),
        ["rq:job:meta--saved.worker_name"],
    ),
    "a field is more": (
        lambda client: client.hset("rq:job:meta--saved", "more", "1"),
        ["rq:job:meta--saved.more"],
    ),
    "a status is another": (
        lambda client: client.hset("rq:job:meta--saved", "status", "started"),
        ["rq:job:meta--saved.status"],
    ),
    "a time is written in another way": (
        lambda client: client.hset(
            "rq:job:meta--saved", "last_heartbeat", "2026-11-22 10:00:00"
        ),
        ["rq:job:meta--saved.last_heartbeat"],
    ),
    "a job began before it was sent": (
        lambda client: client.hset(
            "rq:job:meta--saved",
            "started_at",
            client.hget("rq:job:exceptions--plain", "created_at"),
        ),
        ["rq:job:meta--saved in order"],
    ),
    "meta was lost": (
        lambda client: client.hset("rq:job:meta--saved", "meta", '{"a": 1}'),
        ["rq:job:meta--saved.meta.b"],
    ),
    "a key is kept for ever": (
        lambda client: client.persist("rq:results:meta--saved"),
        ["rq:results:meta--saved ttl"],
    ),
    "a key goes too early": (
        lambda client: client.expire("rq:results:meta--saved", 490),
        ["rq:results:meta--saved ttl"],
    ),
    "a score is another": (
        lambda client: client.zincrby("rq:finished:default", -10, "meta--saved"),
        ["rq:finished:default[meta--saved]"],
    ),
    "a job stands in a second registry": (
        lambda client: client.zadd("rq:failed:default", {"meta--saved": "inf"}),
        ["rq:failed:default[meta--saved]"],
    ),
    "a job waits in line": (
        lambda client: client.rpush("rq:queue:low", "meta--saved"),
        ["rq:queue:low", "rq:queue:low ttl", "rq:queue:low[]"],
    ),
    "a result is one more": (
        lambda client: client.xadd("rq:results:meta--lost", {"type": "1"}),
        ["rq:results:meta--lost[1].type"],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_a_wrong_worker_would_leave_is_found(client, found, name):
    spoil, paths = WRONG[name]
    before = {key: (client.dump(key), client.pttl(key)) for key in client.scan_iter()}
    spoil(client)
    try:
        assert found() == paths
    finally:
        client.flushdb()
        for key, (dump, left) in before.items():
            client.restore(key, max(left, 0), dump)


def test_a_difference_is_explained_only_as_it_was_meant():
    stock = {"rq:job:a--b.x": "1", "rq:job:a--b.y": "1"}
    ours = {"rq:job:a--b.x": "2", "rq:job:a--b.y": "3"}
    two = (Meant(path=r"rq:job:.*", ours="2", why="two is better"),)
    left = unexplained(differences(stock, ours), two)
    assert [one.path for one in left] == ["rq:job:a--b.y"]
    assert owner(left[0].path) == "a"
    assert all(entry.why for entry in MEANT)
