"""The types are a promise: two checkers hold it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FILES = (HERE / "wrong_calls.py", HERE / "right_calls.py")


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name(command[0])
    return subprocess.run(
        [str(program), *command[1:], *map(str, FILES)],
        cwd=ROOT,
        env=os.environ | {"MYPYPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _by_mypy(cache: Path) -> set[tuple[str, int]]:
    done = _run(
        "mypy",
        "--strict",
        "--config-file=",
        f"--cache-dir={cache}",
        "--output=json",
        "--disable-error-code=unused-coroutine",
    )
    found = [json.loads(line) for line in done.stdout.splitlines() if line[:1] == "{"]
    assert found, done.stdout + done.stderr
    return {
        (Path(each["file"]).name, each["line"])
        for each in found
        if each["severity"] == "error"
    }


def _by_pyright() -> set[tuple[str, int]]:
    done = _run("pyright", "--outputjson", "--pythonpath", sys.executable)
    return {
        (Path(each["file"]).name, each["range"]["start"]["line"] + 1)
        for each in json.loads(done.stdout)["generalDiagnostics"]
        if each["severity"] == "error"
    }


def _marked() -> set[tuple[str, int]]:
    lines = FILES[0].read_text().splitlines()
    return {
        (FILES[0].name, number)
        for number, line in enumerate(lines, start=1)
        if re.search(r"# E$", line)
    }


def test_at_least_thirty_wrong_calls_are_tried():
    assert len(_marked()) >= 40


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_each_wrong_call_is_refused_and_no_right_one(checker):
    cache = ROOT / ".mypy_cache" / "typing"
    refused = _by_mypy(cache) if checker == "mypy" else _by_pyright()
    assert sorted(_marked() - refused) == [], f"{checker} accepts them"
    assert sorted(refused - _marked()) == [], f"{checker} refuses them"
