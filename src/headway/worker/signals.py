"""The signals that a supervisor hears, without being interrupted by them."""

from __future__ import annotations

import atexit
import select
import signal
import socket
from time import monotonic
from types import FrameType
from typing import Any, Self

_STOP = (signal.SIGTERM, signal.SIGINT)
#: How long a process may take to exit when nothing is left to be done, in seconds.
_EXIT = 5.0


class Signals:
    """Remembers what it is told, and ends a wait at any signal.

    Who was told to stop does not hear it again for a while: a platform may repeat it
    when nothing is left to be done but to exit.
    """

    def __init__(self) -> None:
        self._told: list[int] = []
        self._is_told_to_stop = False
        self._left_at = 0.0
        self._ears, self._mouth = socket.socketpair()
        self._ears.setblocking(False)  # noqa: FBT003 - the standard library's own
        self._mouth.setblocking(False)  # noqa: FBT003 - the standard library's own
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._wakeup = signal.set_wakeup_fd(
            self._mouth.fileno(), warn_on_full_buffer=False
        )
        for number in (*_STOP, signal.SIGQUIT):
            self._before[number] = signal.signal(number, self._tell)
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, _heard)
        return self

    def heeded(self) -> list[signal.Signals]:
        """Return what was told since the last look: each signal once, in order."""
        told, self._told = self._told, []
        return [signal.Signals(number) for number in dict.fromkeys(told)]

    def _tell(self, number: int, _frame: FrameType | None) -> None:
        # Nothing more: this interrupts the supervisor wherever it is.
        self._told.append(number)
        self._is_told_to_stop |= number in _STOP

    def wait(self, seconds: float) -> None:
        """Return after the seconds, or as soon as a signal came."""
        if select.select([self._ears], [], [], seconds)[0]:
            self._ears.recv(4096)

    def __exit__(self, *_exc: object) -> None:
        self._left_at = monotonic()
        if self._is_told_to_stop:
            atexit.register(_hear_nothing)
        for number, handler in self._before.items():
            is_told = self._is_told_to_stop and number in _STOP
            signal.signal(number, self._hear_later if is_told else handler)
        signal.set_wakeup_fd(self._wakeup)
        self._ears.close()
        self._mouth.close()

    def _hear_later(self, number: int, _frame: FrameType | None) -> None:
        if monotonic() - self._left_at < _EXIT:
            return
        signal.signal(number, self._before[number])
        signal.raise_signal(number)


def _hear_nothing() -> None:
    """Ignore what ends a process that is about to exit: handlers are taken out then."""
    for number in _STOP:
        signal.signal(number, signal.SIG_IGN)


def _heard(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: a signal that has a handler ends the wait."""
