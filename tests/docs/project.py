"""The folder that a page's reader would have: files, a shell, a Python, workers."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Self

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
#: What pages write where a reader puts the address of their own server.
WRITTEN_URL = "redis://localhost:6379/0"
SECONDS = 60
EXPORT = re.compile(r"export (\w+)=(.*)")


class Project:
    """A reader who does what a page says."""

    def __init__(self, folder: Path, *, redis_url: str) -> None:
        self.folder = folder
        self._redis_url = redis_url
        self._python: Python | None = None
        self._background: list[Background] = []
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "REDIS_URL": redis_url,
            "PORT": str(_free_port()),
            "PYTHONDONTWRITEBYTECODE": "1",  # a file may be rewritten within a second
        }
        self.environment.pop("PYTHONPATH", None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop_python()
        for process in self._background:
            process.stop()

    def write(self, name: str, text: str, *, append: bool) -> None:
        """Write a file of the page; the next block begins with a fresh Python."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent != self.folder and path.suffix == ".py":
            (path.parent / "__init__.py").touch()
        with path.open("a" if append else "w") as file:
            file.write(self._mine(text))
        self._stop_python()

    def run_python(self, source: str, *, path: str, line: int, session: bool) -> str:
        """Run a block; return what is wrong with it, or an empty text."""
        if self._python is None:
            self._python = Python(self.folder, self.environment)
        return self._python.ask(
            {
                "source": self._mine(source),
                "path": path,
                "line": line,
                "session": session,
            }
        )

    def run(self, command: str) -> tuple[int, str]:
        """Run a command; return how it ended, and what it printed."""
        if found := EXPORT.fullmatch(command):
            status, value = self._bash(f"printf %s {found[2]}")
            self.environment[found[1]] = value
            return status, value if status else ""
        return self._bash(command)

    def _bash(self, command: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "-c", self._mine(command)],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return done.returncode, done.stdout

    def start(self, command: str, *, until: str, instead: bool) -> str:
        """Start what goes on; return what is wrong if it does not say `until`."""
        while instead and self._background:
            self._background.pop().stop()
        process = Background(self._mine(command), self.folder, self.environment)
        self._background.append(process)
        return process.wait_for(until)

    def _mine(self, text: str) -> str:
        return text.replace(WRITTEN_URL, self._redis_url)

    def _stop_python(self) -> None:
        if self._python is not None:
            self._python.stop()
            self._python = None


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class Python:
    """A Python in the project's folder that keeps its names from block to block."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, str(HERE / "interpreter.py"), str(theirs.fileno())],
                cwd=folder,
                env=environment,
                pass_fds=[theirs.fileno()],
            )
        ours.settimeout(SECONDS)
        self._socket, self._stream = ours, ours.makefile("rw")

    def ask(self, request: dict[str, object]) -> str:
        self._stream.write(json.dumps(request) + "\n")
        self._stream.flush()
        wrong: str = json.loads(self._stream.readline() or '"Python went away"')
        return wrong

    def stop(self) -> None:
        self._stream.close()
        self._socket.close()
        self._process.kill()
        self._process.wait()


class Background:
    """A command that a reader leaves running in another terminal."""

    def __init__(self, command: str, folder: Path, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._output: list[str] = []
        self._changed = threading.Condition()
        self._over = False
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            with self._changed:
                self._output.append(line)
                self._changed.notify_all()
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def wait_for(self, text: str) -> str:
        with self._changed:
            self._changed.wait_for(
                lambda: self._over or text in "".join(self._output), SECONDS
            )
            output = "".join(self._output)
        return "" if text in output else f"it never said {text!r}:\n{output}"

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=SECONDS)
        finally:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            self._reader.join()
            if self._process.stdout:
                self._process.stdout.close()
