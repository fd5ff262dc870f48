"""`headway up` with real processes: started, stopped, killed, replaced."""

from __future__ import annotations

import io
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from time import monotonic

import psutil
import pytest

from headway.cli.formation import Formation
from headway.cli.procfile import Procfile
from headway.errors import ConfigurationError

PATIENCE = 20.0

#: A process with a job in its hands: the job ends when somebody opens the FIFO.
WORKER = """\
import os, signal, sys

def stop(number, frame):
    print("asked to stop", flush=True)

signal.signal(signal.SIGTERM, stop)
print("working as", os.getpid(), os.environ.get("PORT", ""), flush=True)
with open(sys.argv[1]) as job:
    job.read()
print("job done", flush=True)
"""

#: A process that leaves when it is told to.
SERVER = """\
import os, signal, sys

def stop(number, frame):
    print("leaving", flush=True)
    sys.exit(0)

signal.signal(signal.SIGTERM, stop)
print("serving as", os.getpid(), "on", os.environ.get("PORT", ""), flush=True)
while True:
    signal.pause()
"""

#: A process that refuses to leave, and so does what it started.
STUBBORN = """\
import os, signal

signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
name = "child" if child == 0 else "parent"
os.write(1, f"{name} {os.getpid()}\\n".encode())
while True:
    signal.pause()
"""


class Lines(io.TextIOBase):
    """What was printed so far, and a way to wait for more."""

    def __init__(self) -> None:
        self._text = ""
        self._changed = threading.Condition()

    def write(self, text: str) -> int:
        with self._changed:
            self._text += text
            self._changed.notify_all()
        return len(text)

    @property
    def text(self) -> str:
        with self._changed:
            return self._text

    def until(self, pattern: str, *, times: int = 1) -> list[str]:
        came = self.came(pattern, times=times, patience=PATIENCE)
        assert came, f"{pattern!r} did not come {times} times in:\n{self.text}"
        return re.findall(pattern, self.text)

    def came(self, pattern: str, *, times: int = 1, patience: float) -> bool:
        with self._changed:
            return self._changed.wait_for(
                lambda: len(re.findall(pattern, self._text)) >= times, patience
            )


class Up:
    """A `headway up` in a process of its own."""

    def __init__(self, folder: Path, *options: str, **environment: str) -> None:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in {"REDIS_URL", "DATABASE_URL", "NEO4J_URI", "PORT"}
        }
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "from headway.cli import main; main()",
                "up",
                *options,
            ],
            cwd=folder,
            env=inherited | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines = Lines()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.write(line)

    def end(self) -> tuple[int, str]:
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        assert not self._reader.is_alive(), "somebody still holds the output open"
        return code, self.lines.text

    def clean_up(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "worker.py").write_text(WORKER)
    (tmp_path / "server.py").write_text(SERVER)
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    os.mkfifo(tmp_path / "job")
    return tmp_path


@pytest.fixture
def up(folder: Path) -> Iterator[Callable[..., Up]]:
    started: list[Up] = []

    def start(procfile: str, *options: str, **environment: str) -> Up:
        (folder / "Procfile").write_text(procfile)
        if not any(option.startswith("--services") for option in options):
            options = (*options, "--services=none")
        started.append(Up(folder, *options, **{"PORT": free_port(), **environment}))
        return started[-1]

    yield start
    for each in started:
        each.clean_up()


def free_port() -> str:
    """Return a port that is free, as is the next; not one that clients are given."""
    for port in random.sample(range(20_000, 30_000, 2), 100):
        try:
            for number in (port, port + 1):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", number))
        except OSError:
            continue
        return str(port)
    pytest.fail("no two free ports from 20000 to 30000")


def finish_job(folder: Path) -> None:
    (folder / "job").open("w").close()


def wait_until_gone(pids: list[int]) -> None:
    deadline = monotonic() + PATIENCE
    while alive := [pid for pid in pids if is_alive(pid)]:
        assert monotonic() < deadline, f"still alive: {alive}"


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


# `python` is found beside the one that runs us, wherever that may be.
SERVE = "python server.py"
WORK = "python worker.py job"
RESIST = "python stubborn.py"


def test_web_stops_first_then_the_scheduler_then_workers_whose_jobs_are_waited_for(
    up, folder
):
    running = up(f"worker: {WORK}\nscheduler: {SERVE}\nweb: {SERVE}\n")
    running.lines.until("(working|serving) as", times=3)
    running.process.send_signal(signal.SIGINT)
    running.lines.until("asked to stop")
    finish_job(folder)
    code, text = running.end()
    assert code == 0
    told = re.findall(r"(\w+)\.1 +\| (leaving|asked to stop|job done)", text)
    assert told == [
        ("web", "leaving"),
        ("scheduler", "leaving"),
        ("worker", "asked to stop"),
        ("worker", "job done"),
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_termination_and_a_closed_terminal_stop_it_in_order_too(up, number):
    running = up(f"web: {SERVE}\n")
    running.lines.until("serving as")
    running.process.send_signal(number)
    code, text = running.end()
    assert code == 0
    assert "leaving" in text


def test_a_second_interrupt_stops_now(up):
    running = up(f"worker: {WORK}\n")
    [pid] = running.lines.until(r"working as (\d+)")
    running.process.send_signal(signal.SIGINT)
    running.lines.until("asked to stop")
    deadline = monotonic() + PATIENCE
    while running.process.poll() is None:  # two in half a second count as one
        assert monotonic() < deadline
        running.process.send_signal(signal.SIGINT)
        running.lines.came("stopping now", patience=0.1)
    _, text = running.end()
    assert "stopping now: jobs that run are cut off" in text
    assert "job done" not in text
    wait_until_gone([int(pid)])


def test_one_key_press_that_arrives_twice_is_one(up, folder):
    running = up(f"worker: {WORK}\n")
    running.lines.until("working as")
    running.process.send_signal(signal.SIGINT)
    running.process.send_signal(signal.SIGINT)
    running.lines.until("asked to stop")
    running.process.send_signal(signal.SIGINT)
    finish_job(folder)
    code, text = running.end()
    assert code == 0
    assert "job done" in text


def test_a_process_that_ignores_its_grace_is_killed_with_all_it_started(folder):
    lines = Lines()
    formation = Formation(
        Procfile.parse(f"worker: {RESIST}", path=folder / "Procfile"),
        environment=os.environ,
        grace=timedelta(milliseconds=200),
        output=lines,
    )
    with formation:
        pids = lines.until(r"(?:child|parent) (\d+)", times=2)
    assert "worker.1 did not stop within 0.2 s: killed, its jobs cut" in lines.text
    wait_until_gone([int(pid) for pid in pids])


def test_a_killed_process_is_started_again_and_counted(folder):
    lines = Lines()
    procfile = Procfile.parse(f"worker: {WORK}", path=folder / "Procfile")
    formation = Formation(procfile, environment=os.environ, output=lines)
    with formation:
        [pid] = lines.until(r"working as (\d+)")
        os.kill(int(pid), signal.SIGKILL)
        lines.until("working as", times=2)
        finish_job(folder)
        lines.until("starting it again", times=2)
    assert "worker.1 was killed by SIGKILL; starting it again in 0.5 s" in lines.text
    assert [ending.code for ending in formation.failures()] == [-signal.SIGKILL, 0]
    assert "worker.1 ended with exit code 0; starting it again in 1 s" in lines.text


def test_what_a_dead_process_left_behind_ends_with_it(folder):
    lines = Lines()
    procfile = Procfile.parse(f"worker: {RESIST}", path=folder / "Procfile")
    grace = timedelta(0)
    with Formation(procfile, environment=os.environ, grace=grace, output=lines):
        [parent] = lines.until(r"parent (\d+)")
        [child] = lines.until(r"child (\d+)")
        os.kill(int(parent), signal.SIGKILL)
        wait_until_gone([int(child)])


def test_a_killed_supervisor_leaves_nothing_behind(up):
    running = up(f"web: {SERVE}\nworker: {RESIST}\n")
    pids = running.lines.until(r"(?:child|parent|serving as) (\d+)", times=3)
    family = psutil.Process(running.process.pid).children(recursive=True)
    everyone = [process.pid for process in family]
    assert {int(pid) for pid in pids} <= set(everyone)
    running.process.kill()
    running.end()
    wait_until_gone(everyone)


def test_a_shell_command_finishes_its_job_before_it_leaves(up, folder):
    running = up(f"worker: echo via a shell && {WORK}\n")
    running.lines.until("working as")
    running.process.send_signal(signal.SIGTERM)
    running.lines.until("asked to stop")
    finish_job(folder)
    code, text = running.end()
    assert code == 0
    assert "via a shell" in text
    assert "job done" in text


def test_a_change_of_code_restarts_processes_after_their_jobs(up, folder):
    running = up(f"web: {SERVE}\nworker: {WORK}\n", "--reload")
    running.lines.until("(working|serving) as", times=2)
    touched = 0
    deadline = monotonic() + PATIENCE
    while not running.lines.came("changed: restarting", patience=0.1):  # it watches
        assert monotonic() < deadline
        touched += 1
        (folder / "queues.py").write_text(f"touched = {touched}")
    running.lines.until("asked to stop")
    finish_job(folder)
    running.lines.until("working as", times=2)
    running.lines.until("serving as", times=2)
    assert "queues.py changed: restarting, jobs may finish first" in running.lines.text
    assert "job done" in running.lines.text
    assert "starting it again" not in running.lines.text


def test_scale_starts_several_and_gives_each_web_a_port(up):
    port = free_port()
    running = up(
        f"web: {SERVE}\nworker: {SERVE}\nrelease: false\n",
        *("--scale", "web=2", "--only", "web", "--port", port),
    )
    running.lines.until("serving as", times=2)
    text = running.lines.text
    assert re.search(rf"web\.1 +\| serving as \d+ on {port}\n", text)
    assert re.search(rf"web\.2 +\| serving as \d+ on {int(port) + 1}\n", text)
    assert f"open http://127.0.0.1:{port} " in text
    assert "worker" not in text


def test_the_env_file_is_read_and_the_environment_wins(up, folder):
    (folder / ".env").write_text("A=written\nB=written\n")
    running = up("web: sh -c 'echo $A $B; exec cat /dev/null'\n", B="real")
    running.lines.until(r"\| written real")


def test_a_server_of_our_own_is_started_and_said_without_its_password(up, folder):
    running = up(f"web: sh -c 'echo at $REDIS_URL; exec {SERVE}'\n", "--services=redis")
    [port] = running.lines.until(r"\nREDIS_URL: redis://127.0.0.1:(\d+)/0\n")
    [own] = running.lines.until(r"web.1 +\| at (redis://:\w+@\S+)")
    assert own.endswith(f"@127.0.0.1:{port}/0")
    socket.create_connection(("127.0.0.1", port)).close()
    running.process.send_signal(signal.SIGTERM)
    code, _ = running.end()
    assert code == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_a_variable_replaces_a_server(up):
    url = "redis://127.0.0.1:1/0"
    running = up(f"web: {SERVE}\n", "--services=redis", REDIS_URL=url)
    running.lines.until("serving as")
    assert "starting servers" not in running.lines.text


@pytest.mark.parametrize(
    ("procfile", "options", "said"),
    [
        ("web: true", ["--procfile", "no"], "no: No such file or directory"),
        ("web", [], "Procfile, line 1: 'web' is not `name: command`"),
        ("web: true", ["--only", "wbe"], "no process 'wbe'; it has web"),
        ("web: true", ["--scale", "w=2"], "no process 'w'; it has web"),
        ("web: true", ["--scale", "web"], "--scale 'web': expected NAME=N"),
        ("web: nonesuch x", [], "web starts 'nonesuch', which is not found on PATH"),
        ("web: true", ["--services", "mongo"], "--services 'mongo': expected some"),
    ],
)
def test_wrong_use_is_one_clear_line_and_exit_code_2(up, procfile, options, said):
    code, text = up(procfile, *options).end()
    assert code == 2
    assert said in text
    assert len(text.strip().splitlines()) == 1


def test_a_wrong_setting_is_named(up):
    code, text = up("web: true", HEADWAY_GRACE="soon").end()
    assert code == 2
    assert "HEADWAY_GRACE='soon': expected a whole number" in text


def test_a_port_in_use_is_named_before_anything_starts(up):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        code, text = up(f"web: {SERVE}", "--port", str(port)).end()
    assert code == 2
    assert f"port {port} of 127.0.0.1 cannot be used by web: Address already" in text
    assert "serving" not in text


class Terminal(Lines):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("output", "no_color", "coloured"),
    [(Terminal(), "", True), (Terminal(), "1", False), (Lines(), "", False)],
)
def test_names_are_coloured_on_a_terminal_alone(
    monkeypatch, output, no_color, coloured
):
    monkeypatch.setenv("NO_COLOR", no_color)
    procfile = Procfile.parse("worker: echo hello")
    with Formation(procfile, environment=os.environ, output=output):
        output.until("hello")
    assert ("\x1b[" in output.text) is coloured


def test_a_negative_scale_is_refused():
    with pytest.raises(ConfigurationError, match="web=-1"):
        Formation(Procfile.parse("web: true"), environment={}, scale={"web": -1})


def test_output_that_nobody_reads_stops_nobody(folder):
    class Closed(Lines):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    procfile = Procfile.parse(f"worker: {WORK}", path=folder / "Procfile")
    with Formation(procfile, environment=os.environ, output=Closed()) as formation:
        finish_job(folder)
        deadline = monotonic() + PATIENCE
        while not formation.failures() and monotonic() < deadline:
            formation.wait(0.02)
        finish_job(folder)  # returns once the next one reads
    assert formation.failures()[0].code == 0
