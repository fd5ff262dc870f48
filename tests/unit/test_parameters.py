from __future__ import annotations

import sys

import pytest

from headway import App, Queue

CODE = """
raise SystemExit("imported")

@task(retry=3)
def add(a, /, b: int = 1, *more, to="", **others): ...

async def fetch(url): ...

@app.task(bind=True)
def bound(self, page): ...

class Held:
    def add(self, x): ...
"""


@pytest.fixture
def named(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    package = tmp_path / "tasks_to_read"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "sums.py").write_text(CODE)
    (package / "broken.py").write_text("def add(:")
    app = App(queues=[Queue("default")], tasks="tasks_to_read")
    yield app.registry.parameters
    app.close()
    for name in [name for name in sys.modules if name.startswith("tasks_to_read")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("task", "names"),
    [("add", ("a", "b")), ("fetch", ("url",)), ("bound", ("page",))],
)
def test_parameters_are_read_and_their_module_is_not_imported(named, task, names):
    assert named(f"tasks_to_read.sums.{task}") == names
    assert "tasks_to_read.sums" not in sys.modules


@pytest.mark.parametrize(
    "task",
    ["sums.nobody", "sums.Held", "broken.add", "absent.add", "absent.deeper.add"],
)
def test_what_is_not_found_has_none(named, task):
    assert named(f"tasks_to_read.{task}") == ()


@pytest.mark.parametrize("task", ["os.path.join", "antigravity.fly", "add", "", "."])
def test_nothing_outside_the_tasks_packages_is_read(named, task):
    assert named(task) == ()
    assert "antigravity" not in sys.modules


def test_a_package_that_does_not_import_has_none(named, tmp_path):
    (tmp_path / "tasks_to_read" / "__init__.py").write_text("raise RuntimeError")
    assert named("tasks_to_read.sums.add") == ()
