"""The pages of workflows: what they tell, what their buttons do, what never runs."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import expect

from headway import App, chain, chord, group, load_app, previous, workflow
from headway.dashboard import Options, Visitor, create_app
from headway.dashboard.workflows import FEW, NODES, ROWS
from headway.observe import job_ids
from tests.dashboard.test_browser import PAYLOADS, Witness
from tests.dashboard.test_pages import nowhere, words
from tests.dashboard.test_schedules import client_of

OPEN = Options(open_on_loopback=True)


@pytest.fixture
def client(redis) -> FlaskClient:
    return client_of(redis, OPEN)


@pytest.fixture
def app(sample, redis, environment, monkeypatch) -> Iterator[App]:
    monkeypatch.setenv("REDIS_URL", environment["REDIS_URL"])
    app = load_app("sample_app:app")
    yield app
    app.close()


@pytest.fixture
def basic(app) -> ModuleType:
    return importlib.import_module("sample_tasks.basic")


@pytest.fixture
def run(command, tmp_path) -> Callable[[], None]:
    """Run what waits with a worker of ours, until nothing does."""

    def run() -> None:
        env = {"SAMPLE_LOG": str(tmp_path / "log")}
        done = command("headway", "worker", "--burst", env=env)
        assert done.returncode == 0, done.stderr

    return run


@pytest.fixture
def broken(basic, tmp_path, run) -> str:
    """A workflow of which one job has failed, so that another was canceled."""
    mend = basic.mend.using(job_id="mending").message(str(tmp_path / "wanted"))
    chain(basic.add.message(1), mend, basic.order.message("after")).enqueue(
        workflow_id="broken"
    )
    run()
    return "broken"


def test_the_page_lists_those_that_are_open_have_failed_or_have_finished(
    client, basic, broken, run
):
    workflow(basic.total.message([1, 2])).enqueue(workflow_id="done")
    run()
    chord([basic.add.message(1)], basic.gather.message(previous)).enqueue(
        workflow_id="waits"
    )
    open_, failed, finished = words(client.get("/workflows")).split("newest first")[1:]
    assert "waits gather started 0 of 2" in open_
    assert "broken order failed 3 " in failed
    assert "mend: FileNotFoundError: " in failed
    assert "done total finished 1 " in finished
    assert 'href="/workflows"' in client.get("/").text


def test_a_page_without_workflows_says_so(client):
    page = words(client.get("/workflows"))
    assert "No workflow runs or waits. " in page
    assert "None has failed." in page


def test_many_are_shown_a_page_at_a_time_newest_first(client, basic):
    count = ROWS + FEW
    for number in range(count):
        workflow(basic.add.message(number)).enqueue(workflow_id=f"n{number:03}")
    names = [f"n{number:03}" for number in reversed(range(count))]
    first = client.get("/workflows")
    assert f"Open {count}, newest first" in words(first)
    assert re.findall('href="/workflows/([^"]+)"', first.text) == names[:FEW]
    seen: list[str] = []
    path, pages = "/workflows?kind=open", 0
    while path:
        page = client.get(path).text
        seen += re.findall('href="/workflows/([^"]+)"', page)
        found = re.search(r'href="(/workflows\?[^"]+)">Older', page)
        path, pages = found and found[1].replace("&amp;", "&"), pages + 1
    assert (seen, pages) == (names, 2)
    assert "No more of them." in client.get("/workflows?kind=open&page=99").text
    assert client.get(f"/workflows?kind=open&page={'9' * 30}").status_code == 200


def test_the_page_of_one_has_its_tree_and_what_went_wrong(client, broken):
    answer = client.get("/workflows/broken")
    page = words(answer)
    assert "What went wrong FileNotFoundError: " in page
    assert "mend is failed: what waited for it was canceled." in page
    tree = page.partition("Jobs ")[2]
    assert re.search("add sample_tasks.basic finished broken-1 mend .* order", tree)
    assert "canceled with its workflow: sample_tasks.basic.mend" in tree
    assert re.findall(r'aria-level="(\d)"', answer.text) == ["1", "2", "3"]
    assert 'href="/jobs/mending"' in answer.text


def test_the_tree_tells_attempts_and_what_undoes_what(client, basic, run):
    undo = basic.order.using(job_id="undo").message("undone")
    paid = basic.add.using(job_id="paid", compensate=undo).message(1)
    chain(paid, basic.flaky.message("always")).enqueue(workflow_id="saga")
    run()
    page = words(client.get("/workflows/saga"))
    assert "flaky sample_tasks.basic failed saga-3 attempt 3 " in page
    assert "order sample_tasks.basic finished undo undoes paid" in page


def test_one_that_went_on_after_a_failure_can_be_retried(client, app, basic, run):
    careful = basic.fail.using(on_failure="continue").message("no")
    group(careful, basic.add.message(1)).enqueue(workflow_id="careful")
    run()
    assert app.workflow("careful").status == "finished"
    assert 'action="/workflows/careful/retry"' in client.get("/workflows/careful").text
    assert client.post("/workflows/careful/retry").status_code == 303
    assert app.workflow("careful").status == "started"


def test_the_nodes_of_one_state_can_be_looked_at_alone(client, broken):
    whole = client.get("/workflows/broken").text
    assert 'href="/workflows/broken?status=canceled"' in whole
    page = client.get("/workflows/broken?status=canceled").text
    assert page.count('data-key="n ') == 1
    assert "the whole tree" in page


def test_of_a_large_tree_only_the_first_nodes_are_shown(client, basic):
    messages = [basic.add.message(number) for number in range(NODES + 1)]
    group(*messages).enqueue(workflow_id="large")
    page = client.get("/workflows/large")
    assert f"0 % 0 of {NODES + 1} jobs have ended" in words(page)
    assert page.text.count('data-key="n ') == NODES
    assert f"The first {NODES} of {NODES + 1}" in words(page)


def test_a_long_chain_is_drawn(client, basic):
    chain(*[basic.add.message(1), *[basic.add] * 1500]).enqueue(workflow_id="long")
    assert 'aria-level="500"' in client.get("/workflows/long").text


def test_a_job_leads_to_its_workflow(client, broken):
    link = 'href="/workflows/broken"><code>broken'
    assert link in client.get("/jobs/mending").text
    for path in ("/jobs/?id=broken", "/jobs/?id=%20broken"):
        assert client.get(path).headers["Location"] == "/workflows/broken"
    assert client.get("/jobs/?id=mending").headers["Location"] == "/jobs/mending"


def test_an_unknown_workflow_is_not_found_in_one_sentence(client, broken):
    for path in ("/workflows/nobody", "/workflows/broken:open", "/workflows/a%2Fb"):
        assert client.get(path).status_code == 404
        assert client.post(f"{path}/retry").status_code == 404
    page = words(client.get("/workflows/Nobody"))
    assert "No workflow Nobody: it never was" in page


def test_what_cannot_be_done_says_why(client, basic, run):
    workflow(basic.add.message(1)).enqueue(workflow_id="mine")
    answer = client.post("/workflows/mine/retry")
    assert (answer.status_code, "mine has not ended" in words(answer)) == (409, True)
    run()
    answer = client.post("/workflows/mine/cancel")
    assert (answer.status_code, "mine has ended" in words(answer)) == (409, True)
    assert "/workflows/mine/" not in client.get("/workflows/mine").text


@pytest.mark.parametrize("verb", ["retry", "cancel"])
def test_who_may_only_look_cannot_press(redis, app, basic, broken, verb):
    workflow(basic.add.message(1)).enqueue(workflow_id="open")
    options = Options(visitor=lambda _request: Visitor(name="bob"))
    client = client_of(redis, options)
    for name in ("open", "broken"):
        page = client.get(f"/workflows/{name}")
        assert page.status_code == 200
        assert f"/workflows/{name}/" not in page.text
        assert client.post(f"/workflows/{name}/{verb}").status_code == 403
    assert app.workflow("open").status == "started"
    assert app.workflow("broken").status == "failed"


@pytest.mark.parametrize("verb", ["retry", "cancel"])
def test_other_sites_cannot_press(client, app, basic, broken, verb):
    workflow(basic.add.message(1)).enqueue(workflow_id="open")
    for name in ("open", "broken"):
        path = f"/workflows/{name}/{verb}"
        for site in ("cross-site", "same-site"):
            told = {"Sec-Fetch-Site": site}
            assert client.post(path, headers=told).status_code == 403
        assert client.get(path).status_code == 405
    assert app.workflow("open").status == "started"
    assert app.workflow("broken").status == "failed"


def test_pages_and_buttons_say_in_one_sentence_that_redis_is_away():
    with nowhere() as redis:
        client = client_of(redis, OPEN)
        for answer in (
            client.get("/workflows"),
            client.get("/workflows/mine"),
            client.post("/workflows/mine/retry"),
        ):
            assert answer.status_code == 503
            assert "Redis cannot be reached" in answer.text


def test_a_record_that_cannot_be_read_says_so(client, redis, broken):
    redis.hset("headway:workflow:broken", "result", "nonsense")
    for answer in (
        client.get("/workflows/broken"),
        client.get("/workflows/broken?status=failed"),
    ):
        assert answer.status_code == 409
        assert "The record of workflow broken cannot be read" in words(answer)
    assert "broken" in client.get("/workflows").text


@pytest.fixture
def hostile(redis, broken) -> None:
    """What somebody with access to Redis, but not to the dashboard, may write."""
    nodes = {
        payload: json.dumps({"task": payload, "parents": [], "place": str(number)})
        for number, payload in enumerate(PAYLOADS)
    }
    redis.hset("headway:workflow:broken:nodes", mapping=nodes)
    for payload in PAYLOADS:
        about = {"status": "failed", "exc_info": payload, "data": "{}"}
        redis.hset(f"rq:job:{payload}", mapping=about)
        redis.hset(f"rq:job:{payload}", "headway_workflow", payload)
        record = {"status": "failed", "task": payload, "failed_by": payload}
        redis.hset(f"headway:workflow:{payload}", mapping=record | {"size": payload})
        node = json.dumps({"task": payload})
        redis.hset(f"headway:workflow:{payload}:nodes", payload, node)
        for kind in ("open", "failed"):
            redis.zadd(f"headway:workflows:{kind}", {payload: 1})


def test_nothing_that_strangers_wrote_runs_on_the_pages_of_workflows(
    hostile, redis, trusting, context, served
):
    plain = [payload.strip()[:30] for payload in PAYLOADS if "  " not in payload]
    with served(create_app(redis, OPEN)) as url:
        for browser in (trusting, context):
            witness = Witness(browser)
            shown = witness.open(f"{url}/workflows?kind=failed")
            assert all(payload in shown for payload in plain)
            shown = witness.open(f"{url}/workflows/broken")
            assert "window.__pwned" in shown
            witness.open(f"{url}/workflows/broken?status=%3Cscript%3E")
            assert witness.seen == []


def test_a_person_retries_and_cancels_a_workflow(
    redis, app, basic, broken, context, served, run, tmp_path
):
    (tmp_path / "wanted").touch()
    witness = Witness(context)
    page = witness.page
    with served(create_app(redis, OPEN)) as url:
        page.goto(url)
        page.get_by_role("link", name="Workflows").click()
        page.get_by_role("link", name="broken").click()
        retry = page.get_by_role("button", name="Retry workflow")
        retry.click()
        expect(page.get_by_text("Run again what has failed")).to_be_visible()
        page.keyboard.press("Escape")
        assert app.workflow("broken").status == "failed"
        retry.click()
        page.locator("#confirm-yes").click()
        expect(page.locator("h1 .status")).to_have_text("started")
        run()
        # The page follows by itself.
        expect(page.locator("h1 .status")).to_have_text("finished")
        expect(page.locator(".tree .status")).to_have_text(["finished"] * 3)
        workflow(basic.add.message(1)).enqueue(workflow_id="unwanted")
        page.get_by_label("Job id").fill("unwanted")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Cancel workflow").click()
        page.locator("#confirm-yes").click()
        expect(page.locator("h1 .status")).to_have_text("canceled")
    assert app.workflow("unwanted").status == "canceled"
    assert job_ids(redis, "default", "queued") == []
    assert witness.seen == []


def test_on_a_phone_nothing_is_cut_off(redis, basic, broken, chrome, served):
    parts = [basic.fail.message("a" * 400), *[basic.add] * 12]
    chain(*parts).enqueue(workflow_id="b" * 100)
    context = chrome.new_context(viewport={"width": 360, "height": 740})
    page = context.new_page()
    with served(create_app(redis, OPEN)) as url:
        for path in ("/workflows", "/workflows/broken", f"/workflows/{'b' * 100}"):
            page.goto(url + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()
