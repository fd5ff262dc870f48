from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.project import Project


@pytest.fixture
def project(redis_url, tmp_path: Path) -> Iterator[Project]:
    """An empty folder, and an emptied server of our own, for one page."""
    with Project(tmp_path, redis_url=redis_url) as project:
        yield project
