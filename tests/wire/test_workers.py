"""RQ's own commands with our jobs and our worker, all as real processes."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest
from rq import Callback, Queue
from rq.job import Job as RQJob
from rq.serializers import JSONSerializer

from headway.wire import keys

OURS = [
    (("headway", "worker", "--burst"), {}),
    (("rq", "worker", "--burst", "-w", "headway.Worker", "default"), {}),
    (("rq", "worker", "--burst", "default"), {"RQ_WORKER_CLASS": "headway.Worker"}),
    (("rq", "worker-pool", "-b", "-n", "2", "-w", "headway.Worker", "default"), {}),
]
STOCK = (("rq", "worker", "--burst", "-S", "json", "default"), {})


def _with_url(arguments, store):
    if arguments[0] != "rq":
        return arguments
    url = "redis://{host}:{port}".format(**store.connection_pool.connection_kwargs)
    return (*arguments, "-u", url)


@pytest.mark.parametrize(("arguments", "env"), [*OURS, STOCK])
def test_each_command_runs_our_jobs_and_those_of_a_stock_producer(
    app, basic, queue, store, work, arguments, env
):
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    ours = basic.echo_moment.enqueue(moment)
    theirs = queue.enqueue("sample_tasks.basic.add", 20, other=22)
    failed = basic.fail.enqueue("no bread")
    retried = basic.flaky.enqueue("twice")
    work(*_with_url(arguments, store), **env)
    assert ours.result(timeout=5) == moment
    assert app.job(theirs.id).result(timeout=5) == 42
    assert (
        RQJob.fetch(theirs.id, store, JSONSerializer).latest_result().return_value == 42
    )
    assert failed.status == "failed"
    assert retried.result(timeout=5) == 3


def test_rq_info_shows_our_jobs(basic, store, command):
    for _ in range(3):
        basic.add.enqueue(1)
    said = command(*_with_url(("rq", "info"), store)).stdout
    assert "default" in said
    assert "3" in said


@pytest.fixture
def hostile(store, queue, tmp_path):
    """Jobs that someone who can write to Redis might leave there."""
    trap = tmp_path / "sprung"
    pickled = Queue("default", connection=store)
    touch = f"touch {trap}"
    jobs = {
        "func": queue.enqueue("os.system", touch),
        "check": queue.enqueue("subprocess.check_output", ["touch", str(trap)]),
        "imported": queue.enqueue("sample_tasks.imported.system", touch),
        "dotted": queue.enqueue("sample_tasks.imported.os.system", touch),
        "pickle": pickled.enqueue("sample_tasks.basic.add", 1),
        "success": queue.enqueue(
            "sample_tasks.basic.add", 1, on_success=Callback("antigravity.fly")
        ),
        "failure": queue.enqueue(
            "sample_tasks.basic.fail", "x", on_failure=Callback("antigravity.fly")
        ),
    }
    return jobs, trap


def test_our_worker_runs_nothing_but_tasks_and_says_why(app, hostile, store, work):
    jobs, trap = hostile
    safe = app.job(jobs["func"].id)
    said = work("headway", "worker", "--burst")
    assert not trap.exists()
    reasons = {name: app.job(job.id).info().error for name, job in jobs.items()}
    assert {str(app.job(job.id).status) for job in jobs.values()} == {"failed"}
    for name in ("func", "check", "success"):
        assert "may not run" in reasons[name], name
        assert "It was not imported" in reasons[name]
    assert "ValueError: x" in reasons["failure"]  # its own, and not the callback's
    assert "its callback: 'antigravity.fly' may not run" in said
    assert "is not a function that sample_tasks.imported defines" in reasons["imported"]
    assert "sample_tasks.imported.os cannot be imported" in reasons["dotted"]
    assert "JSON" in reasons["pickle"]
    assert store.zcard(keys.failed("default")) == len(jobs)
    assert safe.id


def test_our_worker_survives_a_broken_module_and_a_payload_of_nonsense(
    app, basic, queue, store, work
):
    broken = queue.enqueue("sample_tasks.broken.run")
    odd = queue.enqueue("sample_tasks.basic.add", 1)
    store.hset(keys.job(odd.id), "data", b"\x00nonsense")
    shape = queue.enqueue("sample_tasks.basic.add", 1)
    store.hset(keys.job(shape.id), "data", b'{"not": "a call"}')
    method = queue.enqueue("sample_tasks.basic.add", 1)
    store.hset(keys.job(method.id), "data", b'["upper", "text", [], {}]')
    good = basic.add.enqueue(1)
    said = work("headway", "worker", "--burst")
    assert good.result(timeout=5) == 2
    assert "sample_tasks.broken does not import, its jobs will fail" in said
    assert "a_module_that_is_not_there" in app.job(broken.id).info().error
    for job in (odd, shape, method):
        assert app.job(job.id).status == "failed", app.job(job.id).info()


def test_delayed_jobs_are_run_by_a_worker_with_scheduler(basic, store, start, app):
    job = basic.add.using(delay=_hour()).enqueue(1)
    store.zadd(keys.scheduled("default"), {job.id: 1})
    start("headway", "worker", "--with-scheduler", "default")
    assert job.result(timeout=20) == 2


def test_delayed_jobs_are_sent_by_the_scheduler(basic, store, start, app):
    job = basic.add.using(delay=_hour()).enqueue(1)
    store.zadd(keys.scheduled("default"), {job.id: 1})
    start("headway", "scheduler")
    start("headway", "worker")
    assert job.result(timeout=20) == 2


def _hour():
    from datetime import timedelta

    return timedelta(hours=1)


def test_a_child_of_a_worker_warms_up_once_before_its_first_job(
    store, start, command, tmp_path
):
    (tmp_path / "warm_app.py").write_text(
        "from headway import App, Queue\n"
        "app = App(queues=[Queue('gpu'), Queue('low')], tasks='warm_tasks')\n"
    )
    (tmp_path / "warm_tasks.py").write_text(
        "import pathlib\n"
        "from warm_app import app\n"
        "log = pathlib.Path('log')\n"
        "def say(text): log.open('a').write(text + ' ')\n"
        "@app.on_worker_start(queue='gpu')\n"
        "def warm(): say('warm')\n"
        "@app.on_worker_start()\n"
        "def each(): say('each')\n"
        "@app.task\n"
        "def job(): say('job')\n"
    )
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    env = {"HEADWAY_APP": "warm_app:app", "PYTHONPATH": paths, "HEADWAY_CHILDREN": "1"}
    for _ in range(2):
        Queue("gpu", connection=store, serializer=JSONSerializer).enqueue(
            "warm_tasks.job"
        )
    done = command("headway", "worker", "gpu", "--burst", env=env)
    assert done.returncode == 0, done.stderr
    command("headway", "worker", "low", "--burst", env=env)
    assert (tmp_path / "log").read_text().split() == [
        "warm",
        "each",
        "job",
        "job",
        "each",
    ]
