"""Bad input: one clear line (what, which, what to do), an exit code, no traceback."""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import threading

import pytest

from headway import chain
from headway.app import load_app


@pytest.fixture
def app(sample, redis_url, monkeypatch):
    monkeypatch.setenv("REDIS_URL", redis_url)
    app = load_app("sample_app:app")
    yield app
    app.close()


@pytest.fixture
def basic(app):
    return importlib.import_module("sample_tasks.basic")


@pytest.fixture
def refused(command):
    """Run a command that must be refused; return its one line."""

    def run(*arguments: str, **env: str) -> str:
        done = command("headway", *arguments, env=env)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr

    return run


def test_an_unknown_queue_is_refused_with_those_there_are(refused):
    said = refused("worker", "gpu")
    assert "no queue 'gpu'; queues.py declares high, default, low" in said


@pytest.mark.parametrize("url", ["localhost:6379", "http://h", "redis://h:99999"])
def test_a_wrong_address_of_redis_is_refused(refused, url):
    assert f"REDIS_URL={url!r}: expected an address like" in refused(
        "worker", REDIS_URL=url
    )


def test_a_password_is_not_shown(refused):
    assert "secret" not in refused("worker", REDIS_URL="http://u:secret@h")
    assert "secret" not in refused("worker", REDIS_URL="u:secret@h:1")


@pytest.mark.parametrize("name", ["worker", "scheduler", "failed"])
def test_without_any_address_the_way_out_is_named(refused, name):
    arguments = (name, "list") if name == "failed" else (name,)
    assert "add REDIS_URL=redis://host:6379/0" in refused(*arguments, REDIS_URL="")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nowhere:app", "nowhere cannot be imported from"),
        ("sample_app:missing", "sample_app.missing is missing, expected an App"),
        ("sample_app:high", "sample_app.high is Queue, expected an App"),
        ("sample_app", "expected module:attribute"),
    ],
)
def test_an_application_that_is_not_there_is_named(refused, path, words):
    said = refused("worker", "--burst", HEADWAY_APP=path)
    assert words in said
    assert f"HEADWAY_APP={path!r}" in said


@pytest.mark.parametrize(
    ("engine", "option", "words"),
    [
        ("celery", "--burst", "--burst: the worker of celery has no such option"),
        ("dramatiq", "--concurrency=5", "it has children, lease, threads"),
        ("arq", "--with-scheduler", "run `headway scheduler` beside it"),
    ],
    ids=["burst", "concurrency", "scheduler"],
)
def test_what_an_engines_worker_has_no_word_for_is_refused(
    refused, engine, option, words
):
    assert words in refused("worker", "--engine", engine, option)


def test_arq_is_asked_for_in_an_environment_of_its_own(refused):
    assert "HEADWAY_ARQ_PYTHON=.venv-arq/bin/python" in refused(
        "worker", "--engine", "arq"
    )


@pytest.mark.parametrize("python", ["/nowhere/python", "/bin/false"])
def test_a_python_that_has_no_arq_is_named(refused, python):
    said = refused("worker", "--engine", "arq", HEADWAY_ARQ_PYTHON=python)
    assert f"HEADWAY_ARQ_PYTHON={python!r}: expected the Python of" in said


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("HEADWAY_ENGINE", "Celery", "HEADWAY_ENGINE='Celery': expected one of rq"),
        ("HEADWAY_BROKER_URL", "amqp://h:abc/x", "expected RabbitMQ's address"),
    ],
    ids=["engine", "broker"],
)
def test_a_variable_of_engines_that_is_wrong_is_named(refused, variable, value, words):
    said = refused("worker", **{variable: value})
    assert variable in said
    assert words in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("celery -A headway.engines.celery worker", "no queue is served by celery"),
        ("dramatiq headway.engines.dramatiq -p 1", "no queue is served by dramatiq"),
        (
            "celery -A headway.engines.celery worker -Q nowhere",
            "queue 'nowhere' is not served by celery: it is not declared",
        ),
    ],
    ids=["celery", "dramatiq", "queue"],
)
def test_what_an_engines_own_command_is_told_wrong_is_said_in_a_line(
    command, arguments, words
):
    engine = "rq" if "no queue" in words else arguments.partition(" ")[0]
    done = command(*arguments.split(), env={"HEADWAY_ENGINE": engine})
    assert done.returncode != 0
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_module_that_does_not_import_is_said_and_the_rest_goes_on(command, basic):
    job = basic.add.enqueue(1)
    done = command("headway", "worker", "--burst")
    assert done.returncode == 0
    assert len(re.findall("sample_tasks.broken does not import", done.stderr)) == 1
    assert job.result(timeout=5) == 2


def test_a_worker_waits_for_a_redis_that_nobody_listens_at(start):
    worker = start("headway", "worker", env={"REDIS_URL": "redis://u:pw@127.0.0.1:1"})
    killer = threading.Timer(20, worker.kill)
    killer.start()
    said = ""
    while "waiting for Redis" not in said:
        line = worker.stdout.readline()
        assert line, f"it ended: {said}"
        said += line
    killer.cancel()
    assert "waiting for Redis at redis://127.0.0.1:1" in said
    assert worker.poll() is None
    worker.send_signal(signal.SIGTERM)
    worker.wait(10)


def test_the_scheduler_stops_when_told(start, redis_url):
    scheduler = start("headway", "scheduler")
    killer = threading.Timer(20, scheduler.kill)
    killer.start()
    said = ""
    while "scheduler started: 1 schedules, queues high, default, low" not in said:
        line = scheduler.stdout.readline()
        assert line, f"it ended: {said}"
        said += line
    scheduler.terminate()
    assert scheduler.wait(10) == 0
    killer.cancel()


def test_failed_jobs_are_listed_requeued_and_forgotten(command, basic):
    jobs = [basic.fail.enqueue(f"no bread {n}") for n in range(3)]
    how = basic.fail.using(queue="low", description="\x1b[2J\rhostile")
    low = how.enqueue("\x1b[2J low")
    assert command("headway", "failed", "list").stdout == "no failed jobs\n"
    command("headway", "worker", "--burst")

    listed = command("headway", "failed", "list").stdout
    assert all(job.id in listed for job in [*jobs, low])
    assert "ValueError: no bread 1" in listed
    assert "\N{REPLACEMENT CHARACTER}hostile" in listed  # moves no cursor
    lines = command("headway", "failed", "list", "--json", "--queue", "low").stdout
    found = json.loads(lines)
    assert (found["id"], found["status"], found["attempt"]) == (low.id, "failed", 1)
    few = command("headway", "failed", "list", "--json", "--limit", "2").stdout
    assert len(few.splitlines()) == 3  # two of `default`, one of `low`

    done = command("headway", "failed", "requeue", jobs[0].id, "wrong-id")
    assert (done.returncode, done.stdout) == (1, "1 requeued\n")
    assert "no job wrong-id" in done.stderr
    assert jobs[0].status == "queued"

    assert (
        command("headway", "failed", "delete", "--queue", "low").stdout == "1 deleted\n"
    )
    assert command("headway", "failed", "delete", "--all").stdout == "2 deleted\n"
    assert jobs[0].status == "queued"


def test_a_node_that_was_requeued_with_its_workflow_is_counted(command, basic):
    flow = basic.fail.using(on_failure="continue").map(["a", "b", "c"]).enqueue()
    alone = basic.fail.enqueue("alone")
    command("headway", "worker", "--burst")
    done = command("headway", "failed", "requeue", "--all")
    assert (done.returncode, done.stdout, done.stderr) == (0, "4 requeued\n", "")
    assert [each.status for each in flow.tree().nodes.values()] == ["queued"] * 3
    assert alone.status == "queued"
    again = command("headway", "failed", "requeue", alone.id)
    assert (again.returncode, again.stdout) == (1, "0 requeued\n")
    assert f"job {alone.id} is queued" in again.stderr


def test_workflows_are_listed_and_drawn(command, basic):
    assert command("headway", "workflows").stdout == "no workflows\n"
    for name, first in (
        ("well", basic.add.message(1)),
        ("bad", basic.fail.message("so")),
    ):
        chain(first, basic.order.message("x")).enqueue(workflow_id=name)
    command("headway", "worker", "--burst", env={"SAMPLE_LOG": os.devnull})
    chain(basic.add.message(1), basic.add).enqueue(workflow_id="new")

    new, bad, well = command("headway", "workflows").stdout.splitlines()
    assert new.startswith("new   started   0 of 2")
    assert bad.startswith("bad   failed    2 of 2")
    assert bad.endswith("sample_tasks.basic.fail: ValueError: so")
    assert well.startswith("well  finished  2 of 2")
    only = command("headway", "workflows", "list", "--kind", "open").stdout
    assert [line.split()[0] for line in only.splitlines()] == ["new"]
    few = command("headway", "workflows", "list", "--limit", "1", "--kind", "failed")
    assert few.stdout.startswith("bad  failed")

    tree = command("headway", "workflows", "show", "bad").stdout
    assert tree.startswith(
        "workflow bad: failed\n  sample_tasks.basic.fail failed (bad-1)"
    )
    done = command("headway", "workflows", "show", "nobody")
    assert (done.returncode, "no workflow nobody" in done.stderr) == (2, True)


def test_a_job_that_did_not_fail_is_not_forgotten(command, basic):
    job = basic.add.enqueue(1)
    done = command("headway", "failed", "delete", job.id)
    assert (done.returncode, done.stdout) == (1, "0 deleted\n")
    assert f"job {job.id} is queued: only failed jobs" in done.stderr
    assert job.status == "queued"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("requeue",), "name job ids, or choose them"),
        (("requeue", "--all", "x"), "name job ids, or choose them"),
        (("delete",), "name job ids, or choose them"),
        (("list", "--queue", "gpu"), "no queue 'gpu'"),
        (("delete", "--queue", "gpu"), "no queue 'gpu'"),
        (("list", "--limit", "0"), "0 is not in the range"),
        (("list", "--limit", "-1"), "-1 is not in the range"),
    ],
)
def test_a_wrong_choice_of_failed_jobs_is_refused(refused, arguments, words):
    assert words in refused("failed", *arguments)


def test_a_view_that_is_not_there_is_named(refused):
    said = refused("dashboard", "--view", "nowhere:make")
    assert "--view nowhere:make: nowhere cannot be imported" in said
    assert "has no make()" in refused("dashboard", "--view", "sample_app:make")


def test_a_redis_that_goes_away_is_told_once_for_many_jobs(command):
    env = {"REDIS_URL": "redis://127.0.0.1:1"}
    done = command("headway", "failed", "requeue", "a", "b", "c", env=env)
    assert (done.returncode, done.stdout) == (2, "0 requeued\n")
    assert done.stderr.count("does not answer") == 1


def test_a_redis_that_is_away_is_one_line(refused):
    said = refused("failed", "list", REDIS_URL="redis://127.0.0.1:1")
    assert "Redis at 127.0.0.1:1/0 does not answer" in said
    assert "127.0.0.1:1" in said


def test_there_is_help_for_each_command(command):
    names = re.findall(r"^  (\w+)  ", command("headway", "--help").stdout, re.MULTILINE)
    assert {"worker", "scheduler", "failed"} <= set(names)
