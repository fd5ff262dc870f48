from __future__ import annotations

import contextlib
import signal
from collections.abc import Generator
from threading import Event
from time import monotonic, sleep
from types import FrameType

#: Two signals closer than this are one key press that came by two ways: from the
#: terminal, and from a parent that passes on what it got.
_ONE_PRESS = 0.5
#: How often it is looked whether something has happened, in seconds.
_LOOK = 0.02


@contextlib.contextmanager
def signals_as_interrupts() -> Generator[None]:
    """Make SIGTERM and a closed terminal what Ctrl-C is: a KeyboardInterrupt."""
    last = float("-inf")

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal last
        now = monotonic()
        if now - last > _ONE_PRESS:
            last = now
            raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    previous = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, previous, strict=True):
            signal.signal(number, handler)


def wait_for(event: Event, timeout: float | None = None) -> bool:
    """Wait for an event, or for so many seconds; tell whether it came.

    An interrupt that is raised in the event's own `wait` may leave its lock taken, and
    whoever sets it afterwards would wait for that for ever.
    """
    until = float("inf") if timeout is None else monotonic() + timeout
    while not event.is_set():
        if monotonic() >= until:
            return False
        sleep(_LOOK)
    return True
