"""A Procfile: which processes an application has, one `name: command` a line.

Commands are split as a shell would split them, but are started without one, so that
a signal reaches the process itself. `$PORT` and `${PORT:-9181}` are filled in. Only
a command that uses a shell's operators gets a shell.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from headway.errors import ConfigurationError

_LINE = re.compile(r"(?P<name>[A-Za-z0-9_-]+)\s*:\s*(?P<command>.*)")
_VARIABLE = re.compile(
    r"\$(?:(?P<bare>\w+)|\{(?P<braced>\w+)(?::-(?P<other>[^}]*))?\})"
)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_OPERATORS = frozenset("|&;<>()`")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One line of a Procfile, ready to be filled in with an environment."""

    text: str

    @property
    def needs_shell(self) -> bool:
        """Tell whether an operator stands outside quotes, or `$(...)` anywhere."""
        lexer = shlex.shlex(self.text, posix=False, punctuation_chars=True)
        lexer.commenters = ""
        words = list(lexer)
        return "$(" in self.text or any(_OPERATORS.issuperset(word) for word in words)

    def argv(self, environment: Mapping[str, str]) -> list[str]:
        """Return the words to start, variables filled in; a shell's, if it needs one.

        `NAME=value` in front is left to env(1), which becomes the program.
        """
        if self.needs_shell:
            # A shell that hears SIGTERM leaves at once, its command still busy with a
            # job; with a trap it waits for the command first.
            return ["/bin/sh", "-c", f"trap 'exit 143' TERM; {self.text}"]
        words = [_fill_in(word, environment) for word in shlex.split(self.text)]
        return ["env", *words] if _ASSIGNMENT.match(words[0]) else words

    def program(self, environment: Mapping[str, str]) -> str:
        """Return the word that must be found on PATH."""
        words = self.argv(environment)
        named = (w for w in words[words[0] == "env" :] if not _ASSIGNMENT.match(w))
        return next(named, words[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Procfile:
    """The processes of an application, by name, in the order of the file."""

    path: Path
    commands: Mapping[str, Command]

    @classmethod
    def read(cls, path: Path) -> Procfile:
        """Read a file.

        Raises:
            ConfigurationError: naming the file, and the line that is wrong.
        """
        try:
            return cls.parse(path.read_text(encoding="utf-8"), path=path)
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise ConfigurationError(
                f"{path}: {reason}; a Procfile has lines like "
                "`worker: headway worker high default low`, and --procfile names it"
            ) from error

    @classmethod
    def parse(cls, text: str, *, path: Path = Path("Procfile")) -> Procfile:
        """Read the text of a file.

        Raises:
            ConfigurationError: naming the file, and the line that is wrong.
        """
        commands: dict[str, Command] = {}
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            name, command = _read_line(line.strip(), f"{path}, line {number}")
            if name in commands:
                raise ConfigurationError(
                    f"{path}, line {number}: {name!r} is there twice; "
                    f"several of one kind are started with --scale {name}=2"
                )
            commands[name] = command
        if not commands:
            raise ConfigurationError(f"{path}: no process in it")
        return cls(path=path, commands=commands)


def _read_line(line: str, place: str) -> tuple[str, Command]:
    found = _LINE.fullmatch(line)
    if found is None:
        raise ConfigurationError(
            f"{place}: {line!r} is not `name: command`; "
            "a name has letters, digits, - and _ only"
        )
    if not found["command"]:
        raise ConfigurationError(f"{place}: {found['name']!r} has no command")
    try:
        shlex.split(found["command"])
    except ValueError as error:
        reason = str(error).lower()
        raise ConfigurationError(f"{place}: {reason} in {line!r}") from error
    return found["name"], Command(text=found["command"])


def _fill_in(word: str, environment: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        name = found["bare"] or found["braced"]
        return environment.get(name) or found["other"] or ""

    return _VARIABLE.sub(value, word)
