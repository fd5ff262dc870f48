"""Locks between processes, freed by the kernel however their holder ends.

A pid file goes stale, and pids mean nothing across containers that share a
folder; `flock` does not have either trouble, so "a keeper lives" is defined as
"its lock is held" and never as "its pid exists".
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from headway.errors import EmbeddedServerError

_PAUSE = 0.02


@contextmanager
def locked(path: Path, *, seconds: float) -> Generator[None]:
    """Hold the lock of that file for the block, after waiting for it.

    Raises:
        EmbeddedServerError: when another process kept it for `seconds`.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + seconds
        while not _take(descriptor, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                raise EmbeddedServerError(
                    f"another process has held {path} for {seconds:g} s: wait for "
                    f"it, or see who has it with `fuser {path}` and end that"
                )
            time.sleep(_PAUSE)
        yield
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Tell whether a process holds the lock of that file now."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not _take(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _take(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
