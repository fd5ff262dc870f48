from __future__ import annotations

import re

import pytest

PAGES = (
    "/",
    "/jobs/nobody",
    "/schedules",
    "/healthz",
    "/readyz",
    "/rq/",
    "/rq/0/view/jobs",
    "/rq/0/view/workers",
    "/rq/0/data/queues.json",
    "/no/such/page",
    "/static/headway.css",
)
UNSAFE = (
    "/jobs/j/requeue",
    "/jobs/j/delete",
    "/jobs/j/cancel",
    "/jobs/j/stop",
    "/queues/default/requeue",
    "/schedules/nightly/run",
    "/schedules/nightly/remove",
    "/rq/job/j/delete",
    "/rq/job/j/requeue",
    "/rq/requeue/default",
    "/rq/queue/default/failed/empty",
    "/rq/queue/default/compact",
)


@pytest.mark.parametrize("path", PAGES)
def test_every_answer_has_the_headers_that_protect_it(client, path):
    with client.get(path) as answer:
        headers = answer.headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert re.search(r"script-src 'nonce-[\w-]{20,}'", policy)
    assert "'unsafe-inline'" not in policy.partition("style-src")[0]
    assert "frame-ancestors 'none'" in policy
    assert "base-uri 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    if not path.startswith("/static"):
        assert headers["Cache-Control"] == "no-store"


def test_pages_of_ours_allow_no_eval_and_no_inline_styles(client):
    policy = client.get("/").headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    page = client.get("/").text
    assert " style=" not in page
    assert not re.search(r"\son\w+=", page)


def test_the_nonce_is_new_for_every_answer_and_stands_on_every_script(client):
    first, second = client.get("/rq/"), client.get("/rq/")
    nonces = [
        re.search(r"'nonce-([^']+)'", page.headers["Content-Security-Policy"])[1]
        for page in (first, second)
    ]
    assert nonces[0] != nonces[1]
    assert set(re.findall(r'nonce="([^"]+)"', first.text)) == {nonces[0]}


@pytest.mark.parametrize("path", UNSAFE)
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "http://[broken"},
        {"Referer": "http://evil.example/localhost"},
        {},
    ],
)
def test_what_changes_something_is_refused_from_other_sites(app, path, headers):
    answer = app.test_client().post(path, headers=headers)
    assert answer.status_code == 403
    assert "pass the Host header on" in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://localhost"},
        {"Referer": "http://localhost/jobs/j"},
    ],
)
def test_what_changes_something_is_accepted_from_our_pages(app, queue, headers):
    queue.enqueue("dashboard_tasks.echo", job_id="j")
    answer = app.test_client().post("/jobs/j/delete", headers=headers)
    assert answer.status_code == 303
    assert queue.count == 0


def test_without_sign_in_only_this_machines_names_are_answered(app):
    client = app.test_client()
    for host in ("localhost:9181", "127.0.0.1:9181", "[::1]:9181", "127.0.0.2"):
        assert client.get("/", headers={"Host": host}).status_code == 200, host
    for host in ("evil.example:9181", "127.0.0.1.evil.example", "10.0.0.7", "[::2]"):
        answer = client.get("/", headers={"Host": host})
        assert answer.status_code == 403, host
        assert "HEADWAY_DASHBOARD_USERS" in answer.text
        assert client.get("/healthz", headers={"Host": host}).status_code == 200


def test_without_sign_in_other_machines_and_proxies_are_refused(app):
    client = app.test_client()
    elsewhere = {"REMOTE_ADDR": "10.0.0.7"}
    assert client.get("/", environ_base=elsewhere).status_code == 403
    for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP"):
        assert client.get("/", headers={name: "10.0.0.7"}).status_code == 403


def test_a_form_larger_than_any_of_ours_is_refused(client):
    answer = client.post("/queues/default/requeue", data={"limit": "9" * 100_000})
    assert answer.status_code == 413


def test_a_fault_of_our_own_shows_no_traceback(app, client, monkeypatch):
    def broken() -> None:
        raise RuntimeError("the secret inside")

    monkeypatch.setitem(app.view_functions, "headway.front", broken)
    answer = client.get("/")
    assert answer.status_code == 500
    assert "its log has the details" in answer.text
    assert "secret" not in answer.text
