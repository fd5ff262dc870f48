"""A real browser looks, presses, and meets what strangers wrote."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
import rq_dashboard
from jinja2 import PackageLoader
from playwright.sync_api import expect
from rq import Queue

from headway.dashboard import Options, User, create_app

PAYLOADS = Path(__file__).with_name("payloads.txt").read_text().splitlines()
BATCH = 14


class Witness:
    """A page, and whatever ran in it that should not have."""

    def __init__(self, context):
        self.page = context.new_page()
        self.seen: list[str] = []
        self.page.on("dialog", self._dialog)
        self.page.on("pageerror", lambda error: self.seen.append(f"error: {error}"))
        self.page.on("console", self._console)

    def _dialog(self, dialog):
        self.seen.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _console(self, message):
        if "Content Security Policy" in message.text:
            self.seen.append(f"blocked: {message.text}")

    def open(self, url, ready=None):
        """Open a page, wait until it is filled, and tell what else happened."""
        self.page.goto(url)
        if ready:
            self.page.wait_for_function(ready)
        # What the payloads start is started by now, but for images that fail to load.
        self.page.evaluate(
            "new Promise(r => requestAnimationFrame(() => setTimeout(r, 60)))"
        )
        if self.page.evaluate("window.__pwned !== undefined"):
            self.seen.append("a script ran")
        if "PWNED" in self.page.title():
            self.seen.append("the title changed")
        return self.page.inner_text("body")


def batches():
    return [PAYLOADS[start : start + BATCH] for start in range(0, len(PAYLOADS), BATCH)]


@pytest.fixture
def hostile(redis, work, worker):
    """Payloads in every field that somebody outside can fill."""
    queue = Queue("default", connection=redis, serializer="json")
    for number, batch in enumerate(batches()):
        everything = "\n".join(batch)
        shared = {
            "meta": {payload: payload for payload in batch},
            "description": everything,
        }
        more = {payload: payload for payload in batch}
        queue.enqueue(
            "dashboard_tasks.echo", batch, **more, job_id=f"result{number}", **shared
        )
        queue.enqueue(
            "dashboard_tasks.fail",
            everything,
            **more,
            job_id=f"error{number}",
            **shared,
        )
        queue.enqueue("dashboard_tasks.report", everything, job_id=f"note{number}")
    work()
    for number, payload in enumerate(PAYLOADS):
        named = Queue(payload, connection=redis, serializer="json")
        named.enqueue(payload, payload, job_id=f"named{number}", description=payload)
        _stranger(redis, number, payload)
    return redis


def _stranger(redis, number, payload):
    """What somebody with access to Redis, but not to the dashboard, may write."""
    name = f"{payload}{number}"
    about = {"state": payload, "queues": payload, "hostname": payload, "birth": payload}
    redis.hset(f"rq:worker:{name}", mapping={**about, "version": payload})
    redis.hset(f"rq:worker:{name}", "python_version", payload)
    redis.sadd("rq:workers", f"rq:worker:{name}")
    redis.sadd(f"rq:worker:{name}:executions", f"busy{number}:1")
    job = {"status": "started", "description": payload, "origin": payload}
    redis.hset(f"rq:job:busy{number}", mapping={**job, "data": "[]"})
    redis.hset(f"rq:job:{payload}", mapping={**job, "status": payload, "data": "{}"})
    redis.zadd("rq:failed:default", {payload: 1})


FILLED = "!document.body.innerText.includes('Loading...')"
JOB_FILLED = "document.querySelector('#job-data').innerText.includes('Status')"


def test_nothing_that_strangers_wrote_runs_on_any_page(
    hostile, trusting, context, served
):
    assert len(PAYLOADS) >= 40
    app = create_app(hostile, Options(open_on_loopback=True))
    with served(app) as url:
        for browser in (trusting, context):
            _visit(Witness(browser), url, few=browser is context)


def _visit(witness, url, *, few):
    shown = witness.open(f"{url}/")
    assert "window.__pwned" in shown
    shown = witness.open(f"{url}/rq/", FILLED)
    assert all(payload.strip() in shown for payload in PAYLOADS if "  " not in payload)
    assert "window.__pwned" in witness.open(f"{url}/rq/0/view/workers", FILLED)
    failed = f"{url}/rq/0/view/jobs/default/failed/200/asc/1"
    assert "window.__pwned" in witness.open(failed, FILLED)
    for number, batch in enumerate(batches()[:2] if few else batches()):
        for kind in ("result", "error", "note"):
            shown = witness.open(f"{url}/jobs/{kind}{number}")
            assert batch[0] in shown
            shown = witness.open(f"{url}/rq/0/view/job/{kind}{number}", JOB_FILLED)
            assert batch[0] in shown
        assert witness.seen == [], batch
    for payload in PAYLOADS[-3 if few else -12 :]:
        path = quote(payload, safe="")
        if "%2F" not in path:
            witness.open(f"{url}/jobs/{path}")
            witness.open(f"{url}/rq/0/view/jobs/{path}/queued/8/asc/1", FILLED)
        witness.open(f"{url}/jobs/?id={path}")
        witness.open(f"{url}/no/such/page?{path}")
    assert witness.seen == []


def test_the_payloads_run_where_nothing_is_repaired(hostile, trusting, served):
    """The test above can fail: as installed, rq-dashboard runs them."""
    app = create_app(hostile, Options(open_on_loopback=True))
    app.jinja_env.loader.loaders.insert(0, PackageLoader(rq_dashboard.__name__))
    witness = Witness(trusting)
    with served(app) as url:
        # Its page has no nonce: only a browser that ignores the policy shows it.
        witness.open(f"{url}/rq/", FILLED)
    assert "a script ran" in witness.seen


def test_the_policy_alone_stops_them_too(hostile, context, served):
    app = create_app(hostile, Options(open_on_loopback=True))
    app.jinja_env.loader.loaders.insert(0, _Unescaped())
    witness = Witness(context)
    with served(app) as url:
        witness.open(f"{url}/rq/", FILLED)
    assert "a script ran" not in witness.seen
    assert any(line.startswith("blocked:") for line in witness.seen)


class _Unescaped(PackageLoader):
    """rq-dashboard's templates with a nonce and their faults."""

    def __init__(self):
        super().__init__(rq_dashboard.__name__)

    def get_source(self, environment, template):
        source, path, fresh = super().get_source(environment, template)
        return source.replace("<script", '<script nonce="{{ csp_nonce }}"'), path, fresh


def test_a_person_signs_in_and_requeues_a_failed_job(
    redis, queue, work, worker, context, served, tmp_path
):
    wanted = tmp_path / "wanted"
    queue.enqueue("dashboard_tasks.fail_until", str(wanted), job_id="the-job")
    work()
    wanted.touch()
    users = (User(name="ann", password="ann's long password"),)
    app = create_app(redis, Options(users=users, secret="a secret of these tests"))
    witness = Witness(context)
    page = witness.page
    with served(app) as url, worker("default"):
        page.goto(f"{url}/jobs/the-job")
        expect(page).to_have_title("Sign in · Headway")
        page.get_by_label("Name").fill("ann")
        page.get_by_label("Password").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("Wrong name or password.")
        page.get_by_label("Name").fill("ann")
        page.get_by_label("Password").fill("ann's long password")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("FileNotFoundError").first).to_be_visible()
        page.get_by_role("button", name="Requeue job the-job").click()
        expect(page.get_by_text("Requeued: it runs again")).to_be_visible()
        # The page follows by itself.
        expect(page.locator("h1 .status")).to_have_text("finished")
        expect(page.get_by_text('"ran again"')).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page).to_have_title("Sign in · Headway")
    assert witness.seen == []


def test_deleting_asks_first_and_works_by_keyboard(redis, queue, work, context, served):
    queue.enqueue("dashboard_tasks.fail", "no", job_id="the-job")
    work()
    witness = Witness(context)
    page = witness.page
    with served(create_app(redis, Options(open_on_loopback=True))) as url:
        page.goto(url)
        delete = page.get_by_role("button", name="Delete job the-job")
        delete.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_text("Delete this job and its result?")).to_be_visible()
        page.keyboard.press("Escape")
        assert redis.exists("rq:job:the-job")
        delete.focus()
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Delete", exact=True).click()
        expect(page.get_by_text("No failed jobs.")).to_be_visible()
    assert not redis.exists("rq:job:the-job")
    assert witness.seen == []


def test_the_front_page_follows_without_losing_the_focus(redis, queue, context, served):
    witness = Witness(context)
    page = witness.page
    with served(create_app(redis, Options(open_on_loopback=True))) as url:
        page.goto(url)
        page.keyboard.press("/")
        page.keyboard.type("some")
        queue.enqueue("dashboard_tasks.echo")
        expect(page.locator(".tile b").first).to_have_text("1")
        assert page.get_by_label("Job id").input_value() == "some"
        assert page.evaluate("document.activeElement.name") == "id"
    assert witness.seen == []


def test_rq_dashboards_own_buttons_work(redis, queue, work, context, served):
    for number in range(3):
        queue.enqueue("dashboard_tasks.fail", "no", job_id=f"j{number}")
    work()
    witness = Witness(context)
    page = witness.page
    with served(create_app(redis, Options(open_on_loopback=True))) as url:
        page.goto(f"{url}/rq/0/view/jobs/default/failed/8/asc/1")
        page.locator("[data-job-id=j0] [data-role=requeue-job-btn]").click()
        expect(page.locator("[data-job-id=j0]")).to_have_count(0)
        page.locator("#empty-btn").click()
        page.locator("#confirmation-modal-yes").click()
        expect(page.get_by_text("Done.")).to_be_visible()
        expect(page.get_by_text("No jobs.")).to_be_visible()
    assert queue.job_ids == ["j0"]
    assert redis.zcard("rq:failed:default") == 0
    assert witness.seen == []


@pytest.fixture
def phone(chrome):
    context = chrome.new_context(viewport={"width": 360, "height": 740})
    context.set_default_timeout(15_000)
    yield context
    context.close()


RQ_LIST = "/rq/0/view/jobs/default"


def test_on_a_phone_nothing_is_cut_off(redis, queue, work, phone, served):
    queue.enqueue("dashboard_tasks.fail", "a" * 400, job_id="the-job")
    work()
    for number in range(30):
        queue.enqueue("dashboard_tasks.echo", number)
    lists = (f"{RQ_LIST}/queued/1/asc/15", f"{RQ_LIST}/failed/8/asc/1")
    ours = ("/", "/jobs/the-job", "/jobs/nobody")
    page = phone.new_page()
    with served(create_app(redis, Options(open_on_loopback=True))) as url:
        for path in (*ours, *lists, "/rq/0/view/job/the-job"):
            page.goto(url + path)
            page.wait_for_load_state("networkidle")
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
            assert page.evaluate(CUT_OFF) == [], path


#: Links and buttons of the content that stand out of its card.
CUT_OFF = """
    [...document.querySelectorAll(".card a, .card button, .section a, .section button")]
        .filter((e) => e.offsetWidth && e.getBoundingClientRect().right > 360)
        .map((e) => e.outerHTML)
"""


def test_a_queue_is_paused_from_a_phone(redis, queue, phone, served):
    queue.enqueue("dashboard_tasks.echo")
    page = phone.new_page()
    with served(create_app(redis, Options(open_on_loopback=True))) as url:
        page.goto(url)
        pause = page.get_by_role("button", name="Pause queue default")
        assert pause.bounding_box()["height"] >= 36
        pause.click()
        expect(page.get_by_role("button", name="Resume queue default")).to_be_visible()
        expect(page.locator("td[data-label=Waiting]")).to_be_visible()
    assert redis.smembers("headway:paused") == {b"default"}


def test_rq_dashboard_is_as_dark_as_the_pages_beside_it(redis, queue, chrome, served):
    queue.enqueue("dashboard_tasks.echo")
    context = chrome.new_context(color_scheme="dark")
    page = context.new_page()
    ground = "getComputedStyle(document.body).backgroundColor"
    with served(create_app(redis, Options(open_on_loopback=True))) as url:
        page.goto(url)
        dark = page.evaluate(ground)
        page.goto(f"{url}{RQ_LIST}/queued/8/asc/1")
        assert page.evaluate(ground) == dark == "rgb(14, 18, 20)"
    context.close()


def test_requeueing_all_asks_first(redis, queue, work, context, served):
    for number in range(2):
        queue.enqueue("dashboard_tasks.fail", "no", job_id=f"j{number}")
    work()
    page = context.new_page()
    with served(create_app(redis, Options(open_on_loopback=True))) as url:
        page.goto(url)
        page.get_by_role("button", name="Requeue all failed of default").click()
        expect(
            page.get_by_text("Run all failed jobs of default again?")
        ).to_be_visible()
        page.get_by_role("button", name="Leave it").click()
        assert queue.count == 0
        page.get_by_role("button", name="Requeue all failed of default").click()
        page.locator("#confirm-yes").click()
        expect(page.get_by_text("Requeued 2 failed jobs of default.")).to_be_visible()
    assert queue.count == 2


def test_a_list_in_rq_dashboard_shows_the_end_of_a_traceback(
    redis, queue, work, context, served
):
    queue.enqueue("dashboard_tasks.fail", "no", job_id="j")
    work()
    lines = "\n".join(f"  File {number}" for number in range(60))
    error = f"Traceback\n{lines}\nValueError: the last line"
    redis.xadd("rq:results:j", {"type": 2, "exc_string": error})
    page = context.new_page()
    with served(create_app(redis, Options(open_on_loopback=True))) as url:
        page.goto(f"{url}{RQ_LIST}/failed/8/asc/1")
        box = page.locator("pre.exc_info")
        expect(box).to_contain_text("the last line")
        # A column that begins at its end is scrolled from 0 to less.
        assert box.evaluate("e => e.scrollHeight > e.clientHeight && e.scrollTop === 0")
        assert box.evaluate("e => { e.scrollTop = -50; return e.scrollTop; }") == -50
