"""A thread that listens for jobs while the main one sees to those that run."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from redis.exceptions import RedisError

from headway.worker.running import Ended


class Wakeup:
    """Listens for a wake-up in a thread, while the main one sees to what runs."""

    def __init__(
        self,
        listen: Callable[[float], None],
        ended: Ended,
    ) -> None:
        self._listen = listen
        self._ended = ended
        self._asked = threading.Event()
        threading.Thread(target=self._run, name="headway-waiter", daemon=True).start()

    @property
    def is_listening(self) -> bool:
        """Tell whether nothing has been heard since it was asked to."""
        return self._asked.is_set()

    def listen(self) -> None:
        """Put None into the queue as soon as there may be jobs."""
        self._asked.set()

    def _run(self) -> None:
        while True:
            self._asked.wait()
            with contextlib.suppress(RedisError):  # the main thread meets it, and waits
                self._listen(1.0)
            self._asked.clear()
            self._ended.put(None)
