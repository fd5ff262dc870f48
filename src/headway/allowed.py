"""What may run although it is no function of the tasks packages: `App(allow=[...])`."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, cast

from headway.errors import ConfigurationError, TaskNotAllowedError, UnknownTaskError


class Allowed:
    """Modules, with all beneath them, and single functions, by their dotted names."""

    def __init__(self, names: Sequence[str]) -> None:
        """Keep the names; nothing is imported.

        Raises:
            ConfigurationError: they are no list of dotted names.
        """
        if isinstance(names, str) or not all(map(_is_name, names)):
            raise ConfigurationError(
                f"App(allow={names!r}): expected modules or functions by their dotted "
                "names, as allow=['billing.jobs']"
            )
        self._names = tuple(names)

    def covers(self, name: str) -> bool:
        """Tell whether a function of that name may run."""
        return any(name == one or name.startswith(f"{one}.") for one in self._names)

    def find(self, name: str) -> Callable[..., Any]:
        """Return the function, or the class or static method, of a covered name.

        Raises:
            UnknownTaskError: there is none.
            TaskNotAllowedError: it is none, or comes from elsewhere.
        """
        module, path = _module_of(name)
        found: object = module
        for attribute in path:
            # Not through objects or other modules: `billing.jobs.os.system`.
            holds_it = found is module or isinstance(found, type)
            found = getattr(found, attribute, None) if holds_it else None
        if found is None:
            raise UnknownTaskError(
                f"{name!r}: {module.__name__} has no such function. Was it renamed or "
                "removed while jobs of it were waiting?"
            )
        if not self._may_run(found, name):
            raise TaskNotAllowedError(
                f"{name!r} may not run: it is no function that an allowed module "
                f"defines. To let it run, name it itself: App(allow=[{name!r}])"
            )
        return cast("Callable[..., Any]", found)

    def _may_run(self, found: object, name: str) -> bool:
        if name in self._names:
            return callable(found)
        home = (
            f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"
        )
        return inspect.isroutine(found) and self.covers(home)


def imported(module_name: str, name: str) -> ModuleType:
    """Import the module of a name that may run.

    Raises:
        UnknownTaskError: it does not import; says why.
    """
    try:
        return importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # a script may lie among the tasks
        raise UnknownTaskError(
            f"{name!r}: {module_name} cannot be imported here: "
            f"{type(error).__name__}: {error}"
        ) from error


def _module_of(name: str) -> tuple[ModuleType, list[str]]:
    """Return the longest module that a name begins with, and the rest of the name."""
    parts = name.split(".")
    for end in range(len(parts) - 1, 1, -1):
        module_name = ".".join(parts[:end])
        try:
            return imported(module_name, name), parts[end:]
        except UnknownTaskError as error:
            if not _is_missing(module_name, error.__cause__):
                raise
    return imported(parts[0], name), parts[1:]


def _is_missing(module_name: str, error: BaseException | None) -> bool:
    """Tell a name that is no module from a module that does not import."""
    missing = isinstance(error, ModuleNotFoundError) and error.name
    return bool(missing) and f"{module_name}.".startswith(f"{missing}.")


def _is_name(name: object) -> bool:
    return isinstance(name, str) and all(
        part.isidentifier() for part in name.split(".")
    )
