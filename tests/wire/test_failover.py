"""After a failover the lines that are open lead to what is a replica now."""

from __future__ import annotations

import threading

import pytest
from redis import ConnectionPool, Redis
from redis.exceptions import ReadOnlyError

from headway.wire.line import Line, command, pack
from headway.wire.steadfast import SteadfastRedis

SECONDS = 10


@pytest.fixture
def both(new_valkey):
    servers = (new_valkey(), new_valkey())
    for server in servers:
        server.start()
    yield tuple(Redis.from_url(server.connection_url) for server in servers)
    for server in servers:
        server.stop()


@pytest.fixture
def pool(both):
    """Connections to wherever the name leads: to the first server, until it fails."""
    old, _new = both
    about = old.get_connection_kwargs()
    pool = ConnectionPool(host=about["host"], port=about["port"])
    yield pool
    pool.disconnect()


def fail_over(connections, both):
    """Make the first server a replica; its name leads to the other from now on."""
    old, new = both
    host, port = (new.get_connection_kwargs()[name] for name in ("host", "port"))
    old.execute_command("REPLICAOF", host, port)
    for connection in connections:
        connection.port = port


@pytest.mark.parametrize("way", ["command", "pipeline", "transaction"])
def test_what_is_to_be_written_finds_the_new_primary(way, pool, both):
    client = SteadfastRedis(pool)
    client.set("key", "before")
    fail_over(pool._available_connections, both)

    def write():
        if way == "command":
            client.set("key", "after")
        else:
            client.pipeline(way == "transaction").set("key", "after").execute()

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    writer.join(SECONDS)
    assert not writer.is_alive()
    assert both[1].get("key") == b"after"


def test_a_line_finds_the_new_primary(pool, both):
    line = Line(Redis.from_pool(pool), ())
    write = command(3, pack("SET", "key", "word"))
    assert line.ask(write, 1) == [b"OK"]
    fail_over([line._connection], both)
    with pytest.raises(ReadOnlyError):
        line.ask(write, 1)
    assert line.ask(write, 1) == [b"OK"]
    line.close()
