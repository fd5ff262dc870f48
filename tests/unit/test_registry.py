from __future__ import annotations

import sys

import pytest

from headway import App, Queue
from headway.app import load_app
from headway.errors import ConfigurationError, TaskNotAllowedError, UnknownTaskError
from headway.testing import in_memory


@pytest.fixture
def app(sample):
    return load_app("sample_app:app")


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "subprocess.check_output",
        "builtins.eval",
        "eval",
        "",
        ".",
        "antigravity.fly",
        "sample_app.app.task",
        "sample_tasks_of_another.run",
        "sample_tasks.imported.system",
        "sample_tasks.imported.join",
        "sample_tasks.imported.os",
        "sample_tasks.basic.Path",
        "sample_tasks.basic.Flaky",
        "sample_tasks.basic.AT_ONCE",
        "sample_tasks.basic.current_job",
        "sample_tasks.__main__.run",
    ],
)
def test_what_is_no_function_of_the_tasks_may_not_run(app, name):
    with pytest.raises(TaskNotAllowedError, match="may not run"):
        app.registry.resolve(name)


@pytest.mark.parametrize(
    "name",
    [
        "sample_tasks.imported.os.system",
        "sample_tasks.imported.os.path.join",
        "sample_tasks.basic.Holder.nested",
        "sample_tasks.basic.add.enqueue",
        "sample_tasks..basic.add",
        "sample_tasks.basic.renamed",
        "sample_tasks.nowhere.run",
        "sample_tasks.broken.run",
    ],
)
def test_a_name_that_leads_to_no_function_of_the_tasks_is_unknown(app, name):
    with pytest.raises(UnknownTaskError, match="sample_tasks"):
        app.registry.resolve(name)


def test_a_module_outside_of_the_tasks_is_not_even_imported(app, tmp_path, monkeypatch):
    (tmp_path / "sample_trap.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(TaskNotAllowedError, match="It was not imported"):
        app.registry.resolve("sample_trap.run")
    assert "sample_trap" not in sys.modules


def test_tasks_and_plain_functions_of_the_package_are_found(app):
    assert app.registry.resolve("sample_tasks.basic.add")(1, 2) == 3
    plain = app.registry.resolve("sample_tasks.basic.plain")
    assert plain.name == "sample_tasks.basic.plain"
    assert app.registry.resolve("sample_tasks.basic._write").function


def test_a_renamed_function_says_what_may_have_happened(app):
    with pytest.raises(UnknownTaskError, match="Was it renamed or removed"):
        app.registry.resolve("sample_tasks.basic.old_name")


def test_a_broken_module_fails_by_its_name_and_spoils_no_other(app):
    failed = app.registry.import_all()
    assert list(failed) == ["sample_tasks.broken"]
    assert "a_module_that_is_not_there" in str(failed["sample_tasks.broken"])
    assert app.registry.resolve("sample_tasks.basic.add")


def test_a_script_among_the_tasks_does_not_end_the_worker(app, tmp_path, monkeypatch):
    (tmp_path / "sample_scripts").mkdir()
    (tmp_path / "sample_scripts" / "__init__.py").touch()
    (tmp_path / "sample_scripts" / "leaves.py").write_text("import sys; sys.exit(3)")
    (tmp_path / "sample_scripts" / "stays.py").write_text("def run(): pass")
    (tmp_path / "sample_scripts" / "__main__.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(str(tmp_path))
    app.registry.packages = ("sample_scripts",)
    assert list(app.registry.import_all()) == ["sample_scripts.leaves"]
    assert "sample_scripts.stays" in sys.modules


def test_a_function_that_no_worker_would_run_is_refused_when_it_is_sent(app):
    from sample_tasks.basic import Holder

    from headway.settings import without_password

    for function in (without_password, Holder.nested):
        with pytest.raises(ConfigurationError, match="workers run functions of"):
            app.queues[0].enqueue(function)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nowhere:app", "nowhere cannot be imported from"),
        ("sample_app:nothing", "sample_app.nothing is missing"),
        ("sample_app:high", "sample_app.high is Queue, expected an App"),
        ("sample_wrong:app", "raises SyntaxError"),
        ("sample_refused:app", "expected one queue or more"),
        (
            "sample_lacking:app",
            r"raises ModuleNotFoundError: .*'no_such_.*lacking.py, line 2\)$",
        ),
        (
            "sample_of_celery:app",
            r"raises ImportError: .*use worker_process_init.*celery.py, line 1\)$",
        ),
    ],
)
def test_an_application_that_is_not_there_is_named(
    sample, tmp_path, monkeypatch, path, words
):
    (tmp_path / "sample_wrong.py").write_text("app = (")
    (tmp_path / "sample_refused.py").write_text(
        "from headway import App\napp = App(queues=[], tasks='t')"
    )
    (tmp_path / "sample_lacking.py").write_text("import os\nimport no_such_library\n")
    (tmp_path / "sample_of_celery.py").write_text(
        "from headway.shims.celery.signals import worker_ready"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigurationError, match=words):
        load_app(path)


def test_an_application_of_another_kind_brings_one_of_ours(
    sample, tmp_path, monkeypatch
):
    (tmp_path / "sample_other.py").write_text(
        "from headway import App, Queue\n"
        "class Other:\n"
        "    def loaded_app(self):\n"
        "        return App(queues=[Queue('its')], tasks='t')\n"
        "app = Other()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert [queue.name for queue in load_app("sample_other:app").queues] == ["its"]


LIBRARY = """
import os, time
from os.path import join
from functools import partial, wraps

def run(): return "ran"

def wrapping(function):
    @wraps(function)
    def wrapper(): return function()
    return wrapper

@wrapping
def wrapped(): return "wrapped"

class Jobs:
    @classmethod
    def of_class(cls): return cls.__name__
    @staticmethod
    def of_none(): return "static"

class Callable:
    def __call__(self): return "called"
    def method(self): return "method"

it, part, text = Callable(), partial(run), "a text"
"""


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A package outside of the tasks, that another application brings."""
    folder = tmp_path / "sample_library"
    folder.mkdir()
    (folder / "__init__.py").write_text("from sample_library.jobs import run")
    (folder / "jobs.py").write_text(LIBRARY)
    (folder / "broken.py").write_text("import a_module_that_is_not_there")
    monkeypatch.syspath_prepend(str(tmp_path))


def allowing(*names: str) -> App:
    return App(queues=[Queue("default")], tasks="sample_tasks", allow=names)


@pytest.mark.parametrize(
    ("allowed", "name", "returned"),
    [
        ("sample_library", "sample_library.jobs.run", "ran"),
        ("sample_library", "sample_library.run", "ran"),
        ("sample_library.jobs", "sample_library.jobs.wrapped", "wrapped"),
        ("sample_library.jobs", "sample_library.jobs.Jobs.of_class", "Jobs"),
        ("sample_library.jobs.Jobs", "sample_library.jobs.Jobs.of_none", "static"),
        ("sample_library.jobs.run", "sample_library.jobs.run", "ran"),
        ("sample_library.jobs.it", "sample_library.jobs.it", "called"),
        ("sys.getdefaultencoding", "sys.getdefaultencoding", "utf-8"),
    ],
)
def test_what_is_allowed_runs(library, allowed, name, returned):
    app = allowing(allowed)
    task = app.registry.resolve(name)
    assert (task.name, task()) == (name, returned)
    assert app.registry.resolve(name) is task


@pytest.mark.parametrize(
    ("allowed", "name"),
    [
        ("sample_library", "sample_library.jobs.os"),
        ("sample_library", "sample_library.jobs.join"),
        ("sample_library", "sample_library.jobs.partial"),
        ("sample_library", "sample_library.jobs.Jobs"),
        ("sample_library", "sample_library.jobs.Jobs.mro"),
        ("sample_library", "sample_library.jobs.it"),
        ("sample_library", "sample_library.jobs.text"),
        ("sample_library.jobs.text", "sample_library.jobs.text"),
    ],
)
def test_what_an_allowed_module_only_holds_may_not_run(library, allowed, name):
    with pytest.raises(TaskNotAllowedError, match="no function that an allowed module"):
        allowing(allowed).registry.resolve(name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sample_library.jobs.gone", "sample_library.jobs has no such function"),
        ("sample_library.gone.run", "has no such function"),
        ("sample_library.jobs.os.system", "has no such function"),
        ("sample_library.jobs.it.method", "has no such function"),
        ("sample_library.jobs.part.func", "has no such function"),
        ("sample_library.jobs.run.__globals__.clear", "has no such function"),
        ("sample_library.broken.run", "a_module_that_is_not_there"),
    ],
)
def test_an_allowed_name_that_leads_nowhere_is_unknown(library, name, words):
    with pytest.raises(UnknownTaskError, match=words):
        allowing("sample_library").registry.resolve(name)


def test_what_may_not_run_says_how_it_would(library):
    app = allowing("sample_library.jobs.run")
    with pytest.raises(
        TaskNotAllowedError, match=r"App\(allow=\['sample_library.run'\]\)"
    ):
        app.registry.resolve("sample_library.run")
    with pytest.raises(TaskNotAllowedError):
        app.registry.resolve("sample_library.jobs.running")


def test_an_allowed_function_is_sent_like_any_other(library):
    from sample_library.jobs import run, wrapped

    app = allowing("sample_library.jobs.run")
    with in_memory(app):
        assert app.queues[0].enqueue(run).result() == "ran"
    with pytest.raises(
        ConfigurationError, match=r"App\(allow=\['sample_library.jobs.wrapped'\]\)"
    ):
        app.queues[0].enqueue(wrapped)


def test_a_function_that_does_not_tell_its_parameters_is_called_as_it_is_sent():
    assert allowing("builtins.max").registry.resolve("builtins.max")(1, 3) == 3
    app = allowing("builtins.max")
    with in_memory(app):
        task = app.registry.resolve("builtins.max")
        assert task.enqueue(1, 3).result() == 3


@pytest.mark.parametrize("names", ["a.b", ["a b"], [""], ["a."], [max]])
def test_what_is_allowed_is_a_list_of_names(names):
    with pytest.raises(ConfigurationError, match="by their dotted names"):
        App(queues=[Queue("default")], tasks="t", allow=names)
