"""Bring documents in: find, read, embed, link; each step enqueues the next.

A document whose content has not changed since it was stored takes no job at all. Every
step may run twice, or half and then again: rows are written in the place of rows. What
is lost in between is found by `resume`, since a run's rows say what each document still
waits for.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

from headway import Message, Retry, current_job, exponential
from queues import app
from tasks import graph, task
from tasks.brain import runs, sources, store
from tasks.brain.database import connection
from tasks.brain.trouble import PASSING
from tasks.embed import chosen, embed
from tasks.files import FileError
from tasks.graph import link

#: So many documents are noted and enqueued in one go.
BATCH = 200
logger = logging.getLogger(__name__)


@task(
    queue="default",
    retry=Retry(attempts=4, backoff=exponential(base=1), on=PASSING),
    timeout=timedelta(hours=1),
)
def ingest(folder: Path | None, key: str | None = None) -> int:
    """Find what is new or changed in a folder, or in the installed packages.

    Returns the number of the run, whose rows tell how it goes on. Of the same key
    there is one run, however often this is sent.

    Raises:
        FolderError: where the folder is none, or may not be read.
    """
    source, embedder = sources.name_of(folder), chosen()
    run = runs.begin(key or _own_key(), source, embedder.name)
    store.use_embedder(embedder.name, embedder.dimensions)
    graph.prepare()
    for uris in _batches(sources.listed(source)):
        runs.add(run, _unchanged(uris, embedder.name))
    lost = runs.listed(run, source)
    if lost:
        logger.warning("%d documents are in %s no more", lost, source)
    send(run, [read.message(run, uri) for uri in runs.unread(run)])
    return run


def _own_key() -> str:
    """Return the same key for every attempt of one job."""
    job = current_job()
    return job.id if job else uuid4().hex


def _batches(uris: Iterator[str]) -> Iterator[list[str]]:
    while batch := list(islice(uris, BATCH)):
        yield batch


def _unchanged(uris: Sequence[str], embedder: str) -> dict[str, str | None]:
    """Return each address, with the outcome of those that need no job."""
    known = runs.known(uris, embedder)
    return {
        uri: store.UNCHANGED if known.get(uri) == (_digest(uri), True) else None
        for uri in uris
    }


def _digest(uri: str) -> str | None:
    """Return the hash; None for what cannot be read: its own job will say why."""
    try:
        return sources.digest(uri)
    except FileError:
        return None


@task(
    queue="default",
    retry=Retry(attempts=4, backoff=exponential(base=1), on=PASSING),
    timeout=timedelta(minutes=10),
)
def read(run: int, uri: str) -> int:
    """Parse and store one document, and enqueue what it then waits for.

    Raises:
        FileError: where it cannot be read; the run's row has the reason, too.
    """
    source, embedder = runs.context(run)
    try:
        digest, text = sources.digest(uri), sources.parse(uri)
        with connection() as database:
            saved = store.save(
                database, uri=uri, source=source, digest=digest,
                embedder=embedder, text=text,
            )  # fmt: skip
            runs.note(database, run, uri, saved.outcome)
    except PASSING:
        raise
    except Exception as error:
        # Whatever it was, the run must say why this document is missing.
        known = isinstance(error, FileError)
        runs.fail(run, uri, str(error) if known else f"{type(error).__name__}: {error}")
        raise
    send(run, _next(saved.id, embedded=saved.embedded, linked=saved.linked))
    return saved.id


def _next(document_id: int, *, embedded: bool, linked: bool) -> list[Message[Any]]:
    steps: list[Message[Any]] = []
    if not embedded:
        steps.append(embed.message(document_id))
    if not linked:
        steps.append(link.message(document_id))
    return steps


def send(run: int, messages: Sequence[Message[Any]]) -> None:
    """Enqueue messages a batch a round trip, and count them in the run's row."""
    if not messages:
        return
    runs.count_jobs(run, len(messages))
    for start in range(0, len(messages), BATCH):
        app.enqueue_many(messages[start : start + BATCH])


def resume(run: int) -> int:
    """Enqueue again what a run still waits for; return how many documents that is.

    For a run whose jobs were lost on the way: it does no harm to one that still goes.
    """
    steps = list(runs.waiting(run))
    messages: list[Message[Any]] = []
    for step in steps:
        if step.has_been_read and step.document_id is not None:
            messages += _next(
                step.document_id, embedded=step.embedded, linked=step.linked
            )
        else:
            messages.append(read.message(run, step.uri))
    send(run, messages)
    return len(steps)
