"""The rows of an ingest: how far it is, what failed and why, what is still to do.

A run is exactly over when every document it found has failed, or was read, embedded
and linked. That is a question to Postgres; nobody has to guess it from queues.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from tasks.brain.database import Connection, connection

#: Older runs are dropped, with their rows.
KEPT = 50
COLUMNS = (
    "id, source, started, listed, ended, jobs, removed,"
    " found, new, changed, unchanged, failed, read, embedded, linked, done"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A snapshot of one ingest."""

    id: int
    source: str
    started: datetime
    listed: datetime | None
    ended: datetime | None
    jobs: int
    removed: int
    found: int
    new: int
    changed: int
    unchanged: int
    failed: int
    read: int
    embedded: int
    linked: int
    done: int

    @property
    def place(self) -> tuple[int, ...]:
        """How far it is: what changes when, and only when, it moves."""
        return self.found, self.read, self.embedded, self.linked, self.failed, self.done

    @property
    def share(self) -> float:
        """How much of the work that is known is done, from 0 to 1."""
        steps = self.read + self.embedded + self.linked + 3 * self.failed
        return min(1.0, steps / (3 * self.found)) if self.found else 0.0

    @property
    def complete(self) -> bool:
        """Whether every document of its source is known, and done or failed."""
        return self.listed is not None and self.done == self.found


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A document of a run that is not done: what it waits for."""

    uri: str
    document_id: int | None
    has_been_read: bool
    embedded: bool
    linked: bool


def begin(key: str, source: str, embedder: str) -> int:
    """Open the run of this key; where it is open already, go on with it."""
    with connection() as database:
        row = database.execute(
            "insert into runs (key, source, embedder) values (%s, %s, %s)"
            " on conflict (key) do update set key = excluded.key returning id",
            [key, source, embedder],
        ).fetchone()
        assert row is not None  # noqa: S101 - `returning` after an upsert always has a row
        database.execute("delete from runs where id <= %s", [row[0] - KEPT])
    return int(row[0])


def known(
    source_uris: Collection[str], embedder: str
) -> Mapping[str, tuple[str, bool]]:
    """Return the hash of each stored document, and whether nothing is left to do."""
    with connection() as database:
        rows = database.execute(
            "select uri, hash, removed is null and linked and problem is null"
            " and embedded is not distinct from %s"
            " from documents where uri = any(%s)",
            [embedder, list(source_uris)],
        ).fetchall()
    return {uri: (digest, complete) for uri, digest, complete in rows}


def add(run: int, outcomes: Mapping[str, str | None]) -> None:
    """Note what was found; what is noted already stays as it is."""
    with connection() as database:
        database.execute(
            "insert into items (run_id, uri, outcome)"
            " select %s, * from unnest(%s::text[], %s::text[]) on conflict do nothing",
            [run, list(outcomes), list(outcomes.values())],
        )


def unread(run: int) -> list[str]:
    """Return the documents of which nothing is known but that they are there."""
    with connection() as database:
        rows = database.execute(
            "select uri from items where run_id = %s and outcome is null order by uri",
            [run],
        ).fetchall()
    return [row[0] for row in rows]


def listed(run: int, source: str) -> int:
    """Note that all is found; return how many documents the source has lost."""
    with connection() as database:
        row = database.execute(
            "with gone as (update documents d set removed = now()"
            " where source = %s and removed is null and not exists"
            " (select from items i where i.run_id = %s and i.uri = d.uri) returning 1)"
            " update runs set listed = coalesce(listed, now()), removed = removed +"
            " (select count(*) from gone) where id = %s returning removed",
            [source, run, run],
        ).fetchone()
    return 0 if row is None else int(row[0])


def note(database: Connection, run: int, uri: str, outcome: str) -> None:
    """Write what reading a document came to; the second reading changes nothing."""
    database.execute(
        "insert into items (run_id, uri, outcome) values (%s, %s, %s)"
        " on conflict (run_id, uri) do update set reason = null, outcome ="
        " case when items.outcome in ('new', 'changed') then items.outcome"
        " else excluded.outcome end",
        [run, uri, outcome],
    )


def fail(run: int, uri: str, reason: str) -> None:
    """Write why a document could not be read."""
    with connection() as database:
        database.execute(
            "insert into items (run_id, uri, outcome, reason)"
            " values (%s, %s, 'failed', %s) on conflict (run_id, uri)"
            " do update set outcome = 'failed', reason = excluded.reason",
            [run, uri, reason],
        )


def give_up(run: int, reason: str) -> None:
    """Fail what the run still waits for, where nobody will ever bring it."""
    for step in list(waiting(run)):
        fail(run, step.uri, reason)


def count_jobs(run: int, number: int) -> None:
    """Add to the number of jobs that the run has enqueued."""
    with connection() as database:
        database.execute(
            "update runs set jobs = jobs + %s where id = %s", [number, run]
        )


def context(run: int) -> tuple[str, str]:
    """Return the source and the embedder of a run."""
    with connection() as database:
        row = database.execute(
            "select source, embedder from runs where id = %s", [run]
        ).fetchone()
    return ("", "") if row is None else (row[0], row[1])


def end(run: int) -> None:
    """Note when the run was over."""
    with connection() as database:
        database.execute(
            "update runs set ended = coalesce(ended, now()) where id = %s", [run]
        )


def of(key: str) -> Run | None:
    """Return the run that this job began; None while it has not."""
    return _one("where key = %s", [key])


def latest() -> Run | None:
    """Return the newest run; None where nothing was ever ingested."""
    return _one("order by id desc limit 1", [])


def _one(condition: str, values: list[str]) -> Run | None:
    with connection() as database:
        query = f"select {COLUMNS} from ingests {condition}"  # noqa: S608 - two constants
        row = database.execute(query.encode(), values).fetchone()
    if row is None:
        return None
    names = (name.strip() for name in COLUMNS.split(","))
    return Run(**dict(zip(names, row, strict=True)))


def waiting(run: int) -> Iterator[Step]:
    """Yield the documents that are neither done nor failed."""
    with connection() as database:
        rows = database.execute(
            "select uri, document_id, coalesce(has_been_read, false), embedded, linked"
            " from steps where run_id = %s and outcome is distinct from 'failed'"
            " and not (coalesce(has_been_read, false) and embedded and linked)",
            [run],
        ).fetchall()
    for uri, document_id, has_been_read, embedded, linked in rows:
        yield Step(
            uri=uri, document_id=document_id, has_been_read=has_been_read,
            embedded=embedded, linked=linked,
        )  # fmt: skip


def failures(run: int) -> Mapping[str, str]:
    """Return the documents that failed, each with its reason."""
    with connection() as database:
        rows = database.execute(
            "select uri, coalesce(reason, 'no reason was noted') from steps"
            " where run_id = %s and outcome = 'failed' order by uri",
            [run],
        ).fetchall()
    return dict(rows)


def titles(run: int, number: int) -> list[str]:
    """Return the titles of a few documents of a run, those with most to say first."""
    with connection() as database:
        rows = database.execute(
            "select d.title from steps s join documents d on d.id = s.document_id"
            " join chunks c on c.document_id = d.id where s.run_id = %s"
            " group by d.id order by count(*) desc, d.title limit %s",
            [run, number],
        ).fetchall()
    return [row[0] for row in rows]


def lost(source: str) -> list[str]:
    """Return the titles of the documents that this source has no more."""
    with connection() as database:
        rows = database.execute(
            "select title from documents where source = %s and removed is not null"
            " order by removed desc, title limit 20",
            [source],
        ).fetchall()
    return [row[0] for row in rows]


def chunks(run: int) -> int:
    """Return how many passages the documents of a run have."""
    with connection() as database:
        row = database.execute(
            "select count(*) from steps s join chunks c using (document_id)"
            " where s.run_id = %s and s.outcome <> 'failed'",
            [run],
        ).fetchone()
    return 0 if row is None else int(row[0])
