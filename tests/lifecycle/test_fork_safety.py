"""What a worker finds open before it forks, really opened, in processes of its own."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path

import pytest

from headway.embedded import Services
from headway.errors import ConfigurationError
from headway.worker import fork_safety
from headway.worker.fork_safety import refuse_unsafe_fork

ROOT = Path(__file__).parents[2]

NEO4J = """
import neo4j
driver = neo4j.GraphDatabase.driver("bolt://127.0.0.1:1", auth=("neo4j", "secret"))
"""
PSYCOPG = """
import os, psycopg
connection = psycopg.connect(os.environ["DATABASE_URL"])
"""
POOL = """
import os
from psycopg_pool import ConnectionPool
pool = ConnectionPool(os.environ["DATABASE_URL"], open=False, num_workers=1)
"""
REDIS = """
import os, redis
client = redis.Redis.from_url(os.environ["REDIS_URL"])
assert client.ping()
"""
THREAD = """
import threading
threading.Thread(target=threading.Event().wait, name="watcher", daemon=True).start()
"""
PUBSUB = """
pubsub = client.pubsub(ignore_subscribe_messages=True)
pubsub.subscribe(told=print)
pubsub.run_in_thread(daemon=True)
"""


def refuse(source, **environment):
    """Return what is said of a fork after that source, in a process of its own."""
    asked = "from headway.worker.fork_safety import refuse_unsafe_fork as refuse"
    done = subprocess.run(
        [sys.executable, "-c", f"{source}\n{asked}\nrefuse()"],
        env={"PYTHONPATH": str(ROOT / "src"), **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.stderr.strip().splitlines()[-1] if done.stderr else ""


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """A Postgres of the suite's own."""
    data = tmp_path_factory.mktemp("data")
    with Services(data=data).running({"postgres"}) as environment:
        yield environment["DATABASE_URL"]


def test_an_ordinary_process_may_fork():
    assert refuse("") == ""


def test_an_open_driver_is_named_with_the_way_out():
    assert refuse(NEO4J) == (
        "headway.errors.ConfigurationError: the worker's children cannot be forked "
        "while it has open: neo4j.BoltDriver (__main__.driver). Parent and children "
        "would use the same connection at once: open it in each child instead, in a "
        'resource (@app.resource(scope="child")), or close it before the worker starts'
    )


def test_a_closed_driver_is_no_trouble():
    assert refuse(f"{NEO4J}\ndriver.close()") == ""


def test_a_connection_is_found_until_it_is_closed(database):
    said = refuse(PSYCOPG, DATABASE_URL=database)
    assert "psycopg.Connection (__main__.connection)" in said
    assert "password" not in said
    assert refuse(f"{PSYCOPG}\nconnection.close()", DATABASE_URL=database) == ""


def test_a_connection_that_nobody_has_any_more_is_no_trouble(database):
    forgotten = f"{PSYCOPG}\nconnection.itself = connection\ndel connection"
    assert refuse(f"import gc\ngc.disable()\n{forgotten}", DATABASE_URL=database) == ""


def test_a_pool_is_found_with_its_connections(database):
    assert refuse(POOL, DATABASE_URL=database) == ""
    said = refuse(f"{POOL}\npool.open(wait=True)", DATABASE_URL=database)
    assert "psycopg_pool.ConnectionPool (__main__.pool)" in said
    assert "4 x psycopg.Connection" in said


def test_redis_sees_a_fork_itself(redis_url):
    assert refuse(f"{REDIS}{PUBSUB}", REDIS_URL=redis_url) == ""


def test_a_thread_is_warned_of_since_its_locks_stay_locked_in_children():
    said = refuse(THREAD)
    assert said.startswith("children are forked while these threads run: watcher.")


def test_nothing_is_imported_to_be_looked_for():
    source = """
import sys
from headway.worker.fork_safety import DRIVERS, refuse_unsafe_fork
before = set(sys.modules)
refuse_unsafe_fork()
sys.stderr.write(str({driver.module for driver in DRIVERS} & set(sys.modules)))
"""
    assert refuse(source) == "set()"


# -- drivers that are not installed here, played by modules of their names ----------


class Pool:
    def __init__(self, size):
        self.size = size

    def checkedin(self):
        return self.size

    def checkedout(self):
        return 0


class Handle:
    def __init__(self, *, closed):
        self.closed = closed

    def check_connectivity_state(self, _):
        if self.closed:
            raise ValueError("Cannot invoke RPC: Channel closed!")
        return 0


def state(name):
    return lambda self: types.SimpleNamespace(name=name)


UNLIKE = [
    ("asyncpg", "Connection", {"is_closed": lambda self: False}),
    ("psycopg2.extensions", "connection", {"closed": 0}),
    ("pymongo", "MongoClient", {"_opened": True, "_closed": False}),
    ("sqlalchemy.engine", "Engine", {"pool": Pool(1)}),
    ("grpc._channel", "Channel", {"_channel": Handle(closed=False)}),
    ("grpc.aio._channel", "Channel", {"get_state": state("READY")}),
]
CLOSED = [
    ("asyncpg", "Connection", {"is_closed": lambda self: True}),
    ("psycopg2.extensions", "connection", {"closed": 1}),
    ("pymongo", "MongoClient", {"_opened": False, "_closed": False}),
    ("pymongo", "MongoClient", {"_opened": True, "_closed": True}),
    ("sqlalchemy.engine", "Engine", {"pool": Pool(0)}),
    ("sqlalchemy.engine", "Engine", {"pool": object()}),
    ("grpc._channel", "Channel", {"_channel": Handle(closed=True)}),
    ("grpc.aio._channel", "Channel", {"get_state": state("SHUTDOWN")}),
    ("neo4j", "Driver", {}),
]


def played(monkeypatch, module_name, name, said):
    """Make an object of a class of that name, in a module of that name."""
    kind = type(name, (), {**said, "__module__": module_name})
    module = types.ModuleType(module_name)
    setattr(module, name, kind)
    monkeypatch.setitem(sys.modules, module_name, module)
    return kind()


@pytest.fixture
def only(monkeypatch):
    """Look for drivers of that module alone, whatever other tests have left open."""

    def narrow(module_name):
        drivers = [each for each in fork_safety.DRIVERS if each.module == module_name]
        monkeypatch.setattr(fork_safety, "DRIVERS", drivers)

    return narrow


@pytest.mark.parametrize(("module_name", "name", "said"), UNLIKE)
def test_what_holds_a_connection_is_found(monkeypatch, only, module_name, name, said):
    only(module_name)
    one = played(monkeypatch, module_name, name, said)
    with pytest.raises(ConfigurationError) as caught:
        refuse_unsafe_fork()
    assert f"{module_name.partition('.')[0]}.{name}" in str(caught.value)
    del one


@pytest.mark.parametrize(("module_name", "name", "said"), CLOSED)
def test_what_holds_none_is_no_trouble(monkeypatch, only, module_name, name, said):
    only(module_name)
    one = played(monkeypatch, module_name, name, said)
    refuse_unsafe_fork()
    del one


@pytest.fixture
def torch(monkeypatch, only):
    """A torch whose CUDA has begun, or not."""
    only("torch")

    def install(*, is_begun):
        cuda = types.ModuleType("torch.cuda")
        cuda.is_initialized = lambda: is_begun
        monkeypatch.setitem(sys.modules, "torch.cuda", cuda)

    return install


def test_cuda_that_has_begun_cannot_be_forked(torch):
    torch(is_begun=True)
    with pytest.raises(ConfigurationError, match="CUDA, begun by torch"):
        refuse_unsafe_fork()


def test_torch_alone_is_no_trouble(torch):
    torch(is_begun=False)
    refuse_unsafe_fork()
