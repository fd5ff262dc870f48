"""The shape of the library: its floors, its names."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "src" / "headway"
NAMES_OF_NOTHING = {"base", "common", "core", "helpers", "manager", "misc", "utils"}


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-logo", "--no-cache"],
        cwd=root,
        env={"PYTHONPATH": str(root / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(LIBRARY, tmp_path / "src" / "headway")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_file_imports_only_from_floors_below():
    looked = lint_imports(ROOT)
    assert looked.returncode == 0, looked.stdout


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("import headway.app", "headway.errors is not allowed to import headway.app"),
        ("import tasks", "headway is not allowed to import tasks"),
    ],
)
def test_an_import_upwards_is_seen(copy, line, said):
    with (copy / "src" / "headway" / "errors.py").open("a") as errors:
        errors.write(f"\n{line}\n")
    looked = lint_imports(copy)
    assert looked.returncode == 1
    assert said in looked.stdout


def test_a_file_without_a_floor_is_seen(copy):
    (copy / "src" / "headway" / "attic.py").touch()
    looked = lint_imports(copy)
    assert looked.returncode == 1
    assert "attic" in looked.stdout


def test_each_file_is_named_after_one_thing():
    named = {path.stem for path in LIBRARY.rglob("*.py")}
    assert named.isdisjoint(NAMES_OF_NOTHING)


def test_the_library_never_imports_an_application():
    for path in LIBRARY.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            tops = {name.partition(".")[0] for name in imported(node)}
            assert tops.isdisjoint({"queues", "tasks", "dashboard"}), path


def imported(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=str(module), level=0):
            return [module]
        case ast.ImportFrom():
            pytest.fail(f"a relative import in line {node.lineno}")
        case _:
            return []
