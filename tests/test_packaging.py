"""What is shipped, what it asks for, and what lies at the top of the tree."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from headway.cli.procfile import Procfile
from headway.settings import Settings

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]

#: The whole top level, as the design lists it. A new entry is a decision.
LISTING = {
    *(".ci", ".env.example", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md"),
    *("LICENSE", "Procfile", "README.md", "SECURITY.md", "dashboard", "docs"),
    *("pyproject.toml", "queues.py", "requirements", "scripts", "src", "tasks"),
    *("benchmarks", "tests"),
}


def python(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, capture_output=True, text=True, check=False
    )


def pip(*words: str) -> subprocess.CompletedProcess[str]:
    return python("-m", "pip", "--disable-pip-version-check", *words)


def requirements(*names: str) -> list[Requirement]:
    """Return what those extras ask for, `headway[...]` among it followed."""
    found: list[Requirement] = []
    for name in names:
        for written in EXTRAS[name]:
            requirement = Requirement(written)
            if requirement.name == "headway":
                found += requirements(*requirement.extras)
            else:
                found.append(requirement)
    return found


def pins(name: str) -> dict[str, Version]:
    lines = (ROOT / "requirements" / name).read_text().splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith(("#", "-r "))]
    return {canonicalize_name(package): Version(version) for package, version in pairs}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    built = python("-m", "hatchling", "build", "-t", "wheel", "-d", str(folder))
    assert built.returncode == 0, built.stderr
    [path] = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_headway_alone(wheel):
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert tops == {"headway", f"headway-{PROJECT['version']}.dist-info"}


def test_the_wheel_holds_every_file_of_the_library(wheel):
    there = {
        str(path.relative_to(ROOT / "src"))
        for path in (ROOT / "src" / "headway").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert there <= set(wheel.namelist())
    assert "headway/py.typed" in there


def test_the_wheel_brings_the_command_and_the_licence(wheel):
    [points] = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert "headway = headway.cli:main" in wheel.read(points).decode()
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout")
def test_the_top_level_is_the_listing_of_the_design():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    tops = {line.partition("/")[0] for line in listed.stdout.splitlines()}
    assert tops == LISTING


def test_every_extra_has_a_known_name_and_valid_ranges():
    assert set(EXTRAS) >= {
        *("postgres", "graph", "dashboard", "embedded", "minilm", "gpu"),
        *("rq-scheduler", "solar", "celery", "dramatiq", "arq", "docs", "dev"),
    }
    for name in EXTRAS:
        for requirement in requirements(name):
            assert requirement.specifier, f"{name}: {requirement} has no range"


def test_the_base_leaves_room_for_arq_and_for_celery():
    [redis] = [
        requirement
        for requirement in map(Requirement, PROJECT["dependencies"])
        if requirement.name == "redis"
    ]
    for version in ("5.0.1", "5.3.1", "6.4.0", "8.1.0"):
        assert version in redis.specifier


@pytest.mark.parametrize("name", ["run.txt", "dev.txt", "minilm.txt", "arq.txt"])
def test_requirements_are_pinned_and_name_no_registry(name):
    text = (ROOT / "requirements" / name).read_text()
    assert text.startswith("# ")
    assert "scripts/pin" in text
    for line in text.splitlines():
        assert re.fullmatch(r"#.*|-r run\.txt|[A-Za-z0-9._-]+==[0-9][\w.]*", line)


@pytest.mark.parametrize(
    ("name", "extras"),
    [
        ("run.txt", ["postgres", "graph", "ingest", "dashboard", "embedded"]),
        ("dev.txt", ["dev"]),
        ("minilm.txt", ["minilm"]),
        ("arq.txt", ["postgres", "graph", "ingest", "dashboard", "embedded", "arq"]),
    ],
)
def test_pins_are_within_the_ranges_of_the_project(name, extras):
    pinned = pins(name) if name == "arq.txt" else pins("run.txt") | pins(name)
    asked = [*map(Requirement, PROJECT["dependencies"]), *requirements(*extras)]
    for requirement in asked:
        version = pinned[canonicalize_name(requirement.name)]
        assert version in requirement.specifier, f"{name}: {requirement} but {version}"


@pytest.mark.parametrize("name", ["run.txt", "dev.txt"])
def test_pins_install_on_the_oldest_python(name):
    oldest = "3.11.2"  # Debian 12's; packages do ask for >=3.11.5
    for package in pins(name):
        served = metadata(package).get("Requires-Python") or ""
        assert oldest in SpecifierSet(served), f"{package} wants Python {served}"


def test_no_script_names_a_registry():
    files = [ROOT / "pyproject.toml", ROOT / ".ci" / "run", *ROOT.glob("scripts/*")]
    for path in files:
        if path.is_file():
            found = re.search(
                r"(index|find)-(url|links)|pypi\.|https?:", path.read_text()
            )
            assert found is None, f"{path.name}: {found}"


@pytest.fixture(scope="module")
def registry() -> None:
    """Be skipped where pip reaches no packages at all, as on a plane."""
    probe = pip("download", "-q", "--no-deps", "-d", "/dev/null", "rq==3.0.0")
    if "No matching distribution" in probe.stderr:
        pytest.skip("pip reaches no packages here")


@pytest.mark.parametrize(
    ("extra", "redis"),
    [
        *(("celery", (6, 4)), ("dramatiq", (6, 4)), ("celery,dramatiq", (6, 4))),
        ("arq", (5,)),
    ],
)
def test_an_engine_resolves_beside_the_base(registry, extra, redis):
    resolved = pip(
        *("install", "-q", "--dry-run", "--ignore-installed", "--no-build-isolation"),
        *("--report", "-", f".[{extra}]"),
    )
    assert resolved.returncode == 0, resolved.stderr
    found = {
        canonicalize_name(entry["metadata"]["name"]): entry["metadata"]["version"]
        for entry in json.loads(resolved.stdout)["install"]
    }
    assert found["rq"] == "3.0.0"
    assert Version(found["redis"]).release[: len(redis)] >= redis
    assert (Version(found["redis"]) < Version("6")) is (extra == "arq")


def test_arq_has_the_packages_of_all_others_but_for_redis():
    ours, others = pins("arq.txt"), pins("run.txt")
    different = {name for name, version in others.items() if ours[name] != version}
    assert different == {"redis"}
    assert Version("5") <= ours["redis"] < Version("6")


HEAVY = ("arq", "celery", "dramatiq", "flask", "neo4j", "psycopg", "rq", "watchfiles")


def test_importing_headway_is_cheap():
    shown = python("-c", "import sys, headway; print(*sys.modules)")
    assert shown.returncode == 0, shown.stderr
    loaded = set(shown.stdout.split())
    assert "headway" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_the_guard_of_headway_up_imports_nothing_of_ours():
    guard = ROOT / "src" / "headway" / "cli" / "guard.py"
    assert "headway" not in re.findall(r"^(?:import|from) (\w+)", guard.read_text())


def test_the_procfile_names_the_four_processes():
    procfile = Procfile.read(ROOT / "Procfile")
    assert set(procfile.commands) == {"web", "worker", "gpu", "scheduler"}


def test_the_example_of_settings_names_them_all_and_its_values_hold():
    text = (ROOT / ".env.example").read_text()
    examples = dict(re.findall(r"^#([A-Z0-9_]+)=(.*)$", text, flags=re.MULTILINE))
    assert set(examples) >= {
        *("REDIS_URL", "DATABASE_URL", "NEO4J_URI", "NEO4J_USERNAME"),
        *("NEO4J_PASSWORD", "PORT", "HEADWAY_APP", "HEADWAY_DATA"),
        *("HEADWAY_DASHBOARD_HOST", "HEADWAY_GRACE", "HEADWAY_SECRET"),
        *("LOG_LEVEL", "LOG_FORMAT", "RQ_KEY_PREFIX"),
    }
    assert {"REDIS_TLS_URL", "REDISCLOUD_URL", "RQ_REDIS_URL"} <= set(
        re.findall(r"[A-Z_]+", text)
    )
    Settings.from_environment(examples)


SCRIPTS = sorted(path.name for path in (ROOT / "scripts").iterdir())


@pytest.mark.parametrize("name", [*SCRIPTS, "../.ci/run"])
def test_a_script_can_be_started_and_read(name):
    path = ROOT / "scripts" / name
    assert os.access(path, os.X_OK)
    shell = path.read_text().partition("\n")[0].removeprefix("#!").split()
    read = subprocess.run([*shell, "-n", path], capture_output=True, check=False)
    assert read.returncode == 0, read.stderr


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Return a copy of all that set-up looks at, in a path with a space."""
    root = tmp_path / "a checkout"
    for name in ("scripts", "requirements"):
        shutil.copytree(ROOT / name, root / name)
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


def set_up(root: Path, **environment: str) -> tuple[int, str]:
    ended = subprocess.run(
        [root / "scripts" / "setup", "run"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stderr


def test_a_machine_without_python_is_told_what_to_type(elsewhere):
    code, said = set_up(elsewhere, PYTHON="python9")
    assert code == 1
    assert "no Python 3.11 or newer among: python9" in said
    assert "apt-get install -y python3 python3-venv" in said


def test_a_machine_without_venv_is_told_what_to_type(elsewhere):
    crippled = elsewhere.parent / "python"
    crippled.write_text(
        "#!/bin/sh\n"
        'case "$2" in *ensurepip* | *"import pip"*) exit 1 ;; esac\n'
        f'exec "{sys.executable}" "$@"\n'
    )
    crippled.chmod(0o755)
    code, said = set_up(elsewhere, PYTHON=str(crippled))
    assert code == 1
    assert "cannot make virtual environments" in said
    assert "apt-get install -y python3-venv" in said
