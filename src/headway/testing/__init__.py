"""Test code that enqueues: without servers, at once or when the test says so."""

from __future__ import annotations

from headway.testing.clock import MovedClock
from headway.testing.harness import Harness, in_memory

__all__ = ["Harness", "MovedClock", "in_memory"]
