from __future__ import annotations

import os
import re
import threading
from pathlib import Path

import pytest
import redis
from rq import Queue
from rq.registry import FailedJobRegistry

from tasks import graph
from tasks.brain import runs, store
from tasks.brain.database import connection
from tasks.brain.folder import FolderError
from tasks.embed import embed
from tasks.graph import link
from tasks.ingest import ingest, read, resume

pytestmark = pytest.mark.usefixtures("brain")


def rows(query: str) -> list[tuple]:
    with connection() as database:
        return database.execute(query).fetchall()


def ingested(folder, work) -> runs.Run:
    ingest.enqueue(folder)
    work()
    run = runs.latest()
    assert run is not None
    assert run.complete
    return run


def everything() -> tuple:
    """All that a brain holds, but for numbers and times."""
    with graph._session() as session:
        nodes = session.run("MATCH (n) RETURN count(n) AS n").single()["n"]
        edges = session.run("MATCH ()-[r]->() RETURN count(r) AS n").single()["n"]
    return (
        rows("select uri, hash, embedded, linked, problem from documents order by uri"),
        rows("select position, text, embedding::text from chunks order by text"),
        rows("select uri, outcome, reason from items order by uri, run_id"),
        nodes,
        edges,
    )


def test_a_folder_is_stored_embedded_and_linked(folder, work):
    run = ingested(folder, work)
    assert (run.found, run.new, run.failed, run.done) == (3, 3, 0, 3)
    assert run.jobs == 1 + 3 * 3
    assert runs.chunks(run.id) == 3
    assert graph.count(run.source) == 2
    assert rows("select count(*) from chunks where embedding is null") == [(0,)]


def test_a_second_run_does_nothing_new(folder, work):
    ingested(folder, work)
    before = everything()[:2]
    run = ingested(folder, work)
    assert (run.found, run.new, run.changed, run.unchanged) == (3, 0, 0, 3)
    assert run.jobs == 1
    assert everything()[:2] == before


def test_a_changed_file_alone_is_done_again(folder, work):
    ingested(folder, work)
    (folder / "flour.md").write_text("# Flour\n\nNow it points [to bread](bread.md).\n")
    run = ingested(folder, work)
    assert (run.new, run.changed, run.unchanged) == (0, 1, 2)
    assert run.jobs == 4
    [(text,)] = rows(
        "select text from chunks join documents d on d.id = document_id"
        " where title = 'Flour'"
    )
    assert "points" in text
    flour = (folder / "flour.md").as_uri()
    assert graph.neighbours([flour]) == {flour: ("Bread",)}


def test_a_new_file_makes_links_count_that_waited_for_it(folder, work):
    mill = folder / "mill.txt"
    text = mill.read_text()
    mill.unlink()
    assert graph.count(ingested(folder, work).source) == 1
    mill.write_text(text)
    run = ingested(folder, work)
    assert run.new == 1
    assert graph.count(run.source) == 2


def test_a_file_that_is_gone_is_reported_and_kept(folder, work):
    ingested(folder, work)
    (folder / "mill.txt").unlink()
    run = ingested(folder, work)
    assert (run.found, run.removed) == (2, 1)
    assert runs.lost(run.source) == ["mill"]
    assert rows("select count(*) from documents") == [(3,)]
    (folder / "mill.txt").write_text("A mill grinds wheat between two stones.\n")
    run = ingested(folder, work)
    assert (run.new, run.removed, runs.lost(run.source)) == (0, 0, [])


def test_the_queries_of_the_how_to_page_answer(folder, work):
    run = ingested(folder, work)
    (folder / "mill.txt").unlink()
    ingested(folder, work)
    page = Path(__file__).parents[2] / "docs/how-to/ingest-your-own-folder.md"
    found = re.findall(
        r"^```text\n((?:select|delete)[^`]*)```", page.read_text(), re.MULTILINE
    )
    with connection() as database:
        for query in found:
            database.execute(query)
        row = database.execute(next(q for q in found if "select" in q)).fetchone()
    assert row[0] == run.source
    assert row[2:] == (2, 0, 0, 2, 0, 2)
    assert rows("select count(*) from documents") == [(2,)]


def test_a_document_that_fails_says_why_and_the_rest_goes_on(folder, work):
    (folder / "bad.pdf").write_bytes(b"%PDF-1.7 nonsense")
    run = ingested(folder, work)
    assert (run.found, run.new, run.failed) == (4, 3, 1)
    [(uri, reason)] = runs.failures(run.id).items()
    assert uri.endswith("bad.pdf")
    assert "damaged" in reason
    again = ingested(folder, work)
    assert (again.unchanged, again.failed) == (3, 1)


def test_a_failed_document_has_its_job_in_the_failed_registry(folder, work):
    (folder / "bad.pdf").write_bytes(b"%PDF-1.7 nonsense")
    ingested(folder, work)
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        queue = Queue("default", connection=client)
        assert len(FailedJobRegistry(queue=queue).get_job_ids()) == 1


def test_a_document_that_is_mended_counts_as_new(folder, work):
    (folder / "late.md").touch()
    assert ingested(folder, work).failed == 1
    (folder / "late.md").write_text("# At last\n\nHere it is.\n")
    run = ingested(folder, work)
    assert (run.new, run.failed) == (1, 0)


def test_every_task_that_runs_twice_leaves_one_row(folder, work):
    run = ingested(folder, work)
    before = everything()
    for uri, document in rows("select uri, id from documents"):
        read(run.id, uri)
        embed(document)
        link(document)
    key = rows("select key from runs")[0][0]
    assert ingest(folder, key) == run.id
    work()
    assert everything() == before


def test_a_task_that_stopped_half_way_is_completed_by_the_next(folder, work):
    run = ingested(folder, work)
    whole = everything()
    with connection() as database:
        database.execute("delete from chunks where position = 0")
        database.execute("update documents set embedded = null, hash = ''")
    with graph._session() as session:
        session.run("MATCH ()-[r]->() DELETE r").consume()
    for (uri,) in rows("select uri from documents"):
        read(run.id, uri)
    work()
    assert everything() == whole


def test_what_was_lost_between_two_steps_is_found_again(folder, work):
    run = ingest(folder)
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.flushdb()
    assert work() == 0
    assert resume(run) == 3
    work()
    assert runs.latest().complete


def test_two_that_read_the_same_document_at_once_leave_one_row(folder):
    run = ingest(folder)
    uri = (folder / "bread.md").as_uri()
    threads = [
        threading.Thread(target=read.function, args=(run, uri)) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert rows("select count(*) from documents") == [(1,)]
    assert rows("select count(*) from chunks") == [(1,)]
    assert runs.latest().new == 1


def test_documents_linked_at_once_make_each_node_and_person_once(tmp_path, work):
    for number in range(12):
        (tmp_path / f"{number}.html").write_text(
            "<meta name=author content='Ada Poe'><p>One of twelve.</p>"
            "<a href=hub.md>hub</a>"
        )
    run = ingest(tmp_path)
    for uri in runs.unread(run):
        read(run, uri)
    documents = [number for (number,) in rows("select id from documents")]
    threads = [threading.Thread(target=link, args=(one,)) for one in documents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with graph._session() as session:
        people = session.run("MATCH (p:Person)-[r:WROTE]->() RETURN p.name AS name")
        names = [row["name"] for row in people]
        hubs = session.run(
            "MATCH (:Document)-[r:LINKS_TO]->(h:Document) "
            "RETURN count(r) AS links, count(DISTINCT h) AS hubs"
        ).single()
    assert names == ["Ada Poe"] * 12
    assert (hubs["links"], hubs["hubs"]) == (12, 1)


def test_a_vector_of_an_old_version_is_not_given_to_the_new_one(folder, work):
    ingested(folder, work)
    [(number,)] = rows("select id from documents where title = 'Bread'")
    old = store.passages(number)
    (folder / "bread.md").write_text("# Bread\n\nQuite another text.\n")
    read(ingest(folder), (folder / "bread.md").as_uri())
    assert not store.set_vectors(number, old.hash, "lexical-hash-256", [[0.0] * 256])
    assert rows(f"select embedded from documents where id = {number}") == [(None,)]


def test_another_model_has_all_vectors_made_again_and_nothing_else(folder, work):
    ingested(folder, work)
    store.use_embedder("old-model-64", 64)
    assert rows("select count(*) from chunks where embedding is not null") == [(0,)]
    run = ingested(folder, work)
    assert (run.new, run.unchanged, run.jobs) == (0, 3, 1 + 3 + 3)
    assert rows("select count(*) from chunks where embedding is null") == [(0,)]


def test_a_folder_that_does_not_exist_fails_the_job_and_begins_no_run(tmp_path):
    with pytest.raises(FolderError, match="no such folder"):
        ingest(tmp_path / "nowhere")
    assert runs.latest() is None


def test_a_step_that_cannot_be_done_is_written_beside_its_document(
    folder, work, monkeypatch
):
    monkeypatch.setenv("HEADWAY_EMBEDDER", "lexicla")
    with pytest.raises(Exception, match="lexicla"):
        ingest(folder)
    monkeypatch.delenv("HEADWAY_EMBEDDER")
    run = ingest(folder)
    monkeypatch.setenv("HEADWAY_EMBEDDER", "lexicla")
    work()
    assert runs.latest().complete
    assert len(runs.failures(run)) == 3
    assert all("lexicla" in reason for reason in runs.failures(run).values())
    monkeypatch.delenv("HEADWAY_EMBEDDER")
    assert ingested(folder, work).failed == 0
