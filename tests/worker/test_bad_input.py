"""Whatever is found in Redis or in the application, the worker lives on."""

from __future__ import annotations

import pickle
import zlib

import pytest

from tests.worker.running import until

NONSENSE = {
    "timeout": [b"soon", b"nan", b"inf", b"1e400", b""],
    "result_ttl": [b"forever", b"1.5", b"1" + b"0" * 17, b"1" + b"0" * 20],
    "created_at": [b"yesterday"],
    "number_of_retries": [b"many", b"-1"],
    "meta": [
        b"nonsense",
        b"[]",
        b'{"headway": 5}',
        b'{"headway": {"retry": 5}}',
        b'{"headway": {"retry": {"attempts": "x"}}}',
        (
            b'{"headway": {"retry": {"attempts": 2, "first": 1e300, "base": 2, '
            b'"maximum": 1, "jitter": false, "on": [], "never": []}}}'
        ),
        b'{"headway": {"expires_at": "never"}}',
        b'{"headway": {"unique": 5}}',
    ],
    "status": [b"dancing", b""],
    "headway_crashes": [b"often"],
    "headway_delivery": [b"x"],
    "failure_ttl": [b"x"],
    "success_callback_timeout": [b"x"],
    "retries_left": [b"x", b"1.5"],
    "retry_intervals": [b"[" * 3000],
    "success_callback_name": [b"nowhere.at_all"],
    "failure_callback_name": [b"nowhere.at_all"],
    "dependency_ids": [b"x", b'{"a": 1}', b"5"],
    "rate_limit_key": [b"\xff\xfe"],
    "repeats_left": [b"x"],
    "webhooks": [b"not json"],
    "origin": [b"elsewhere"],
    "data": [
        b"",
        b"nonsense",
        zlib.compress(b""),
        b'["worker_tasks.\xff", null, [], {}]',
        b"[1,2,3]",
        b"\x80\x04nonsense",
        b"x\x9cnonsense",
        b'["os.system", null, ["true"], {}]',
        b'["worker_tasks.gone", null, [], {}]',
        b'["worker_tasks.short", "self", [], {}]',
        b'["worker_tasks.short", null, [1, 2, 3], {}]',
        b'["", null, [], {}]',
        b'["worker_tasks.fail", null, ["x"], {}]',
        pickle.dumps(("worker_tasks.short", None, ("x",), {})),
        b"[" * 100_000,
    ],
}
MODES = [(), ("--threads", "3"), ("--concurrency", "3")]


@pytest.mark.parametrize("mode", MODES, ids=["one", "threads", "loop"])
def test_a_field_of_nonsense_costs_at_most_its_job(
    mode, app, tasks, worker, marks, store, book
):
    jobs = {}
    for field, values in NONSENSE.items():
        for value in values:
            for task, word in ((tasks.short, "word"), (tasks.fail, "why")):
                job = task.enqueue(word)
                store.hset(f"rq:job:{job.id}", field, value)
                jobs[job.id] = (field, value, task.name)
    good = app.enqueue_many([tasks.short.message(str(n)) for n in range(30)])
    running = worker(*mode)
    until(
        lambda: not book.waiting() and not book.leased(),
        "all are seen to",
    )
    assert all(job.status == "finished" for job in good)
    assert [marks.count(f"run {n}") for n in range(30)] == [1] * 30
    # Stock rq, too, fails a job in the queue that its hash names.
    ended = {*book.of("finished"), *book.of("failed"), *book.of("failed", "elsewhere")}
    assert [what for job_id, what in jobs.items() if job_id not in ended] == []
    assert "a child of" not in running.said  # none has ended
    for job_id in book.of("failed"):
        assert app.job(job_id).info().error, jobs[job_id]
    assert running.stop() == 0


def test_registries_that_rq_cannot_tend_keep_no_child_from_beginning(
    app, tasks, burst, store
):
    store.hset("rq:job:odd", mapping={"created_at": "yesterday", "status": "deferred"})
    for registry in ("ready", "deferred", "failed", "wip"):
        store.zadd(f"rq:{registry}:default", {"odd": 1})
    job = tasks.short.enqueue("after")
    said = burst()
    assert job.result() == "after"
    assert "cannot be tended" in said
    assert "a child of" not in said


def test_what_is_no_job_is_passed_over(app, tasks, burst, store, book):
    store.rpush("rq:queue:default", "gone", "text", "list")
    store.set("rq:job:text", "x")
    store.rpush("rq:job:list", "x")
    store.sadd("rq:queues", "rq:queue:default")
    job = tasks.short.enqueue("after")
    burst()
    assert job.result() == "after"
    assert store.lrange("headway:quarantine", 0, -1) == [b"text", b"list"]
    assert book.waiting() == []


def test_a_key_that_is_no_queue_keeps_no_other_from_being_served(
    app, tasks, worker, marks, store
):
    store.set("rq:queue:high", "text")
    running = worker("high", "default")
    until(lambda: "rq:queue:high holds a string" in running.said, "said so")
    assert tasks.short.enqueue("other").result(timeout=5) == "other"
    store.delete("rq:queue:high")
    assert tasks.short.using(queue="high").enqueue("now").result(timeout=5) == "now"
    assert "Redis" not in running.said
    assert running.stop() == 0


def test_a_queue_that_is_renamed_as_it_is_served_costs_nothing_but_its_jobs(
    app, tasks, worker, marks, store, book
):
    running = worker()
    held = tasks.held.enqueue("long")
    marks.until("begin long")
    away = app.enqueue_many([tasks.short.message(str(n)) for n in range(3)])
    until(lambda: len(book.waiting()) == 3, "given back by the child that is busy")
    store.rename("rq:queue:default", "rq:queue:elsewhere")
    marks.open("long")
    assert held.result(timeout=5) == "long"
    assert tasks.short.enqueue("after").result(timeout=5) == "after"
    store.rename("rq:queue:elsewhere", "rq:queue:default")
    assert [job.result(timeout=5) for job in away] == ["0", "1", "2"]
    assert running.stop() == 0


def test_an_id_that_stands_twice_in_one_batch_is_committed_once(
    app, tasks, worker, store, book
):
    running = worker()
    app.enqueue_many([tasks.short.message(str(n)) for n in range(30)])
    until(lambda: len(book.of("finished")) == 30, "it knows that jobs are short")
    queue = app.queue("default")
    queue.pause()
    job = tasks.short.enqueue("twice")
    store.rpush("rq:queue:default", job.id)
    queue.resume()
    until(lambda: not book.waiting() and not book.leased(), "all are seen to")
    assert book.results(job) == 1
    assert "a child of" not in running.said


def test_a_result_that_cannot_travel_fails_the_job(app, tasks, burst):
    job = tasks.unspeakable.enqueue()
    burst()
    assert "ResultError" in job.info().error


@pytest.mark.parametrize("kind", ["job", "results"])
def test_keys_that_change_their_type_under_a_running_job_stop_nothing(
    kind, app, tasks, worker, marks, store
):
    running = worker()
    job = tasks.held.enqueue("long")
    marks.until("begin long")
    store.delete(f"rq:{kind}:{job.id}")
    store.set(f"rq:{kind}:{job.id}", "text")
    marks.open("long")
    assert tasks.short.enqueue("after").result(timeout=5) == "after"
    assert running.stop() == 0


def test_a_job_that_is_deleted_as_it_runs_leaves_nothing(
    app, tasks, worker, marks, store, book
):
    running = worker()
    job = tasks.report_then_wait.enqueue("long")
    marks.until("begin long")
    until(lambda: book.of("wip"), "shown")
    store.delete(f"rq:job:{job.id}")
    marks.open("long")
    assert tasks.short.enqueue("after").result(timeout=5) == "after"
    assert running.stop() == 0
    assert store.keys(f"*{job.id}*") == []
    assert book.of("wip") == book.leased() == []


def test_an_application_that_does_not_import_is_refused(command, tmp_path):
    for app, words in {
        "nowhere:app": "nowhere",
        "worker_app:nothing": "nothing",
        "worker_app": "module:attribute",
        "json:loads": "App",
    }.items():
        done = command("headway", "worker", env={"HEADWAY_APP": app})
        assert done.returncode == 2, (app, done.stderr)
        assert words in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("mode", MODES[:2], ids=["one", "threads"])
def test_an_error_that_utf_8_has_not_is_kept_all_the_same(
    mode, app, tasks, worker, marks, book
):
    """Such a name `os.listdir` gives for a file of another time."""
    worker(*(mode or ("--children", "2")))
    beside = tasks.held.enqueue("gate")
    jobs = [tasks.fail_on_a_file.enqueue() for _ in range(2)]
    until(lambda: all(job.status == "failed" for job in jobs), "failed")
    marks.open("gate")
    assert beside.result(timeout=5) == "gate"
    assert marks.count("begin gate") == 1
    for job in jobs:
        assert "ValueError: no file c" in job.info().error
        assert not job.info().crashes
