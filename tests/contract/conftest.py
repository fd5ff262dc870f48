"""One suite, several engines: what application code is promised by each of them."""

from __future__ import annotations

import contextlib
import importlib
import time
from collections.abc import Callable, Generator, Iterator
from types import ModuleType

import pytest

from headway import App, load_app
from headway.testing import in_memory
from tests.contract.arq_workers import Zygote
from tests.contract.carried import PROGRAMS, ByArq, Carried
from tests.contract.cells import CARRIED
from tests.contract.engines import (
    BETWEEN_LOOKS,
    DEADLINE,
    QUEUES,
    Engine,
    Memory,
    OnRedis,
    Stock,
)
from tests.contract.matrix import ASKED_BY, cell_of
from tests.contract.refusals import pytest_pyfunc_call  # noqa: F401 - a hook
from tests.rabbitmq import emptied

#: How much of what its workers have said is shown with a failure, in characters.
SHOWN = 5000


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each module on the engines that it names."""
    for name in ASKED_BY:
        if name in metafunc.fixturenames:
            engines = [
                e for e in metafunc.module.ENGINES if e != "memory" or name != "real"
            ]
            metafunc.parametrize(name, engines, indirect=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what the test's workers said."""
    report = yield
    said = item.funcargs["tmp_path"] / "said" if "tmp_path" in item.funcargs else None
    if report.failed and said and said.exists():
        report.sections.append(("what workers said", said.read_text()[-SHOWN:]))
    return report


@pytest.fixture
def chosen(request, monkeypatch) -> None:
    """The environment of a cell names its engine, and its servers."""
    cell = cell_of(request.node) or "memory"
    engine, _, broker = cell.partition("-")
    if engine != "memory":
        monkeypatch.setenv("REDIS_URL", request.getfixturevalue("redis_url"))
    if cell in CARRIED:
        monkeypatch.setenv("HEADWAY_ENGINE", engine)
    if broker == "rabbitmq":
        url = request.getfixturevalue("rabbitmq_url")
        monkeypatch.setenv("HEADWAY_BROKER_URL", url)
        emptied(url, QUEUES)


@pytest.fixture
def sample_app(sample, chosen, monkeypatch, tmp_path) -> Iterator[App]:
    monkeypatch.setenv("HEADWAY_APP", "sample_app:app")
    monkeypatch.setenv("SAMPLE_LOG", str(tmp_path / "log"))
    (tmp_path / "log").touch()
    app = load_app("sample_app:app")
    app.registry.import_all()
    yield app
    app.close()


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    """What forks workers of arq; started for who asks first."""
    with contextlib.closing(Zygote()) as made:
        yield made


@pytest.fixture
def engine(request, sample_app) -> Iterator[Engine]:
    """The application on an engine; see `cells.py`."""
    if request.param != "memory":
        yield from _real(request, sample_app)
        return
    tasks = importlib.import_module("sample_tasks.basic")
    with in_memory(sample_app) as harness:
        yield Memory(harness, tasks)


@pytest.fixture
def real(request, sample_app) -> Iterator[OnRedis]:
    """Those engines whose workers are processes."""
    yield from _real(request, sample_app)


def _real(request, app: App) -> Iterator[OnRedis]:
    url = request.getfixturevalue("redis_url")
    tasks = importlib.import_module("sample_tasks.basic")
    with contextlib.closing(_made(request, app, tasks, url)) as made:
        yield made


def _made(request, app: App, tasks: ModuleType, url: str) -> OnRedis:
    match request.param.partition("-")[0]:
        case "rq":
            return OnRedis(app, tasks, url)
        case "stock":
            return Stock(app, tasks, url)
        case "arq":
            return ByArq(app, tasks, url, request.getfixturevalue("zygote"))
        case engine:
            return Carried(app, tasks, url, PROGRAMS[engine])


@pytest.fixture
def log(tmp_path) -> Callable[[], list[str]]:
    """The lines that tasks have written, in their order."""
    return lambda: (tmp_path / "log").read_text().split()


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """Return once it is so; fail when it is not in time."""

    def wait(holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE
        while not holds():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(BETWEEN_LOOKS)

    return wait
