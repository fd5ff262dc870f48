"""Times and interrupts of jobs that run in threads which are another engine's."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from headway.worker.threads import raise_into, timeout_of_thread

#: How often deadlines are looked at, in seconds; and how often one is told again.
LOOK, AGAIN = 0.05, 1.0


# Not frozen: it is the state of a job that runs.
@dataclass(slots=True, eq=False)
class _Timed:
    thread: int
    seconds: float
    until: float
    error: type[BaseException] | None = None


class Deadlines:
    """Raises into threads whose jobs have run too long, or are to be broken off.

    Not into C code; and not once a job is over.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._timed: dict[int, _Timed] = {}
        self._watcher: threading.Thread | None = None

    def begin(self, seconds: float) -> None:
        """Allow the job of this thread that many seconds; none or less for ever."""
        me = threading.get_ident()
        until = time.monotonic() + seconds if seconds > 0 else float("inf")
        with self._lock:
            self._timed[me] = _Timed(me, seconds, until)
            if self._watcher is None:
                self._watcher = threading.Thread(
                    target=self._watch, name="headway-deadlines", daemon=True
                )
                self._watcher.start()

    def end(self) -> None:
        """Say that it is over: nothing is raised into this thread any more."""
        me = threading.get_ident()
        with self._lock:
            self._timed.pop(me, None)
            raise_into(me, None)

    def break_off(self, thread: int, error: type[BaseException]) -> None:
        """Raise into the job of a thread, again and again until it is over."""
        with self._lock:
            if (timed := self._timed.get(thread)) is not None:
                timed.error, timed.until = error, 0.0

    def _watch(self) -> None:
        while True:
            time.sleep(LOOK)
            now = time.monotonic()
            with self._lock:
                for timed in self._timed.values():
                    if now >= timed.until:
                        error = timed.error or timeout_of_thread(timed.seconds)
                        raise_into(timed.thread, error)
                        timed.until = now + AGAIN
