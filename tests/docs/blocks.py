"""What a page's blocks mean, found by Sybil and done in a `Project`.

- `python` whose first line is `# folder/name.py` is a file of that name (`# name.py,
  continued`: its end); any other is run. `pycon` is run and its output compared.
- `console`: lines after `$ ` are run, what follows is compared with what they print.
  `sh`: each line is run.
- `procfile`, `toml`, `ini` and others with such a first line are files, too.
- `text` is a picture, and nothing is done.

A comment before a block says otherwise, and is not shown to readers:
`<!-- test: not run: REASON -->` (commands are only parsed, see `commands`),
`<!-- test: background until "TEXT" -->` (left running until the end of the page, or
until a block with `background instead`),
`<!-- test: fails -->` (it must), `<!-- test: setup` ... `-->` (Python to run first).
"""

from __future__ import annotations

import doctest
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sybil import Document, Example, Region, Sybil
from sybil.parsers.markdown import CodeBlockParser

from headway.cli.procfile import Procfile
from tests.docs.commands import mistakes
from tests.docs.project import ROOT, Project

COMMENT = re.compile(r"^<!-- test: (.*?)\s*-->$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# ([\w./@-]+\.\w+|[\w./-]*Procfile|\.env)(, continued)?(?:: .*)?\n")
UNTIL = re.compile(r'background (instead )?until "(.+)"')
EXEC = re.compile(r"^ExecStart=(\S+) (.*)$", re.MULTILINE)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
LANGUAGES = ("python", "pycon", "console", "sh", "procfile", "ini", "toml", "env")
#: Shown only: what something looks like.
PICTURES = ("text",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A line to type, and what it should print; None is whatever it does."""

    text: str
    wanted: str | None


def follow(page: Path, project: Project) -> None:
    """Do what a page says, from top to bottom.

    Raises:
        SybilFailure: naming the page, the line and what is wrong.
    """
    reader = Reader(project)
    blocks = [CodeBlockParser(name, reader.block) for name in LANGUAGES]
    for example in Sybil([reader.comments, *blocks]).parse(page).examples():
        example.evaluate()


class Reader:
    """Takes the blocks of a page one after the other."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._note = ""

    def comments(self, document: Document) -> Iterator[Region]:
        for found in COMMENT.finditer(document.text):
            yield Region(*found.span(), found[1], self.comment)

    def comment(self, example: Example) -> str | None:
        name, _, source = example.parsed.partition("\n")
        if name != "setup":
            self._note = name
            return None
        return self._python(example, source, example.line)

    def block(self, example: Example) -> str | None:
        note, self._note = self._note, ""
        language, source = example.region.lexemes["arguments"], example.parsed
        if file := FILE.match(source):
            return self._file(file[1], source, append=file[2] is not None)
        if note.startswith("not run: "):
            return _problems(mistakes(each.text) for each in _commands(source))
        if language in ("python", "pycon"):
            return self._python(example, source, example.line, language)
        if language not in ("console", "sh"):
            return f"a block of {language} that is no file"
        return _problems(self._command(each, note) for each in _commands(source))

    def _file(self, name: str, source: str, *, append: bool) -> str | None:
        if name.endswith(".py"):
            compile(source, name, "exec")
        self._project.write(name, source, append=append)
        return _problems(mistakes(line) for line in _started_by(name, source))

    def _python(
        self, example: Example, source: str, line: int, language: str = "python"
    ) -> str | None:
        path = str(Path(example.path).relative_to(ROOT))
        session = language == "pycon"
        wrong = self._project.run_python(source, path=path, line=line, session=session)
        return wrong or None

    def _command(self, command: Command, note: str) -> str:
        if until := UNTIL.fullmatch(note):
            return self._project.start(
                command.text, until=until[2], instead=until[1] is not None
            )
        status, output = self._project.run(command.text)
        if (status != 0) is not (note == "fails"):
            return f"$ {command.text}\nended with {status}:\n{output}"
        wanted = command.wanted
        if wanted is None or doctest.OutputChecker().check_output(
            wanted, output, FLAGS
        ):
            return ""
        return f"$ {command.text}\nprinted:\n{output}\ninstead of:\n{wanted}"


def _commands(source: str) -> Iterator[Command]:
    """Return the commands of a block, `$ ` before each or none with it."""
    source = source.replace("\\\n", " ")
    if "$ " not in source:
        for line in source.splitlines():
            if line.strip() and not line.startswith("#"):
                yield Command(text=line, wanted=None)
        return
    for part in re.split(r"^\$ ", source, flags=re.MULTILINE)[1:]:
        text, _, wanted = part.partition("\n")
        yield Command(text=text, wanted=wanted if wanted.strip() else None)


def _started_by(name: str, source: str) -> Iterator[str]:
    """Return the commands that a file has others start."""
    if name.endswith("Procfile"):
        for command in Procfile.parse(source).commands.values():
            yield command.text
    for found in EXEC.finditer(source):
        yield f"{Path(found[1]).name} {found[2]}"


def _problems(found: Iterable[str]) -> str | None:
    return next((problem for problem in found if problem), None)
