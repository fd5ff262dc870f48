"""What is not here: it is refused by its name, with what there is instead."""

from __future__ import annotations

import inspect
import opcode
from collections.abc import Callable, Mapping
from typing import NoReturn

from headway.errors import ConfigurationError

PAGE = "see docs/how-to/from-celery.md"

_PACKAGE = "headway.shims.celery."
_IMPORT_FROM = opcode.opmap["IMPORT_FROM"]
#: Modules of Celery's, and what there is instead.
_MODULES = {
    "app": "import Celery, Task, shared_task from headway.shims.celery",
    "backends": "ask an AsyncResult, or app.headway.job(id)",
    "bin": "start `headway worker`, `headway scheduler`",
    "contrib": "tests have headway.testing, see docs/how-to/testing.md",
    "events": "subscribe: app.headway.subscribe(function)",
    "local": "import current_app, current_task from headway.shims.celery",
    "worker": "use middleware: app.headway.middleware",
}


def refuse(what: str, instead: str) -> NoReturn:
    """Refuse a value or a call.

    Raises:
        ConfigurationError: always.
    """
    raise ConfigurationError(
        f"{what} is not in headway.shims.celery: {instead}; {PAGE}"
    )


def missing(owner: str, name: str, instead: Mapping[str, str]) -> AttributeError:
    """Return what to raise where an attribute is looked for in vain."""
    hint = f"{instead[name]}; " if name in instead else ""
    return AttributeError(
        f"headway.shims.celery: {owner} has no {name!r}: {hint}{PAGE}", name=name
    )


def nothing_else(module: str, **instead: str) -> Callable[[str], NoReturn]:
    """Return the `__getattr__` of a module that has no more than it defines."""

    def __getattr__(name: str) -> NoReturn:  # noqa: N807 - it is that
        error, frame = missing(module, name, instead), inspect.currentframe()
        while frame and frame.f_code.co_name == "__getattr__":
            frame = frame.f_back
        # An import would put words of Python's own in place of an AttributeError's.
        if frame and frame.f_code.co_code[frame.f_lasti] == _IMPORT_FROM:
            raise ImportError(str(error), name=_PACKAGE + module)
        raise error

    return __getattr__


class NoMoreModules:
    """Finds no module, as the last that is asked, and says so of Celery's."""

    @staticmethod
    def find_spec(name: str, *_: object) -> None:
        """Refuse a module of this package that is not there.

        Raises:
            ModuleNotFoundError: it is one.
        """
        if name.startswith(_PACKAGE):
            error = missing("celery", name.removeprefix(_PACKAGE), _MODULES)
            raise ModuleNotFoundError(str(error), name=name)
