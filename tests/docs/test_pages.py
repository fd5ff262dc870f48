from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.blocks import LANGUAGES, PICTURES, follow
from tests.docs.project import ROOT, Project

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
OPENING = re.compile(r"^ *```(\w*)\s*$", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_says_works(page: Path, project: Project):
    follow(page, project)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_of_a_page_has_a_language_that_is_tested(page: Path):
    languages = OPENING.findall(page.read_text())[::2]
    assert set(languages) <= {*LANGUAGES, *PICTURES}
