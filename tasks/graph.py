"""How documents hang together: links, requirements and authors, in a graph over Bolt.

Any Bolt-compatible server will do. A link to a document that is not there (yet) leaves
a stub without `ingested`; when that document arrives, the link counts.
"""

from __future__ import annotations

import atexit
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import Any, LiteralString

from neo4j import Driver, GraphDatabase, Session, Transaction
from neo4j.exceptions import ConstraintError, TransientError

from headway import Retry, exponential
from headway.errors import ConfigurationError
from tasks import task
from tasks.brain import addresses, store
from tasks.brain.trouble import PASSING, noted

DATABASE = "neo4j"
ATTEMPTS = 12
LONGEST_PAUSE = 1.0
PATIENCE = 5.0
CONSTRAINTS: tuple[LiteralString, ...] = (
    "CREATE CONSTRAINT IF NOT EXISTS FOR (d:Document) REQUIRE d.uri IS UNIQUE",
    "CREATE CONSTRAINT IF NOT EXISTS FOR (p:Person) REQUIRE p.name IS UNIQUE",
)
DOCUMENT: LiteralString = (
    "MERGE (d:Document {uri: $uri}) "
    "SET d.title = $title, d.source = $source, d.ingested = true"
)
FORGET: tuple[LiteralString, ...] = (
    "MATCH (d:Document {uri: $uri})-[r:LINKS_TO|REQUIRES]->(:Document) DELETE r",
    "MATCH (:Person)-[r:WROTE]->(d:Document {uri: $uri}) DELETE r",
)
LINKS: LiteralString = (
    "MATCH (d:Document {uri: $uri}) UNWIND $links AS target "
    "MERGE (t:Document {uri: target}) MERGE (d)-[:LINKS_TO]->(t)"
)
REQUIRES: LiteralString = (
    "MATCH (d:Document {uri: $uri}) UNWIND $requires AS target "
    "MERGE (t:Document {uri: target}) MERGE (d)-[:REQUIRES]->(t)"
)
WROTE: LiteralString = (
    "MATCH (d:Document {uri: $uri}) UNWIND $authors AS name "
    "MERGE (p:Person {name: name}) MERGE (p)-[:WROTE]->(d)"
)
COUNT: LiteralString = (
    "MATCH (a:Document)-[r:LINKS_TO|REQUIRES]->(b:Document) "
    "WHERE a.source = $source AND a.ingested = true AND b.ingested = true "
    "RETURN count(r) AS links"
)
NEIGHBOURS: LiteralString = (
    "MATCH (d:Document)-[r:LINKS_TO|REQUIRES]-(n:Document) "
    "WHERE d.uri IN $uris AND n.ingested = true "
    "RETURN DISTINCT d.uri AS uri, n.title AS title ORDER BY uri, title"
)


@task(
    queue="low",
    retry=Retry(attempts=4, backoff=exponential(base=1), on=PASSING),
    timeout=timedelta(minutes=5),
)
def link(document_id: int) -> int:
    """Put a document into the graph; return how many documents it points to."""
    with noted(document_id, "could not be linked"):
        document = store.document(document_id)
        if document is None:
            return 0
        links = addresses.targets(document.uri, document.links)
        _write(lambda work: _merge(work, document, links))
        store.set_linked(document_id, document.hash)
    return len(links) + len(document.requires)


def _merge(work: Transaction, document: store.Document, links: Sequence[str]) -> None:
    values: dict[str, Any] = {
        "uri": document.uri,
        "title": document.title,
        "source": document.source,
        "links": list(links),
        "requires": list(document.requires),
        "authors": list(document.authors),
    }
    for statement in (DOCUMENT, *FORGET):
        work.run(statement, values).consume()
    if links:
        work.run(LINKS, values).consume()
    if document.requires:
        work.run(REQUIRES, values).consume()
    if document.authors:
        work.run(WROTE, values).consume()


def prepare() -> None:
    """Create the constraints: without them two MERGEs at once make two nodes."""
    with _session() as session:
        for statement in CONSTRAINTS:
            session.run(statement).consume()


def verify() -> None:
    """Ask the server whether it is there and lets us in."""
    _driver(os.getpid(), *_address()).verify_connectivity()


def count(source: str) -> int:
    """Return how many links of this source's documents lead to one that is here."""
    with _session() as session:
        row = session.run(COUNT, source=source).single()
    return 0 if row is None else int(row["links"])


def neighbours(uris: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """Return the titles of what each document is linked with, in either direction."""
    with _session() as session:
        rows = session.run(NEIGHBOURS, uris=list(uris)).data()
    found: dict[str, list[str]] = {uri: [] for uri in uris}
    for row in rows:
        found[row["uri"]].append(row["title"])
    return {uri: tuple(titles) for uri, titles in found.items()}


def _write(change: Callable[[Transaction], None]) -> None:
    """Commit a change; where another writer was in the way, try again.

    The driver retries a TransientError after a second, and never a ConstraintError,
    which is how some servers answer two MERGEs of one node at the same time.
    """
    with _session() as session:
        for pause in _pauses():
            try:
                with session.begin_transaction() as work:
                    change(work)
                    work.commit()
            except (ConstraintError, TransientError):
                if pause is None:
                    raise
                time.sleep(pause)
            else:
                return


def _pauses() -> Iterator[float | None]:
    """Yield ever longer pauses with chance in them, and None before giving up."""
    for attempt in range(ATTEMPTS - 1):
        longest = min(LONGEST_PAUSE, 0.02 * 2**attempt)
        yield random.uniform(longest / 4, longest)  # noqa: S311 - only spreads writers
    yield None


def _session() -> Session:
    return _driver(os.getpid(), *_address()).session(database=DATABASE)


def _address() -> tuple[str, str, str]:
    uri = os.environ.get("NEO4J_URI")
    if not uri:
        raise ConfigurationError(
            "NEO4J_URI is not set: start with `./scripts/run` or `headway up`, which "
            "bring a Bolt-compatible server of their own, or set it to bolt://host:7687"
        )
    user = os.environ.get("NEO4J_USERNAME", "neo4j")
    return uri, user, os.environ.get("NEO4J_PASSWORD", "")


@cache
def _driver(_process: int, uri: str, user: str, password: str) -> Driver:
    """Open the driver of this process: a child must not share its parent's."""
    auth = (user, password) if password else None
    driver = GraphDatabase.driver(uri, auth=auth, connection_timeout=PATIENCE)
    atexit.register(_close, driver, os.getpid())
    return driver


def _close(driver: Driver, process: int) -> None:
    """Close the driver, unless it is a parent's, who still needs it."""
    if os.getpid() == process:
        driver.close()
