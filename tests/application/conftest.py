from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from pypdf import PdfWriter
from pypdf.annotations import Link
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer

from headway.embedded import Services
from tasks import graph
from tasks.brain import database

NAMES = ("REDIS_URL", "DATABASE_URL", "NEO4J_URI", "NEO4J_USERNAME", "NEO4J_PASSWORD")


@pytest.fixture(scope="session")
def servers() -> Iterator[dict[str, str]]:
    """Real servers of the suite's own: Redis protocol, Postgres, Bolt."""
    data = Path(tempfile.mkdtemp(prefix="headway-application-"))
    with Services(data=data).running({"redis", "postgres", "bolt"}) as environment:
        yield environment
    shutil.rmtree(data, ignore_errors=True)


@pytest.fixture
def brain(servers, monkeypatch) -> None:
    """An empty second brain."""
    for name in NAMES:
        monkeypatch.setenv(name, servers[name])
    for name in ("HEADWAY_EMBEDDER", "OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)

    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.flushdb()
    with database.connection() as connection:
        connection.execute("truncate documents, chunks, runs, items")
        connection.execute("delete from settings where name = 'embedder'")
    graph.prepare()
    with graph._session() as session:
        session.run("MATCH (n) DETACH DELETE n").consume()


@pytest.fixture
def work(brain):
    """Run what is enqueued, in this process, by RQ's own worker; count the jobs."""

    def run_all() -> int:
        with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
            queues = [
                Queue(name, connection=client, serializer=JSONSerializer)
                for name in ("high", "default", "low", "gpu")
            ]
            worker = SimpleWorker(queues, connection=client, serializer=JSONSerializer)
            worker.work(burst=True, logging_level="WARNING")
            return worker.successful_job_count + worker.failed_job_count

    return run_all


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder of three documents that link to each other."""
    (tmp_path / "bread.md").write_text(
        "# Bread\n\nBread is baked from [flour](flour.md) and water in an oven.\n"
    )
    (tmp_path / "flour.md").write_text(
        "# Flour\n\nFlour is ground from wheat. See [the mill](mill.txt).\n"
    )
    (tmp_path / "mill.txt").write_text("A mill grinds wheat between two stones.\n")
    return tmp_path


@pytest.fixture(scope="session")
def make_pdf():
    """Write a PDF of one page: real enough for any reader."""
    return write_pdf


def write_pdf(path: Path, text: str = "", *, password: str | None = None) -> Path:
    writer = PdfWriter()
    page = writer.add_blank_page(width=300, height=300)
    font = DictionaryObject({
        NameObject("/Type"): NameObject("/Font"),
        NameObject("/Subtype"): NameObject("/Type1"),
        NameObject("/BaseFont"): NameObject("/Helvetica"),
    })  # fmt: skip
    page[NameObject("/Resources")] = DictionaryObject({
        NameObject("/Font"): DictionaryObject({NameObject("/F1"): font})
    })  # fmt: skip
    stream = DecodedStreamObject()
    stream.set_data(f"BT /F1 12 Tf 20 200 Td ({text}) Tj ET".encode("latin-1"))
    page[NameObject("/Contents")] = writer._add_object(stream)
    writer.add_annotation(
        0, Link(rect=(0, 0, 10, 10), url="https://pypi.org/project/rq/")
    )
    writer.add_metadata({"/Title": "On Owls", "/Author": "Ada Poe and Bo Lee"})
    if password is not None:
        writer.encrypt(password, "owner", algorithm="RC4-128")
    with path.open("wb") as file:
        writer.write(file)
    return path
