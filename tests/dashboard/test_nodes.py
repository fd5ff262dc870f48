"""Jobs that are nodes of workflows: what their pages say, and what buttons ask."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headway import App, Queue, chain, chord, previous
from headway.dashboard import Options, create_app
from headway.wire import keys
from tests.dashboard.conftest import HERE
from tests.dashboard.test_pages import words

ENDS = "Its workflow ends with it"


@pytest.fixture
def application(redis, valkey, monkeypatch) -> Iterator[App]:
    monkeypatch.syspath_prepend(str(HERE))
    app = App(queues=[Queue("default")], tasks="dashboard_tasks", redis_url=valkey)
    yield app
    app.close()


@pytest.fixture
def echo(application):
    return application.resolve("dashboard_tasks.echo")


@pytest.fixture
def fail(application):
    return application.resolve("dashboard_tasks.fail")


@pytest.fixture
def burst(valkey) -> Callable[[], None]:
    """Run what can run with a worker of ours."""
    headway = Path(sys.executable).with_name("headway")
    named = {"HEADWAY_APP": "dashboard_app:app", "REDIS_URL": valkey}
    environment = os.environ | named | {"PYTHONPATH": str(HERE)}
    command = [headway, "worker", "--burst", "--children=1", "default"]

    def run() -> None:
        subprocess.run(
            command, env=environment, check=True, timeout=60, capture_output=True
        )

    return run


def test_an_argument_that_is_a_result_is_named_by_its_task(client, echo, fail):
    flow = chord([echo.message(1), echo.message(2)], fail.message(previous)).enqueue(
        workflow_id="w"
    )
    said = "dashboard_tasks.fail([result of echo, result of echo])"
    assert flow.job("w-3").info().description == said
    page = client.get("/jobs/w-3")
    assert said in words(page)
    assert "headway:result" not in words(page)
    assert "echo not there yet: the job is queued" in words(page)


def test_a_node_shows_what_it_was_given(client, echo, fail, burst):
    first = echo.message({"pages": 3})
    chain(first, fail.message(previous)).enqueue(workflow_id="w")
    burst()
    page = client.get("/jobs/w-2")
    assert "What it was given echo { &#34;pages&#34;: 3 }" in words(page)
    assert 'href="/jobs/w-1"' in page.text
    assert "fail(result of echo)" in words(client.get("/"))


def test_a_node_says_why_it_was_given_nothing(client, redis, echo, fail):
    unlucky = fail.using(on_failure="continue").message("the disk is full")
    chain(unlucky, echo.message(previous)).enqueue(workflow_id="w")
    redis.delete(keys.job("w-1"))
    assert "w-1 not kept any more" in words(client.get("/jobs/w-2"))


def test_what_a_node_has_fanned_out_to_is_named(client, redis, echo):
    chain(echo.message(1), echo.message(previous)).enqueue(workflow_id="w")
    redis.hset(keys.job("w-1"), "headway_became", '[{"headway:result": "w-1-2"}]')
    assert "result of w-1-2" in words(client.get("/jobs/w-2"))


def test_a_nest_of_a_stranger_does_not_break_the_page(client, redis, echo):
    chain(echo.message(1), echo.message(previous)).enqueue(workflow_id="w")
    nest = "[" * 900 + "]" * 900
    redis.hset(keys.job("w-2"), "data", f'["a.b", null, [{nest}], {{}}]')
    redis.hset(keys.job("w-1"), "headway_became", nest)
    assert client.get("/jobs/w-2").status_code == 200


def test_canceling_a_node_says_first_that_its_workflow_ends(client, echo):
    chain(echo.message(1), echo.message(previous)).enqueue(workflow_id="w")
    page = client.get("/jobs/w-1").text
    assert f'data-confirm="Cancel this job? {ENDS}' in page
    assert f'data-confirm="Delete this job and its result? {ENDS}' in page
    answer = client.post("/jobs/w-1/cancel", headers={"X-Requested-With": "x"})
    said = "Canceled, and with it what of its workflow has not begun."
    assert answer.json["message"] == said
    assert ENDS not in client.get("/jobs/w-2").text


def test_canceling_a_node_that_may_fail_ends_nothing_else(client, echo):
    lonely = echo.using(on_failure="continue").message(1)
    flow = chain(lonely, echo.message(previous)).enqueue(workflow_id="w")
    assert ENDS not in client.get("/jobs/w-1").text
    answer = client.post("/jobs/w-1/cancel", headers={"X-Requested-With": "x"})
    assert answer.json["message"] == "Canceled: it will not run."
    assert flow.status == "started"


def test_a_canceled_node_says_why_and_when_it_ended(client, echo):
    chain(echo.message(1), echo.message(previous)).enqueue(workflow_id="w")
    client.post("/jobs/w-1/cancel")
    page = words(client.get("/jobs/w-2"))
    why = "canceled with its workflow: dashboard_tasks.echo (job w-1) is canceled"
    assert f"Why it ended {why}" in page
    assert "Result None." in page
    assert "Waited for w-1" in page
    assert "Canceled –" not in page  # noqa: RUF001 - a dash for a person
    by_hand = words(client.get("/jobs/w-1"))
    assert "Somebody has canceled it; no reason was recorded." in by_hand


def test_all_failed_are_requeued_but_those_that_somebody_has_stopped(
    redis, application, client, queue, work, echo, fail
):
    queue.enqueue("dashboard_tasks.fail", "no", job_id="failed")
    queue.enqueue("dashboard_tasks.fail", "no", job_id="stopped")
    unlucky = fail.using(on_failure="continue", compensate=echo.message("undone"))
    chain(unlucky.message("no"), echo.message(previous)).enqueue(workflow_id="w")
    work()
    redis.hset(keys.job("stopped"), "status", "stopped")  # as RQ leaves it
    application.workflow("w").cancel()
    before = redis.hgetall(keys.job("w-1"))
    page = client.get("/").text
    assert "Requeue all failed of default" in page
    assert 'data-confirm="Run all failed jobs of default again?' in page
    answer = client.post("/queues/default/requeue", headers={"X-Requested-With": "x"})
    assert answer.json["message"] == "Requeued 1 failed job of default."
    assert queue.job_ids == ["failed"]
    assert redis.hgetall(keys.job("w-1")) == before


def test_arguments_have_the_names_of_their_parameters(redis, application, client, echo):
    echo.enqueue({"pages": 3})
    job = echo.using(job_id="j").enqueue(7, colour="blue")
    assert "Arguments 1 7 colour" in words(client.get(f"/jobs/{job.id}"))
    named = application.registry.parameters
    options = Options(open_on_loopback=True, parameters=named)
    client = create_app(redis, options).test_client()
    assert "Arguments value 7 colour" in words(client.get(f"/jobs/{job.id}"))


def test_buttons_of_a_handle_cancel_a_node_as_well(redis, application, echo):
    chain(echo.message(1), echo.message(previous)).enqueue(workflow_id="w")
    options = Options(open_on_loopback=True, job=application.job)
    client = create_app(redis, options).test_client()
    client.post("/jobs/w-1/cancel", headers={"Sec-Fetch-Site": "same-origin"})
    assert application.job("w-2").status == "canceled"
