"""The tasks of one application: by name, and nothing else ever runs."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from headway.allowed import Allowed, imported
from headway.errors import (
    ConfigurationError,
    TaskNotAllowedError,
    UnknownTaskError,
)
from headway.parameters import parameters
from headway.task import DefinedTask

#: Makes the task of an undecorated function, and of the name that travelled.
MakeTask = Callable[[Callable[..., Any], str], DefinedTask[..., Any]]


class Registry:
    """Finds a task by the name that travelled, importing only what may run."""

    def __init__(
        self, packages: tuple[str, ...], make_task: MakeTask, allow: Sequence[str] = ()
    ) -> None:
        """Name the tasks packages, and what else may run.

        Raises:
            ConfigurationError: `allow` is not a list of dotted names.
        """
        self.packages = packages
        self._allowed = Allowed(allow)
        self._make_task = make_task
        self._tasks: dict[str, DefinedTask[..., Any]] = {}
        self._plain_tasks: dict[str, DefinedTask[..., Any]] = {}

    def add(self, task: DefinedTask[..., Any]) -> None:
        """Register a task.

        Raises:
            ConfigurationError: another function has the same name.
        """
        there = self._tasks.get(task.name)
        if there and not _same_place(there.function, task.function):
            raise ConfigurationError(
                f"two tasks are named {task.name!r}: rename one of them"
            )
        self._tasks[task.name] = task

    def names(self) -> list[str]:
        """Return the names of all tasks registered so far."""
        return sorted(self._tasks)

    def resolve(self, name: str) -> DefinedTask[..., Any]:
        """Return the task of a name; nothing is imported but what may run.

        Raises:
            TaskNotAllowedError: the name is not one that may run.
            UnknownTaskError: it would be, but it leads to no function.
        """
        for known in (self._tasks, self._plain_tasks):
            if name in known:
                return known[name]
        module_name, _, attribute = name.rpartition(".")
        if self.covers(module_name):
            return self._of_the_packages(module_name, attribute)
        if self.allows(name):
            return self._plain(self._allowed.find(name), name)
        raise TaskNotAllowedError(f"{name!r} may not run: {self._way_out(name)}")

    def _way_out(self, name: str) -> str:
        if not self.packages:
            return (
                "it is not registered: no module that was imported here defines it. If "
                "it is another application's, send it to a queue that only that serves"
            )
        return (
            f"it is neither registered nor a function of the tasks package "
            f"({', '.join(self.packages)}). It was not imported. If it is meant to "
            f"run: App(allow=[{name!r}])"
        )

    def _of_the_packages(
        self, module_name: str, attribute: str
    ) -> DefinedTask[..., Any]:
        name = f"{module_name}.{attribute}"
        found = getattr(imported(module_name, name), attribute, None)
        if isinstance(found, DefinedTask):
            return found
        if inspect.isfunction(found) and found.__module__ == module_name:
            return self._plain(found, name)
        if found is None:
            raise UnknownTaskError(
                f"{name!r}: the module has no such function. Was it renamed or "
                "removed while jobs or schedules of it were there? Put it back under "
                "that name; `headway failed requeue` runs jobs that have failed"
            )
        raise TaskNotAllowedError(
            f"{name!r} may not run: it is not a function that {module_name} defines"
        )

    def _plain(self, function: Callable[..., Any], name: str) -> DefinedTask[..., Any]:
        # Kept, since a task learns its function's annotations only once.
        return self._plain_tasks.setdefault(name, self._make_task(function, name))

    def parameters(self, name: str) -> tuple[str, ...]:
        """Return the names of a task's parameters; its module is read, not imported."""
        module_name, _, function = name.rpartition(".")
        return parameters(module_name, function) if self.covers(module_name) else ()

    def is_task(self, name: str) -> bool:
        """Tell whether it is the name of a task that was defined as one."""
        return name in self._tasks

    def is_plain(self, name: str) -> bool:
        """Tell whether a function that may run was not made a task by its code."""
        return name in self._plain_tasks

    def allows(self, name: str) -> bool:
        """Tell whether a function elsewhere was named as one that may run."""
        return self._allowed.covers(name)

    def import_all(self) -> dict[str, Exception]:
        """Import every module of the packages; return those that failed, by name."""
        failed: dict[str, Exception] = {}
        for package in self.packages:
            for module_name in _modules_of(package, failed):
                _try_import(module_name, failed)
        return failed

    def covers(self, module_name: str) -> bool:
        """Tell whether a module belongs to the packages; `python -m` ones do not."""
        return not module_name.endswith(".__main__") and any(
            module_name == package or module_name.startswith(f"{package}.")
            for package in self.packages
        )


def _same_place(one: Callable[..., Any], other: Callable[..., Any]) -> bool:
    # A module that is imported again (a reloader, a test) brings the same function.
    return _file_of(one) == _file_of(other)


def _file_of(function: Callable[..., Any]) -> str | None:
    return inspect.getsourcefile(inspect.unwrap(function))


def _modules_of(package: str, failed: dict[str, Exception]) -> Iterator[str]:
    yield package
    if package in failed:
        return
    paths = getattr(importlib.import_module(package), "__path__", None)
    if paths is not None:
        for module in pkgutil.walk_packages(paths, f"{package}.", lambda _name: None):
            # `python -m tasks` is a command, not a task.
            if not module.name.endswith(".__main__"):
                yield module.name


def _try_import(module_name: str, failed: dict[str, Exception]) -> None:
    try:
        importlib.import_module(module_name)
    except Exception as error:  # noqa: BLE001 - one broken module spoils no other
        failed[module_name] = error
    except SystemExit as error:  # a script that lies among the tasks
        failed[module_name] = UnknownTaskError(f"it exits with {error.code!r}")
