from __future__ import annotations

import pytest

from tasks.brain import runs, search, store
from tasks.ingest import ingest

pytestmark = pytest.mark.usefixtures("brain")


@pytest.fixture
def library(work):
    """The documentation of every package that is installed here."""
    ingest.enqueue(None)
    work()
    run = runs.latest()
    assert run.complete
    assert run.failed == 0
    return run


def first(question: str) -> str:
    return search.search(question)[0].document


def test_the_packages_installed_here_answer(library):
    assert library.found > 30
    assert runs.chunks(library.id) > 200
    assert first("how do I parse a PDF") == "pypdf"
    assert first("How can I read PDF files in Python?") == "pypdf"
    assert first("background jobs with a queue on redis") in {"rq", "headway"}
    assert first("read and write Word documents") == "python-docx"
    assert first("templates") == "Jinja2"
    best = search.search("how do I parse a PDF")
    assert len(best) == 5
    scores = [passage.score for passage in best]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 for score in scores)
    assert len({(passage.uri, passage.passage) for passage in best}) == 5
    jinja = search.search("jinja templates")[0]
    assert "MarkupSafe" in jinja.linked


def test_a_passage_comes_with_the_documents_that_its_document_is_linked_to(
    folder, work
):
    ingest.enqueue(folder)
    work()
    best = search.search("what is flour ground from")[0]
    assert best.document == "Flour"
    assert "ground from wheat" in best.passage
    assert best.linked == ("Bread", "mill")


@pytest.mark.parametrize(
    "question",
    ["", "the of and", "?!", "'; drop table documents; --", "a & b | !c <-> (d:*",
     "zzzqqq", "\\ ' \" \\'", "x" * 10_000, "æøå 日本語 \U0001f600", "nul \0 here"],
)  # fmt: skip
def test_no_question_breaks_the_search(folder, work, question):
    ingest.enqueue(folder)
    work()
    assert all(passage.score > 0 for passage in search.search(question))
    assert runs.latest().found == 3


def test_nothing_is_found_where_nothing_was_ingested():
    assert search.search("anything") == []


def test_a_word_in_the_title_counts(tmp_path, work):
    (tmp_path / "a.md").write_text("# Owls\n\nThey hunt at night, in silence.\n")
    (tmp_path / "b.md").write_text("# Sounds\n\nA fox hears owls hunt at night.\n")
    ingest.enqueue(tmp_path)
    work()
    assert first("owls hunt") == "Owls"


def test_a_document_takes_at_most_two_of_the_places(tmp_path, work):
    (tmp_path / "a.md").write_text("\n\n".join(f"Owls {'x ' * 300}" for _ in range(8)))
    (tmp_path / "b.md").write_text("Owls, too.")
    ingest.enqueue(tmp_path)
    work()
    found = [passage.document for passage in search.search("owls")]
    assert sorted(found) == ["a", "a", "b"]


def test_vectors_of_a_model_that_is_not_chosen_are_left_alone(
    folder, work, monkeypatch
):
    ingest.enqueue(folder)
    work()
    store.use_embedder("all-MiniLM-L6-v2", 384)
    assert first("what is flour ground from") == "Flour"
