"""The workers of other engines, as `headway worker` becomes them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from importlib.util import find_spec
from typing import Any, NoReturn

from headway.errors import ConfigurationError
from headway.settings import Settings
from headway.worker.declaration import Declared

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
#: Beyond the grace: a job that is broken off is given back.
_SPARE = timedelta(seconds=5)

Given = Mapping[str, Any]


def engine_of(queues: Sequence[Declared]) -> str:
    """Return the one engine that serves these queues.

    Raises:
        ConfigurationError: they have several, and what to type for each.
    """
    by_engine: dict[str, list[str]] = {}
    for queue in queues:
        by_engine.setdefault(queue.engine, []).append(queue.name)
    if len(by_engine) > 1:
        commands = [
            f"`headway worker {' '.join(names)}`" for names in by_engine.values()
        ]
        raise ConfigurationError(
            f"these queues have several engines ({', '.join(by_engine)}): a worker "
            f"serves those of one, so start {' and '.join(commands)}"
        )
    return next(iter(by_engine))


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
    environment = dict(os.environ)
    if "lease" in given:
        environment["HEADWAY_LEASE"] = str(given["lease"])
    os.execvpe(python, [python, "-m", *arguments], environment)  # noqa: S606 - no shell


def _refuse_others(engine: str, given: Given) -> None:
    for name in given:
        if name not in OPTIONS[engine]:
            option = f"--{name.replace('_', '-')}"
            instead = (
                "run `headway scheduler` beside it"
                if name == "with_scheduler"
                else f"it has {', '.join(sorted(OPTIONS[engine]))}"
            )
            raise ConfigurationError(
                f"{option}: the worker of {engine} has no such option; {instead}"
            )


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
