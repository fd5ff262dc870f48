"""What a test has in its hands: a worker that runs, its jobs' marks, RQ's books."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic

from redis import Redis

from headway.job import Job

DEADLINE = 15.0


def until(
    condition: Callable[[], object], what: str, within: float = DEADLINE
) -> float:
    """Wait until something holds; return how many seconds that took."""
    begin, pause = monotonic(), threading.Event()
    while not condition():
        assert monotonic() - begin < within, f"not within {within:g} s: {what}"
        pause.wait(0.005)
    return monotonic() - begin


class Marks:
    """What the tasks have written down."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "marks").touch()

    def all(self) -> list[str]:
        return (self._folder / "marks").read_text().splitlines()

    def count(self, line: str) -> int:
        return self.all().count(line)

    def until(self, line: str, times: int = 1, within: float = DEADLINE) -> float:
        return until(
            lambda: self.count(line) >= times, f"{line!r} {times} times", within
        )

    def open(self, *gates: str) -> None:
        """Let jobs that wait at these gates go on."""
        for gate in gates:
            (self._folder / f"gate-{gate}").touch()

    def close(self, gate: str) -> None:
        """Keep jobs that come to this gate waiting again."""
        (self._folder / f"gate-{gate}").unlink()


class Worker:
    """A worker that runs, and what it says."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._said: list[str] = []
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        self._said.extend(iter(self.process.stdout.readline, ""))

    @property
    def said(self) -> str:
        return "".join(self._said)

    @property
    def children(self) -> list[int]:
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, within: float = DEADLINE) -> int:
        """Wait for its end; return the exit code."""
        code = self.process.wait(within)
        self._listener.join(2)
        return code

    def stop(self) -> int:
        self.send(signal.SIGTERM)
        return self.end()

    def close(self) -> None:
        """Leave nothing behind, whatever the test did to it."""
        for number in (signal.SIGCONT, signal.SIGKILL):
            if self.process.poll() is None:
                self.send(number)
        self.process.wait(DEADLINE)
        self._listener.join(2)


class Book:
    """RQ's books: where each job of a queue stands."""

    def __init__(self, store: Redis) -> None:
        self._store = store

    def waiting(self, queue: str = "default") -> list[str]:
        return [i.decode() for i in self._store.lrange(f"rq:queue:{queue}", 0, -1)]

    def of(self, registry: str, queue: str = "default") -> list[str]:
        key = f"rq:{registry}:{queue}"
        return [i.decode() for i in self._store.zrange(key, 0, -1)]

    def field(self, job: Job[object], name: str) -> str:
        return (self._store.hget(f"rq:job:{job.id}", name) or b"").decode()

    def results(self, job: Job[object]) -> int:
        return int(self._store.xlen(f"rq:results:{job.id}"))

    def leased(self) -> list[str]:
        return [
            job_id.decode()
            for key in self._store.keys("headway:lease:*")
            for job_id in self._store.hkeys(key)
        ]
