"""One application, written to Celery's API: under Celery, then upon Headway."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, SAMPLE

SHOP = SAMPLE / "celery_shop"
PAGE = ROOT / "docs" / "how-to" / "from-celery.md"
#: The one change: where things are imported from.
IMPORT = re.compile(r"^from celery\b", re.MULTILINE)
WORKER = ("worker", "-Q", "celery,slow", "-c", "2", "-l", "ERROR")
CELERY = (("celery", "-A", "shop", *WORKER), ("celery", "-A", "shop", "beat"))
OURS = (("headway", "worker", "--children", "2"), ("headway", "scheduler"))
CARRIED = (
    ("celery", "-A", "headway.engines.celery", *WORKER),
    ("headway", "scheduler"),
)


@pytest.fixture
def printed(environment, start, tmp_path):
    """What the application prints, with these beside it."""

    def run(*beside, by, on):
        for source in SHOP.glob("*.py"):
            (tmp_path / source.name).write_text(
                IMPORT.sub(f"from {by}", source.read_text())
            )
        (tmp_path / "notes").touch()
        env = environment | {
            "HEADWAY_APP": "shop:app",
            "HEADWAY_ENGINE": on,
            "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT / "src")]),
            "SHOP_NOTES": str(tmp_path / "notes"),
        }
        for command in beside:
            start(*command, env=env)
        done = subprocess.run(
            [sys.executable, "drive.py"],
            env=env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.parametrize(
    ("by", "beside", "on"),
    [
        ("celery", CELERY, "rq"),
        ("headway.shims.celery", OURS, "rq"),
        ("headway.shims.celery", CARRIED, "celery"),
    ],
    ids=["celery", "headway", "headway-on-celery"],
)
def test_an_application_prints_the_same_whoever_runs_it(printed, by, beside, on):
    wanted = (SHOP / "printed.txt").read_text()
    assert printed(*beside, by=by, on=on) == wanted


def test_the_page_shows_the_application_and_what_it_prints():
    page = PAGE.read_text()
    assert (
        IMPORT.sub("from headway.shims.celery", (SHOP / "shop.py").read_text()) in page
    )
    for line in (SHOP / "printed.txt").read_text().splitlines():
        assert line in page


def test_the_application_is_written_to_celery_alone():
    imported = {
        line.split()[1].partition(".")[0]
        for source in SHOP.glob("*.py")
        for line in Path(source).read_text().splitlines()
        if line.startswith(("import ", "from "))
    }
    assert imported - set(sys.stdlib_module_names) == {"celery", "shop"}
