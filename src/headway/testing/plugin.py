"""Fixtures for pytest, there as soon as headway is installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from headway.app import App
    from headway.testing import Harness


@pytest.fixture(scope="session")
def headway_app() -> App:
    """The application of HEADWAY_APP; override this fixture to name another."""
    from headway.app import load_app  # a plugin must cost nothing until it is used
    from headway.settings import Settings

    return load_app(Settings.from_environment().app)


@pytest.fixture
def headway_jobs(headway_app: App) -> Iterator[Harness]:
    """Jobs kept in memory: look at them, then `drain()`."""
    from headway.testing import in_memory

    with in_memory(headway_app) as harness:
        yield harness


@pytest.fixture
def headway_inline(headway_jobs: Harness) -> Iterator[Harness]:
    """Jobs run in the very call that enqueues them."""
    with headway_jobs.inline():
        yield headway_jobs
