"""Every client of ours has time limits: a bare one has none, or gives up at once."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from redis import Redis

from headway.wire import client as wire_client
from headway.worker.serve import _OwnPool

LIBRARY = Path(__file__).parents[2] / "src" / "headway"
#: Where clients and pools are made, and why there.
MAKERS = {
    "migrate/rq_cron.py": "a thing that RQ's reader wants to be given, and never asks",
    "wire/client.py": "how patient each is, is said here",
    "wire/fence.py": "on the pool of a client that was made patient",
    "wire/steadfast.py": "likewise",
    "worker/address.py": "given its patience at once",
    "worker/by_rq.py": "on the pool of a client that was made patient",
    "worker/aftermath.py": "likewise",
    "worker/serve.py": "the supervisor's own: it asks again by itself, see Contact",
}
ALL_PATIENCE = (wire_client.APPLICATION, wire_client.WORKER, wire_client.LOOP)


def makers(tree):
    """Return the lines of a module that make a client or a pool of redis-py's."""
    known = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("redis")
        for alias in node.names
    }
    known |= {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and any(isinstance(base, ast.Name) and base.id in known for base in node.bases)
    } | {"SteadfastRedis", "FencedRedis"}
    clients = {name for name in known if name.endswith(("Redis", "Pool", "Sentinel"))}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _is_made(node.func, clients):
            yield node.lineno


def _is_made(called, clients):
    match called:
        case ast.Name(id=name):
            return name in clients
        case ast.Attribute(value=ast.Name(id="redis"), attr=name):
            return name.endswith(("Redis", "Pool", "from_url"))
        case ast.Attribute(value=ast.Name(id=name), attr="from_url" | "from_pool"):
            return name in clients
        case _:
            return False


def test_clients_are_made_in_a_few_places_that_say_why():
    found = {
        str(path.relative_to(LIBRARY))
        for path in LIBRARY.rglob("*.py")
        if list(makers(ast.parse(path.read_text())))
    }
    assert found <= MAKERS.keys()
    assert "wire/client.py" in found


@pytest.mark.parametrize(
    "text",
    [
        "from redis import Redis\nRedis.from_url(url)",
        "from redis import Redis as R\nfrom redis import StrictRedis\nStrictRedis()",
        "import redis\nredis.from_url(url)",
        "import redis\nredis.Redis(host=host)",
        "from redis.connection import BlockingConnectionPool\nBlockingConnectionPool()",
    ],
)
def test_a_bare_client_is_seen(text):
    assert list(makers(ast.parse(text)))


def limits(client):
    kwargs = client.connection_pool.connection_kwargs
    return kwargs["socket_connect_timeout"], kwargs["socket_timeout"]


@pytest.mark.parametrize("patience", ALL_PATIENCE)
def test_each_client_has_time_limits_and_a_rule_for_retries(patience, redis_url):
    answer = patience.answer.total_seconds()
    with Redis.from_url(redis_url) as bare:
        for client in (
            wire_client.connect(redis_url, patience=patience),
            wire_client.with_patience(bare, patience),
        ):
            assert limits(client) == (2, answer)
            retry = client.connection_pool.connection_kwargs["retry"]
            assert (retry.get_retries() > 0) is bool(patience.pauses)
            client.close()


def test_the_supervisor_gives_up_soon_and_asks_again_by_itself(redis_url):
    with Redis.from_url(redis_url) as bare:
        pool = _OwnPool.like(bare)
    assert limits(Redis(connection_pool=pool)) == (1, 1)
