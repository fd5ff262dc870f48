from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from headway.retry import retry_after
from tasks.agents import EXTRACTIVE, compare, research
from tasks.brain import chat
from tasks.brain.search import Passage
from tasks.ingest import ingest

pytestmark = pytest.mark.usefixtures("brain")


@pytest.fixture
def library(folder, work):
    (folder / "stone.md").write_text(
        "# Stones\n\nTwo stones grind wheat into flour. Stones are heavy.\n"
    )
    ingest.enqueue(folder)
    work()


class Endpoint(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, dict(self.headers), json.loads(body)))
        status, headers, answer = self.server.answers.pop(0)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture
def endpoint(monkeypatch):
    """A language model's server, that answers what the test has written down."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    server.asked, server.answers = [], []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/v1/"
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    monkeypatch.setenv("OPENAI_API_KEY", "sesame")
    monkeypatch.setenv("OPENAI_MODEL", "tiny")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def completion(text: str) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, json.dumps({"choices": [{"message": {"content": text}}]}).encode()


@pytest.mark.usefixtures("library")
def test_offline_the_summary_is_made_of_sentences_of_the_documents():
    report = research("what is wheat ground with")
    assert report.method == EXTRACTIVE
    sentences = [citation.sentence for citation in report.citations]
    assert "Two stones grind wheat into flour." in sentences
    assert "A mill grinds wheat between two stones." in sentences
    assert len(sentences) == len(set(sentences))
    for number, sentence in enumerate(sentences, 1):
        assert f"{sentence} [{number}]" in report.summary
    assert {"Stones", "mill"} <= set(report.documents)
    assert "wheat" in report.comparison.shared
    assert "heavy" in report.comparison.differing["Stones"]


def test_an_empty_brain_says_that_it_knows_nothing():
    report = research("what is wheat ground with")
    assert report.citations == ()
    assert "Nothing that was ingested" in report.summary


@pytest.mark.usefixtures("library")
def test_a_report_travels_as_the_result_of_a_job(work):
    job = research.enqueue("what is wheat ground with")
    work()
    assert job.result(timeout=5) == research("what is wheat ground with")


def test_one_document_shares_nothing_with_itself():
    passage = Passage(document="A", uri="a", score=1.0, passage="Owls hunt.")
    comparison = compare([passage])
    assert comparison.shared == ()
    assert comparison.differing == {"A": ("owls", "hunt")}


@pytest.mark.usefixtures("library")
def test_a_language_model_writes_the_summary_from_the_sentences(endpoint):
    endpoint.answers = [completion("With two stones [1].")]
    report = research("what is wheat ground with")
    assert report.summary == "With two stones [1]."
    assert report.method.startswith("tiny at 127.0.0.1:")
    assert report.citations
    [(path, headers, body)] = endpoint.asked
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer sesame"
    assert body["model"] == "tiny"
    assert "Two stones grind wheat" in body["messages"][1]["content"]


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("written", ["7", None])
def test_a_busy_model_is_asked_again_when_it_says(endpoint, written):
    endpoint.answers = [(429, {"Retry-After": written} if written else {}, b"slow")]
    with pytest.raises(chat.BusyError, match="429") as caught:
        research("what is wheat ground with")
    expected = timedelta(seconds=7) if written else None
    assert retry_after(caught.value, now=datetime.now(UTC)) == expected


@pytest.mark.usefixtures("library")
def test_a_job_that_met_a_busy_model_waits_as_long_as_it_asked(endpoint, work):
    endpoint.answers = [(429, {"Retry-After": "3600"}, b"slow")]
    job = research.enqueue("what is wheat ground with")
    work()
    assert job.status == "scheduled"
    due = job.info().due
    assert timedelta(minutes=59) < due - datetime.now(UTC) < timedelta(minutes=61)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((401, {}, b'{"error": "no such key"}'), "check OPENAI_API_KEY"),
        ((200, {}, b"<html>"), "no chat completion"),
        ((200, {}, b'{"choices": []}'), "no chat completion"),
    ],
)
def test_a_model_that_refuses_is_not_asked_again(endpoint, answer, told):
    endpoint.answers = [answer]
    with pytest.raises(chat.ChatError, match=told) as caught:
        research("what is wheat ground with")
    assert not isinstance(caught.value, chat.BusyError)
    assert "sesame" not in str(caught.value)


@pytest.mark.usefixtures("library")
def test_a_server_error_and_silence_are_worth_a_retry(endpoint, monkeypatch):
    endpoint.answers = [(503, {}, b"")]
    with pytest.raises(chat.BusyError):
        research("what is wheat ground with")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    with pytest.raises(chat.BusyError, match="does not answer"):
        research("what is wheat ground with")


def test_an_address_that_is_none_is_refused(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "file:///etc/passwd")
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    with pytest.raises(Exception, match="OPENAI_BASE_URL"):
        chat.endpoint()
