"""The workers of other engines, as `headway worker` becomes them, or starts several."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from importlib.util import find_spec
from typing import Any, NoReturn

from headway.cli.formation import Formation
from headway.cli.interrupts import signals_as_interrupts
from headway.cli.procfile import Procfile
from headway.errors import ConfigurationError
from headway.settings import Settings
from headway.wire import client as wire_client
from headway.worker.declaration import Declared

log = logging.getLogger("headway.worker")

#: Options of `headway worker` that each has as well, in words of its own.
OPTIONS = {
    "celery": {
        "children",
        "lease",
        "max_jobs_per_child",
        "max_memory_per_child",
        "name",
        "threads",
    },
    "dramatiq": {"children", "lease", "threads"},
    "arq": {"burst", "concurrency", "lease", "threads"},
}
#: What ends a worker, or is its own, so that several cannot share it.
_OF_ONE = {"burst", "max_idle_time", "max_jobs", "name", "with_scheduler"}
#: Beyond the grace: a job that is broken off is given back.
_SPARE = timedelta(seconds=5)

Given = Mapping[str, Any]


def by_engine(queues: Sequence[Declared]) -> dict[str, list[str]]:
    """Return the names of these queues by the engine that serves them."""
    found: dict[str, list[str]] = {}
    for queue in queues:
        found.setdefault(queue.engine, []).append(queue.name)
    return found


def serve_side_by_side(
    queues: Mapping[str, Sequence[str]], given: Given, settings: Settings
) -> None:
    """Run a worker for the queues of each engine, until this process is told to stop.

    Raises:
        ConfigurationError: an option is not for all of them.
    """
    for engine in OPTIONS.keys() & queues.keys():
        _refuse_others(engine, given)
        _python(engine, settings)
    if own := sorted(_OF_ONE & given.keys()):
        starts = [f"`headway worker {' '.join(names)}`" for names in queues.values()]
        raise ConfigurationError(
            f"{_option(own[0])} is for one worker, and these queues have several "
            f"engines ({', '.join(queues)}): start {' and '.join(starts)}"
        )
    words = [f"{_option(name)}={value}" for name, value in given.items()]
    lines = [
        f"{engine}: {shlex.join(['headway', 'worker', *names, *words])}"
        for engine, names in queues.items()
    ]
    formation = Formation(
        Procfile.parse("\n".join(lines)),
        environment=os.environ,
        # Each leaves within four seconds more, and `headway up` waits for five.
        grace=settings.grace + timedelta(seconds=4.5),
    )
    with contextlib.suppress(KeyboardInterrupt), signals_as_interrupts(), formation:
        formation.wait()


def become(
    engine: str, queues: Sequence[str], given: Given, settings: Settings
) -> NoReturn:
    """Replace this process by the worker of an engine.

    Raises:
        ConfigurationError: it is not installed, or has no such option.
    """
    _refuse_others(engine, given)
    python = _python(engine, settings)
    arguments = [str(each) for each in _ARGUMENTS[engine](queues, given, settings)]
    wire_client.wait_until_up(settings.redis_url or "", say=log.warning)
    environment = dict(os.environ)
    if "lease" in given:
        environment["HEADWAY_LEASE"] = str(given["lease"])
    os.execvpe(python, [python, "-m", *arguments], environment)  # noqa: S606 - no shell


def _refuse_others(engine: str, given: Given) -> None:
    for name in given:
        if name not in OPTIONS[engine]:
            instead = (
                "run `headway scheduler` beside it"
                if name == "with_scheduler"
                else f"it has {', '.join(sorted(OPTIONS[engine]))}"
            )
            raise ConfigurationError(
                f"{_option(name)}: the worker of {engine} has no such option; {instead}"
            )


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _python(engine: str, settings: Settings) -> str:
    """Return the interpreter whose environment has the engine."""
    if find_spec(engine) is not None:
        return sys.executable
    if engine != "arq":
        raise ConfigurationError(
            f"{engine} is not installed: pip install 'headway[{engine}]'"
        )
    if settings.arq_python is None:
        raise ConfigurationError(
            "arq needs redis-py < 6: give it an environment of its own, with pip "
            "install 'headway[arq]', and run this there, or name its Python: "
            "HEADWAY_ARQ_PYTHON=.venv-arq/bin/python"
        )
    asks = [settings.arq_python, "-c", "import arq, headway"]
    try:
        subprocess.run(asks, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        why = (getattr(error, "stderr", "") or str(error)).strip().rpartition("\n")[2]
        raise ConfigurationError(
            f"HEADWAY_ARQ_PYTHON={settings.arq_python!r}: expected the Python of an "
            f"environment that has headway and arq: {why}"
        ) from error
    return settings.arq_python


def _celery(
    queues: Sequence[str], given: Given, settings: Settings
) -> Iterator[object]:
    threads, children = given.get("threads", 1), given.get("children")
    if threads > 1 and (children or 1) > 1:
        raise ConfigurationError(
            f"--children {children} --threads {threads}: a worker of celery has "
            "processes or threads; start several for both"
        )
    yield from ("celery", "-A", "headway.engines.celery", "worker")
    yield from ("-Q", ",".join(queues), "--loglevel", settings.log_level)
    # Two of the same name on one machine would take each other's messages to all.
    yield from ("-n", f"{given.get('name') or f'headway-{os.getpid()}'}@%h")
    if threads > 1:
        yield from ("--pool", "threads", "--concurrency", threads)
    else:
        yield from ("--concurrency", _children(given, settings))
    if (jobs := given.get("max_jobs_per_child")) is not None:
        yield from ("--max-tasks-per-child", jobs)
    if (memory := given.get("max_memory_per_child")) is not None:
        yield from ("--max-memory-per-child", memory * 1024)


def _dramatiq(
    queues: Sequence[str], given: Given, settings: Settings
) -> Iterator[object]:
    patience = settings.grace + _SPARE
    yield from ("dramatiq", "headway.engines.dramatiq")
    yield from ("--processes", _children(given, settings))
    yield from ("--threads", given.get("threads", 1))
    yield from ("--worker-shutdown-timeout", int(patience.total_seconds() * 1000))
    yield from ("--queues", *queues)


def _arq(queues: Sequence[str], given: Given, settings: Settings) -> Iterator[object]:  # noqa: ARG001 - as the others
    most = max(given.get("threads", 0), given.get("concurrency", 0))
    yield from ("headway.engines.arq", *queues)
    if most:
        yield from ("--max-jobs", most)
    if given.get("burst"):
        yield "--burst"


def _children(given: Given, settings: Settings) -> int:
    chosen: int | None = given.get("children")
    return (
        chosen or settings.children or settings.web_concurrency or os.cpu_count() or 1
    )


_ARGUMENTS: dict[str, Callable[[Sequence[str], Given, Settings], Iterator[object]]] = {
    "celery": _celery,
    "dramatiq": _dramatiq,
    "arq": _arq,
}
