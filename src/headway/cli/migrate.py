from __future__ import annotations

import json
import os
import re
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from headway.cli.timetable import aligned, plain
from headway.migrate.scan import tree
from headway.migrate.scan.rules import VERDICTS


@click.group()
def migrate() -> None:
    """Move code from another library."""


@migrate.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def scan(path: Path, *, as_json: bool) -> None:
    """Report what code for RQ, Celery, Dramatiq, Arq or Huey is here.

    PATH is a folder, or a file of Python. It is read, and nothing of it is run. Each
    place is told with what to write instead, and each difference once.
    """
    report = tree.scan(path)
    if as_json:
        click.echo(json.dumps(asdict(report), indent=1))
        return
    for line in (*_places(report), *_sums(report), *_begin(report, path)):
        click.echo(plain(line))


def _places(report: tree.Report) -> Iterator[str]:
    told: set[str] = set()
    for each in report.findings:
        found = textwrap.shorten(each.found, 80, placeholder=" ...")
        guessed = "" if each.certain else "  (by its name)"
        place = f"{each.path}:{each.line}  {each.kind:8}  {each.verdict:9}"
        yield f"{place} {found} -> {each.instead or 'as it is'}{guessed}"
        yield from (f"    {why}" for why in each.why if why not in told)
        told.update(each.why)
    yield from (f"{path}: not read: {why}" for path, why in report.unread.items())


def _sums(report: tree.Report) -> Iterator[str]:
    counts = Counter((each.kind, each.verdict) for each in report.findings)
    kinds = dict.fromkeys(each.kind for each in report.findings)
    rows = [(kind, *(str(counts[kind, v]) for v in VERDICTS)) for kind in kinds]
    total = [sum(counts[kind, v] for kind in kinds) for v in VERDICTS]
    if kinds:
        yield ""
        yield from aligned([("", *VERDICTS), *rows, ("all", *map(str, total))])
    celery = [each.shim for each in report.findings if each.library == "celery"]
    if celery:
        unchanged = f"{sum(celery)} of {len(celery)} run unchanged"
        yield f"celery: {unchanged} through `from headway.shims.celery import ...`"
    yield f"places: {sum(total)}; files of Python: {report.files}"


def _begin(report: tree.Report, root: Path) -> Iterator[str]:
    """Yield the first line to write."""
    if not report.findings:
        return
    written = " ".join(each.instead for each in report.findings)
    first = re.findall(r"Queue\('([\w-]+)'\) as the first", written) or ["default"]
    names = [*first, *re.findall(r"(?:queue=|Queue\()'([\w-]+)'", written)]
    queues = ", ".join(f'Queue("{name}")' for name in dict.fromkeys(names))
    home = root if root.is_dir() else root.parent
    tasks = [
        os.path.relpath(each.path, home)[:-3].removeprefix("src/").replace("/", ".")
        for each in report.findings
        if each.kind == "task" and each.found.startswith(("@", "async def"))
    ]
    named = ", ".join(f'"{name}"' for name in dict.fromkeys(tasks))
    ((library, _),) = Counter(each.library for each in report.findings).most_common(1)
    engine = "rq" if library == "huey" else library
    app = f'app = App(queues=[{queues}], tasks=[{named}], engine="{engine}")'
    yield f"begin with queues.py: {app}"
