"""Only who knows the secret can have a job run, where the application wants that."""

from __future__ import annotations

import json

import pytest
from rq import Callback

from headway.errors import ConfigurationError, UnsignedJobError
from headway.signing import Signer

SECRET = "0123456789abcdef-of-the-tests"


@pytest.fixture
def signed(monkeypatch):
    """The application that is made in this test signs what it sends."""
    monkeypatch.setenv("WORKER_SIGNED", "yes")
    monkeypatch.setenv("HEADWAY_SECRET", SECRET)
    return {"WORKER_SIGNED": "yes", "HEADWAY_SECRET": SECRET}


@pytest.mark.parametrize("mode", [(), ("--threads", "3")], ids=["one", "threads"])
def test_a_job_that_nobody_signed_is_failed_and_not_run(
    mode, signed, app, tasks, burst, marks, stock, book
):
    good = app.enqueue_many([tasks.short.message(str(n)) for n in range(3)])
    good += [tasks.short.using(unique="u").enqueue("3")]
    again = tasks.fail_once.enqueue("4")
    strange = [
        stock.enqueue("worker_tasks.short", "stranger"),
        stock.enqueue(
            "worker_tasks.short", "x", on_success=Callback("worker_tasks.short")
        ),
    ]
    burst(*mode, **signed)
    assert [job.result() for job in good] == ["0", "1", "2", "3"]
    assert again.result() == "4"
    assert sorted(book.of("failed")) == sorted(job.id for job in strange)
    for job in strange:
        assert "is not signed" in app.job(job.id).info().error
    assert marks.count("run stranger") == 0


def test_what_was_changed_on_its_way_is_failed(signed, app, tasks, burst, store, marks):
    job, other = tasks.short.enqueue("as sent"), tasks.short.enqueue("other")
    call = json.dumps(["worker_tasks.short", None, ["changed"], {}])
    store.hset(f"rq:job:{job.id}", "data", call)
    meta = store.hget(f"rq:job:{other.id}", "meta")
    store.hset(
        f"rq:job:{other.id}",
        "meta",
        meta.replace(b'"signature": "', b'"signature": "0'),
    )
    said = burst(**signed)
    for each in (job, other):
        assert "not what its sender signed" in each.info().error
    assert marks.count("run as sent") == marks.count("run changed") == 0
    assert SECRET not in said


def test_who_sends_signatures_runs_others_as_well(signed, app, tasks, burst, stock):
    ours = tasks.short.enqueue("ours")
    theirs = stock.enqueue("worker_tasks.short", "theirs")
    burst(**signed | {"WORKER_SIGNED": "send"})
    assert ours.result() == "ours"
    assert theirs.return_value(refresh=True) == "theirs"


def test_without_a_secret_nothing_is_sent_and_no_worker_begins(
    app, tasks, command, monkeypatch, store
):
    monkeypatch.setenv("WORKER_SIGNED", "yes")
    done = command("headway", "worker", env={"WORKER_SIGNED": "yes"})
    assert done.returncode == 1
    assert "needs HEADWAY_SECRET" in done.stderr
    assert "Traceback" not in done.stderr
    app._signed = True
    with pytest.raises(ConfigurationError, match="needs HEADWAY_SECRET"):
        tasks.short.enqueue("x")
    assert store.keys("rq:job:*") == []


def test_a_signature_is_of_one_job_and_one_call():
    signer = Signer(SECRET)
    signature = signer.sign("a", b"call")
    signer.check("a", b"call", signature)
    for job_id, call, secret in (
        ("b", b"call", SECRET),
        ("a", b"cal", SECRET),
        ("a", b"call", SECRET[1:]),
    ):
        with pytest.raises(UnsignedJobError):
            Signer(secret).check(job_id, call, signature)
    with pytest.raises(ConfigurationError, match="16 characters"):
        Signer("short")
