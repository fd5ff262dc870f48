"""Every client of ours has time limits: a bare one has none, or gives up at once."""

from __future__ import annotations

import ast
import time
from contextlib import closing, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import TimeoutError as RedisTimeoutError

from benchmarks.drills.proxy import Proxy
from headway.wire import client as wire_client
from headway.wire.client import LOOP
from headway.wire.line import Line, command, pack
from headway.wire.scripts import Script
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
    "worker/delivering.py": "likewise",
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


@pytest.mark.parametrize("patience", ALL_PATIENCE)
def test_after_a_silence_the_other_connections_are_given_up_as_well(
    redis_url, patience
):
    port = Redis.from_url(redis_url).get_connection_kwargs()["port"]
    answer = timedelta(seconds=0.5)
    with closing(Proxy(port)) as network:
        client = wire_client.connect(
            network.url, patience=replace(patience, answer=answer)
        )
        beside = wire_client.with_patience(client, replace(LOOP, answer=answer))
        line = Line(beside, (Script("resume"),))
        idle = [client.connection_pool.get_connection() for _ in range(3)]
        for connection in idle:
            connection.send_command("PING")
            connection.read_response()
            client.connection_pool.release(connection)
        line.ask(command(1, pack("PING")), 1)

        network.turn("held")
        network.turn("open")  # for the connections to come
        with suppress(RedisTimeoutError):
            client.ping()
        began = time.monotonic()
        with client.pipeline() as pipeline:  # holds one, and the pings use another
            pipeline.watch("key")
            client.ping()
        line.ask(command(1, pack("PING")), 1)
        assert time.monotonic() - began < answer.total_seconds()


def test_what_a_line_hears_is_told_to_the_pools(redis_url):
    port = Redis.from_url(redis_url).get_connection_kwargs()["port"]
    patience = replace(LOOP, answer=timedelta(seconds=0.5))
    with closing(Proxy(port)) as network:
        client = wire_client.connect(network.url, patience=patience)
        line = Line(wire_client.with_patience(client, patience), (Script("resume"),))
        line.ask(command(1, pack("PING")), 1)
        client.ping()

        network.turn("held")
        network.turn("open")
        with pytest.raises(RedisTimeoutError):
            line.ask(command(1, pack("PING")), 1)
        began = time.monotonic()
        client.ping()
        assert time.monotonic() - began < patience.answer.total_seconds()
