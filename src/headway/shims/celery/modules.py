"""Modules of tasks: which there are, and their import once a worker needs them."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Iterator
from typing import Any

from headway.errors import ConfigurationError


def import_all(names: Any) -> None:
    """Import modules by their names, or the one of a name.

    Raises:
        ConfigurationError: naming the one that does not import.
    """
    for name in [names] if isinstance(names, str) else names or ():
        try:
            importlib.import_module(name)
        except Exception as error:
            raise ConfigurationError(
                f"{name} cannot be imported: {type(error).__name__}: {error}"
            ) from error


def discovered(packages: Any, related_name: str | None) -> Iterator[str]:
    """Yield the names of the modules of tasks that packages have; None: Django's."""
    found: Any = packages() if callable(packages) else packages
    for package in _of_django() if found is None else found:
        name = f"{package}.{related_name}" if related_name else package
        if _is_there(name):
            yield name


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _of_django() -> list[str]:
    """Return the installed applications of Django, where it is set up."""
    if not _is_there("django.conf"):
        return []
    conf: Any = importlib.import_module("django.conf")
    if not os.environ.get(conf.ENVIRONMENT_VARIABLE):
        return []
    importlib.import_module("django").setup()
    apps: Any = importlib.import_module("django.apps").apps
    return [config.name for config in apps.get_app_configs()]
