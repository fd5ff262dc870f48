from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from headway.cli.logs import Logs
from headway.cli.process import Process

#: Seconds before a process that ended is started again; doubles while it goes on
#: ending, up to the last, and starts afresh once it has lasted.
FIRST_DELAY, LAST_DELAY = 0.5, 30.0
LASTED = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """A process that ended though nobody of ours had asked it to."""

    name: str
    #: The exit code, or -N where signal N ended it.
    code: int
    #: How long it had run, in seconds.
    age: float
    at: float = field(default_factory=monotonic)

    def __str__(self) -> str:
        if self.code >= 0:
            return f"{self.name} ended with exit code {self.code}"
        return f"{self.name} was killed by {signal.Signals(-self.code).name}"


class Member:
    """One name of the formation, as `worker.1`, and the process that bears it now.

    A thread of its own starts the process, waits for it and starts the next.
    """

    def __init__(self, name: str, *, start: Callable[[], Process], logs: Logs) -> None:
        self.name = name
        self.failures: list[Ending] = []
        self._start = start
        self._logs = logs
        self._lock = threading.Lock()
        self._process: Process | None = None
        self._stopping = False
        self._hurry = threading.Event()
        #: Set when the process has ended and none will follow.
        self.ended = threading.Event()

    def start(self) -> None:
        """Start the process, and from now on its successors."""
        threading.Thread(target=self._keep, name=self.name, daemon=True).start()

    def stop(self) -> Process | None:
        """Ask the process to end, start no other; return the one to wait for."""
        with self._lock:
            self._stopping = True
            return self._terminate()

    def restart(self) -> Process | None:
        """Ask the process to end and have it followed at once; return it."""
        with self._lock:
            return self._terminate()

    def kill(self) -> None:
        """End the process at once, whatever it does."""
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def _terminate(self) -> Process | None:
        self._hurry.set()
        process = self._process
        if process is None or process.over.is_set():
            return None
        process.terminate()
        return process

    def _keep(self) -> None:
        delay = FIRST_DELAY
        while process := self._next():
            code = process.attend()
            if process.asked:
                continue
            if process.age >= LASTED:
                delay = FIRST_DELAY
            self._report(code, process.age, delay)
            self._hurry.wait(delay)
            delay = min(delay * 2, LAST_DELAY)
        self.ended.set()

    def _next(self) -> Process | None:
        while True:
            with self._lock:
                self._hurry.clear()
                self._process = None
                if self._stopping:
                    return None
                try:
                    self._process = self._start()
                except OSError as error:
                    self._logs.say(f"{self.name} could not be started: {error}")
                else:
                    return self._process
            self._hurry.wait(LAST_DELAY)

    def _report(self, code: int, age: float, delay: float) -> None:
        ending = Ending(name=self.name, code=code, age=age)
        self.failures.append(ending)
        self._logs.say(f"{ending}; starting it again in {delay:g} s")
