from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = ("REDIS_URL", "DATABASE_URL", "NEO4J_URI", "NEO4J_USERNAME", "NEO4J_PASSWORD")
LONGEST = 60


@pytest.fixture
def environment(tmp_path_factory) -> dict[str, str]:
    """A project that nobody has used yet: no servers named, no data."""
    given = {name: value for name, value in os.environ.items() if name not in NAMES}
    data = str(tmp_path_factory.mktemp("data"))
    return {**given, "HEADWAY_DATA": data, "PYTHONPATH": f"{ROOT}/src:{ROOT}"}


@contextlib.contextmanager
def started(environment, *arguments):
    """A command in a process of its own, which does not outlive the test."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tasks", *map(str, arguments)],
        cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    watchdog = threading.Timer(LONGEST, process.kill)
    watchdog.start()
    try:
        yield process
    finally:
        watchdog.cancel()
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()


def tasks(environment, *arguments) -> tuple[int, str]:
    """Run a command to its end; return its exit code and all it said."""
    with started(environment, *arguments) as process:
        said = process.stdout.read()
        return process.wait(), said


def last_line(said: str) -> dict:
    return json.loads(said.splitlines()[-1])


def until(process, text: str) -> str:
    said = ""
    for line in process.stdout:
        said += line
        if text in line:
            return said
    pytest.fail(f"ended before it said {text!r}:\n{said}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_folder_is_ingested_though_redis_dies_and_a_second_run_does_nothing(
    tmp_path, environment, make_pdf
):
    for number in range(25):
        (tmp_path / f"{number}.md").write_text(
            f"# Page {number}\n\nOwl number {number}. [next]({number + 1}.md)\n"
        )
    make_pdf(tmp_path / "owls.pdf", "Owls hunt mice in the dark")
    port = free_port()
    with started(environment, "run", tmp_path, "--once", "--port", port) as process:
        said = until(process, "of 26 documents")
        record = Path(environment["HEADWAY_DATA"], "services.json")
        os.kill(json.loads(record.read_text())["redis"]["pid"], signal.SIGKILL)
        said += process.stdout.read()
        assert process.wait() == 0, said
    figures = last_line(said)
    assert figures.pop("seconds") > 0
    assert figures.pop("jobs") >= 1 + 3 * 26
    assert figures == {
        "documents": 26, "new": 26, "chunks": 26, "links": 24, "failed": 0,
    }  # fmt: skip
    assert said.count("\n? ") == 3

    locked = make_pdf(tmp_path / "locked.pdf", "Secret", password="x")
    code, said = tasks(environment, "run", tmp_path, "--once", "--port", port)
    assert code == 1, said
    figures = last_line(said)
    assert (figures["documents"], figures["new"], figures["failed"]) == (26, 0, 1)
    assert figures["jobs"] == 2, said
    assert f"failed: {locked}: asks for a password; save it without one" in said

    code, said = tasks(environment, "ask", "what do owls hunt in the dark", "--json")
    assert code == 0, said
    best = last_line(said)[0]
    assert set(best) >= {"document", "score", "passage", "linked"}
    assert best["document"] == "On Owls"


@pytest.mark.usefixtures("brain")
def test_servers_that_are_named_are_used_and_the_run_stays_up_until_ctrl_c(
    folder, environment, servers
):
    environment |= servers
    port = free_port()
    with started(environment, "run", folder, "--port", port) as process:
        said = until(process, "Ctrl-C stops everything")
        assert f"http://127.0.0.1:{port}" in said
        process.send_signal(signal.SIGINT)
        said += process.stdout.read()
        assert process.wait() == 0, said
    assert last_line(said)["documents"] == 3
    assert "3 documents (3 new, 0 changed), 3 chunks, 2 links, 0 failures" in said
    data = {entry.name for entry in Path(environment["HEADWAY_DATA"]).iterdir()}
    assert "postgres" not in data
    code, said = tasks(environment, "ask", "what", "is", "flour", "ground", "from")
    assert code == 0, said
    assert "linked: Bread, mill" in said


@pytest.mark.usefixtures("brain")
def test_a_folder_of_nothing_says_what_is_read(environment, servers, tmp_path):
    (tmp_path / "owl.png").write_bytes(b"owl")
    code, said = tasks(environment | servers, "run", tmp_path, "--once")
    assert code == 0, said
    assert "nothing to read: no file there ends in .docx .htm" in said


@pytest.mark.usefixtures("brain")
def test_an_empty_brain_says_how_to_fill_it(environment, servers):
    code, said = tasks(environment | servers, "ask", "anything")
    assert (code, said) == (
        1, "Error: nothing was ingested yet: run `./scripts/run` first\n",
    )  # fmt: skip


def test_a_folder_that_does_not_exist_is_refused_before_anything_starts(environment):
    code, said = tasks(environment, "run", "/no/such/folder", "--once")
    assert (code, said) == (
        2, "Error: /no/such/folder: no such folder; check the spelling\n",
    )  # fmt: skip
    assert not list(Path(environment["HEADWAY_DATA"]).iterdir())


def test_a_port_in_use_is_refused_in_one_line(environment, folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, said = tasks(environment, "run", folder, "--port", port)
    assert code == 2
    assert said == (
        f"Error: port {port} of 127.0.0.1 is in use: choose another with --port, "
        "or stop what uses it\n"
    )


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("REDIS_URL", "http://:secret@x", "expected an address like redis://"),
        ("REDIS_URL", "redis://:secret@127.0.0.1:1", "REDIS_URL names 127.0.0.1:1"),
        ("DATABASE_URL", "postgresql://u:secret@127.0.0.1:1/x", "DATABASE_URL names"),
        ("NEO4J_URI", "bolt://127.0.0.1:1", "NEO4J_URI names 127.0.0.1:1"),
        ("HEADWAY_EMBEDDER", "nonsense", "expected one of ['lexical', 'minilm']"),
        ("PORT", "many", "PORT='many': expected a whole number"),
    ],
)
def test_a_server_that_cannot_be_used_is_named(environment, folder, name, value, told):
    code, said = tasks(environment | {name: value}, "run", folder, "--once")
    assert code == 2
    assert told in said
    assert "secret" not in said
    assert "Traceback" not in said
    assert not Path(environment["HEADWAY_DATA"], "services.json").exists()


def test_an_empty_question_is_refused(environment):
    code, said = tasks(environment, "ask", "  ")
    assert code == 2
    assert "empty" in said
