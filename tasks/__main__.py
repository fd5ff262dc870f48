"""The second brain's two commands: `run` fills it and keeps it up, `ask` asks it."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import click
import psycopg
from neo4j.exceptions import DriverError, Neo4jError
from redis.exceptions import RedisError

from headway import backends
from headway.cli.formation import Formation
from headway.cli.interrupts import signals_as_interrupts
from headway.cli.port import why_taken
from headway.errors import ConfigurationError, HeadwayError
from headway.settings import Settings
from tasks import graph
from tasks.brain import house, runs, sources
from tasks.brain.folder import FolderError
from tasks.brain.progress import Progress
from tasks.brain.search import Passage, search
from tasks.brain.watch import Watch
from tasks.embed import check
from tasks.files import READERS
from tasks.ingest import ingest

ALL = {"redis", "postgres", "bolt"}
SAMPLES = (
    "how do I parse a PDF",
    "run a job in the background",
    "render a web page from a template",
)
WIDTH = 76


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What an ingest came to; the last line of `run`."""

    documents: int
    new: int
    chunks: int
    links: int
    jobs: int
    failed: int
    seconds: float

    def line(self) -> str:
        """Return the one line that a machine reads."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__})


class Refusal(click.ClickException):
    """Raised for what the caller can mend: one line, and exit code 2."""

    exit_code = 2


@contextlib.contextmanager
def in_one_line() -> Generator[None]:
    """Turn what goes wrong into one line that says what, which and what to do."""
    try:
        yield
    except (ConfigurationError, FolderError) as error:
        raise Refusal(str(error)) from error
    except HeadwayError as error:
        raise click.ClickException(str(error)) from error
    except (psycopg.Error, RedisError, DriverError, Neo4jError) as error:
        why = " ".join(str(error).split())
        raise click.ClickException(
            f"a server went away ({type(error).__name__}: {why}); start again"
        ) from error


@click.group()
def main() -> None:
    """Read documents, and answer from them."""


@main.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--once", is_flag=True, help="Stop everything when all is ingested.")
@click.option("--port", type=click.IntRange(1, 65_535), help="The dashboard's port.")
@click.option(
    "--engine",
    type=click.Choice(backends.ENGINES[:-1]),
    # scripts/run has told the application by then, with HEADWAY_ENGINE.
    expose_value=False,
    help="What brings jobs to workers; each has a data folder of its own.",
)
def run(*, folder: Path | None, once: bool, port: int | None) -> None:
    """Ingest a FOLDER, or the documentation of the installed packages.

    Starts the servers that no variable names, workers, scheduler and dashboard, and
    keeps them up until Ctrl-C.
    """
    with in_one_line(), signals_as_interrupts():
        place = None if folder is None else Path(sources.name_of(folder))
        settings = house.enter(port)
        check()
        web = _has_port(settings, may_do_without=once and port is None)
        try:
            figures = _run(settings, place, web=web, once=once)
        except KeyboardInterrupt:
            click.echo("stopped before all was ingested: the next run goes on")
            sys.exit(130)
    click.echo(figures.line())
    sys.exit(1 if figures.failed else 0)


def _has_port(settings: Settings, *, may_do_without: bool) -> bool:
    if why_taken(settings.dashboard_host, settings.port) is None:
        return True
    taken = f"port {settings.port} of {settings.dashboard_host} is in use"
    if not may_do_without:
        raise Refusal(f"{taken}: choose another with --port, or stop what uses it")
    click.echo(f"{taken}: going on without a dashboard")
    return False


def _run(settings: Settings, folder: Path | None, *, web: bool, once: bool) -> Figures:
    started = time.monotonic()
    settings.data.mkdir(parents=True, exist_ok=True)
    log = settings.data / "run.log"
    house.refuse_silent(ALL)
    click.echo(f"starting servers, workers and dashboard; their log is {log}")
    with (
        house.servers(settings, ALL),
        log.open("a", encoding="utf-8") as output,
        house.processes(settings, web=web, output=output) as formation,
    ):
        progress = Progress()
        key = uuid4().hex
        # What an interrupted run left in the queue must not hide how this one goes on.
        ingest.using(at_front=True).enqueue(folder, key)
        watch = Watch(
            folder=folder, key=key, redis=house.redis(), listener=progress,
            suspect=lambda: _suspect(formation),
        )  # fmt: skip
        with progress:
            done = watch.until_complete()
        figures = _figures(done, time.monotonic() - started)
        _tell(done, figures)
        if not once:
            click.echo(
                f"\nthe dashboard: http://{settings.dashboard_host}:{settings.port}"
            )
            with contextlib.suppress(KeyboardInterrupt):
                click.echo("Ctrl-C stops everything")
                formation.wait()
    return figures


def _suspect(formation: Formation) -> str:
    """Name the worker that went away last, if one did."""
    ended = [end for end in formation.failures() if not end.name.startswith("web")]
    return str(ended[-1]) if ended else ""


def _figures(run: runs.Run, seconds: float) -> Figures:
    return Figures(
        documents=run.found - run.failed,
        new=run.new + run.changed,
        chunks=runs.chunks(run.id),
        links=graph.count(run.source),
        jobs=run.jobs,
        failed=run.failed,
        seconds=round(seconds, 1),
    )


def _tell(run: runs.Run, figures: Figures) -> None:
    click.echo(
        f"{figures.documents} documents ({run.new} new, {run.changed} changed), "
        f"{figures.chunks} chunks, {figures.links} links, {figures.failed} failures "
        f"in {figures.seconds:.1f} s"
    )
    if not run.found:
        kinds = " ".join(sorted(READERS))
        click.echo(f"nothing to read: no file there ends in {kinds}")
    if run.removed:
        click.echo(f"{run.removed} documents are no longer there; they are kept:")
        for title in runs.lost(run.source):
            click.echo(f"  {title}")
    for uri, reason in runs.failures(run.id).items():
        shown = sources.shown(uri)
        told = reason if shown in reason else f"{shown}: {reason}"
        click.echo(f"failed: {told}")
    for question in _samples(run):
        click.echo(f"\n? {question}")
        for passage in search(question, limit=1):
            click.echo(_written(passage))


def _samples(run: runs.Run) -> Sequence[str]:
    """Return three questions that the documents of a run should answer."""
    if run.source == sources.PACKAGES:
        return SAMPLES
    return [f"what about {title}" for title in runs.titles(run.id, len(SAMPLES))]


def _written(passage: Passage) -> str:
    about = f"  {passage.score:.2f}  {passage.document}"
    gone = "  (no longer in its source)" if passage.removed else ""
    text = " ".join(passage.passage.split())
    lines = [
        about + gone,
        f"        {click.wrap_text(text[:300], WIDTH, '', '        ')}",
    ]
    if passage.linked:
        lines.append(f"        linked: {', '.join(passage.linked[:8])}")
    return "\n".join(lines)


@main.command()
@click.argument("words", metavar="QUESTION", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def ask(*, words: tuple[str, ...], as_json: bool) -> None:
    """Show the five best passages for a QUESTION."""
    with in_one_line(), signals_as_interrupts():
        question = " ".join(words).strip()
        if not question:
            raise Refusal("the question is empty: ask something in quotes")
        settings = house.enter(None)
        house.refuse_silent({"postgres", "bolt"})
        with house.servers(settings, {"postgres", "bolt"}):
            if runs.latest() is None:
                raise click.ClickException(
                    "nothing was ingested yet: run `./scripts/run` first"
                )
            passages = search(question)
    if as_json:
        click.echo(json.dumps([_as_dict(passage) for passage in passages]))
        return
    for passage in passages:
        click.echo(f"{_written(passage)}\n")
    if not passages:
        click.echo("nothing that was ingested speaks of this: use other words")


def _as_dict(passage: Passage) -> dict[str, object]:
    return {
        "document": passage.document,
        "score": passage.score,
        "passage": passage.passage,
        "linked": list(passage.linked),
        "uri": passage.uri,
    }


if __name__ == "__main__":
    main(prog_name="python -m tasks")
