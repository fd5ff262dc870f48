"""Documents and their passages in Postgres; saving twice leaves one row each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tasks.brain.chunks import chunk
from tasks.brain.database import SCHEMA_LOCK, Connection, connection
from tasks.files import Text

NEW, CHANGED, UNCHANGED = "new", "changed", "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What became of a document that was read, and what it still waits for."""

    id: int
    outcome: str
    embedded: bool
    linked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document as the graph needs it."""

    id: int
    uri: str
    source: str
    title: str
    hash: str
    links: tuple[str, ...]
    requires: tuple[str, ...]
    authors: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passages:
    """The passages of one version of a document, in order."""

    hash: str
    texts: tuple[str, ...]


def save(
    database: Connection,
    *,
    uri: str,
    source: str,
    digest: str,
    embedder: str,
    text: Text,
) -> Saved:
    """Put a document and its passages in the place of what was stored before."""
    known = database.execute(
        "select id, hash, embedded = %s, linked from documents"
        " where uri = %s for update",
        [embedder, uri],
    ).fetchone()
    if known is not None and known[1] == digest:
        database.execute(
            "update documents set removed = null where id = %s", [known[0]]
        )
        return Saved(
            id=known[0], outcome=UNCHANGED, embedded=bool(known[2]), linked=known[3]
        )
    document = _upsert(database, uri=uri, source=source, digest=digest, text=text)
    _replace_chunks(database, document, text)
    outcome = NEW if known is None else CHANGED
    return Saved(id=document, outcome=outcome, embedded=False, linked=False)


def _upsert(
    database: Connection, *, uri: str, source: str, digest: str, text: Text
) -> int:
    row = database.execute(
        "insert into documents"
        " (uri, source, title, summary, hash, links, requires, authors)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s)"
        " on conflict (uri) do update set source = excluded.source,"
        " title = excluded.title, summary = excluded.summary, hash = excluded.hash,"
        " links = excluded.links, requires = excluded.requires,"
        " authors = excluded.authors, stored = now(), removed = null,"
        " embedded = null, linked = false, problem = null returning id",
        [
            *(uri, source, text.title, text.summary, digest),
            *(list(text.links), list(text.requires), list(text.authors)),
        ],
    ).fetchone()
    assert row is not None  # noqa: S101 - `returning` after an upsert always has a row
    return int(row[0])


def _replace_chunks(database: Connection, document: int, text: Text) -> None:
    database.execute("delete from chunks where document_id = %s", [document])
    with (
        database.cursor() as cursor,
        cursor.copy("copy chunks (document_id, position, text) from stdin") as copy,
    ):
        for position, passage in enumerate(chunk(text.body)):
            copy.write_row((document, position, passage))


def document(document_id: int) -> Document | None:
    """Return a document without its text; None where it is gone."""
    with connection() as database:
        row = database.execute(
            "select id, uri, source, title, hash, links, requires, authors"
            " from documents where id = %s",
            [document_id],
        ).fetchone()
    if row is None:
        return None
    number, uri, source, title, digest, *lists = row
    links, requires, authors = (tuple(one) for one in lists)
    return Document(
        id=number, uri=uri, source=source, title=title, hash=digest,
        links=links, requires=requires, authors=authors,
    )  # fmt: skip


def passages(document_id: int) -> Passages | None:
    """Return the passages of a document; None where it is gone."""
    with connection() as database:
        row = database.execute(
            "select d.hash, coalesce(array_agg(c.text order by c.position)"
            " filter (where c.text is not null), '{}')"
            " from documents d left join chunks c on c.document_id = d.id"
            " where d.id = %s group by d.hash",
            [document_id],
        ).fetchone()
    return None if row is None else Passages(hash=row[0], texts=tuple(row[1]))


def set_vectors(
    document_id: int, digest: str, embedder: str, vectors: Sequence[Sequence[float]]
) -> bool:
    """Give every passage its vector, unless the document has changed meanwhile."""
    with connection() as database:
        current = database.execute(
            "update documents set embedded = %s, problem = null"
            " where id = %s and hash = %s returning id",
            [embedder, document_id, digest],
        ).fetchone()
        if current is None:
            return False
        database.execute(
            "update chunks set embedding = given.vector::vector"
            " from unnest(%s::text[]) with ordinality as given (vector, place)"
            " where document_id = %s and position = place - 1",
            [[literal(vector) for vector in vectors], document_id],
        )
    return True


def set_linked(document_id: int, digest: str) -> bool:
    """Note that the graph knows this version of the document."""
    with connection() as database:
        row = database.execute(
            "update documents set linked = true, problem = null"
            " where id = %s and hash = %s returning id",
            [document_id, digest],
        ).fetchone()
    return row is not None


def set_problem(document_id: int, reason: str) -> None:
    """Note why a document could not be embedded or linked."""
    with connection() as database:
        database.execute(
            "update documents set problem = %s where id = %s", [reason, document_id]
        )


def use_embedder(name: str, dimensions: int) -> None:
    """Make room for the vectors of this model; those of another one are dropped."""
    with connection() as database:
        database.execute("select pg_advisory_xact_lock(%s)", [SCHEMA_LOCK])
        if _embedder(database) == name:
            return
        for statement in _columns_for(dimensions):
            database.execute(statement.encode())
        database.execute(
            "insert into settings values ('embedder', %s)"
            " on conflict (name) do update set value = excluded.value",
            [name],
        )


def _columns_for(dimensions: int) -> Iterator[str]:
    yield "drop index if exists chunks_embedding"
    yield "alter table chunks drop column if exists embedding"
    yield f"alter table chunks add column embedding vector({int(dimensions)})"
    yield "update documents set embedded = null"
    index = "create index chunks_embedding on chunks"
    yield f"{index} using hnsw (embedding vector_cosine_ops)"


def embedder() -> str | None:
    """Return the model whose vectors are stored; None while there are none."""
    with connection() as database:
        return _embedder(database)


def _embedder(database: Connection) -> str | None:
    row = database.execute(
        "select value from settings where name = 'embedder'"
    ).fetchone()
    return None if row is None else str(row[0])


def literal(vector: Sequence[float]) -> str:
    """Return a vector as pgvector reads it."""
    return f"[{','.join(f'{value:.6g}' for value in vector)}]"
