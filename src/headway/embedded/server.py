from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from signal import Signals
from typing import ClassVar

from headway.errors import EmbeddedServerError


@dataclass(frozen=True, slots=True, kw_only=True)
class Server(ABC):
    """What the keeper needs to know about one kind of server."""

    name: ClassVar[str]
    #: Asks it to stop cleanly without waiting for its clients.
    stop_signal: ClassVar[Signals]
    #: Its configuration, its password and its data.
    folder: Path
    port: int

    @property
    def log(self) -> Path:
        """Return where its output goes; the end of it stands in error messages."""
        return self.folder / f"{self.name}.log"

    @abstractmethod
    def prepare(self) -> None:
        """Bring its folder in order before a start; quick when it already is.

        Raises:
            EmbeddedServerError: when that fails.
            OSError: when its folder cannot be written.
        """

    @abstractmethod
    def command(self) -> list[str]:
        """Return the command line that runs it in the foreground."""

    def account(self) -> list[str]:
        """Return what goes before a command to run it as another user."""
        return []

    @abstractmethod
    def is_ready(self, pid: int) -> bool:
        """Tell whether that process of it takes requests now."""

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """Return what an application sets to use it."""


def package(name: str) -> Path:
    """Return the folder of an installed package, without importing it.

    These packages start locks, warnings and client libraries when imported, and
    only the programs in them are wanted.

    Raises:
        EmbeddedServerError: when it is not installed.
    """
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedServerError(
            f"the package {name} is not installed: pip install 'headway[embedded]'"
        )
    return Path(spec.submodule_search_locations[0])


def program(path: Path) -> str:
    """Return the program's path as text.

    Raises:
        EmbeddedServerError: when the package has none for this machine.
    """
    if not path.is_file():
        raise EmbeddedServerError(
            f"{path} is missing: this machine's kind is not served by the package, or "
            "it is damaged; pip install --force-reinstall 'headway[embedded]'"
        )
    return str(path)
