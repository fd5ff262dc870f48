"""The pages of schedules: what they tell, what their buttons do, what never runs."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import expect
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from headway import App, Cron, Every, Queue, Schedule
from headway.dashboard import Options, Visitor, create_app
from headway.dashboard.schedules import ROWS
from headway.schedules import Schedules
from tests.dashboard.conftest import HERE
from tests.dashboard.test_browser import PAYLOADS, Witness
from tests.dashboard.test_pages import nowhere, words
from tests.wire.proxy import FAULTS

MICROSECONDS = 1_000_000


@pytest.fixture
def application(redis, valkey, monkeypatch) -> Iterator[App]:
    monkeypatch.syspath_prepend(str(HERE))
    queues = [Queue("default")]
    app = App(queues=queues, tasks="dashboard_tasks", redis_url=valkey)
    yield app
    app.close()


@pytest.fixture
def schedules(application) -> Schedules:
    return application.schedules


@pytest.fixture
def options(application) -> Options:
    return Options(
        open_on_loopback=True, schedules=application.schedules, job=application.job
    )


@pytest.fixture
def client(redis, options) -> FlaskClient:
    return client_of(redis, options)


def client_of(redis, options: Options) -> FlaskClient:
    client = create_app(redis, options).test_client()
    client.environ_base["HTTP_SEC_FETCH_SITE"] = "same-origin"
    return client


@pytest.fixture
def made(application):
    """Make a schedule that sends an echo of these arguments."""

    def make(name: str, timing=None, *args: object, **how: object) -> Schedule:
        message = application.resolve("dashboard_tasks.echo").message(*args)
        return Schedule(name, timing or Every(hours=1), message, **how)

    return make


def test_the_page_tells_when_each_is_next_and_how_the_last_one_ended(
    client, schedules, made, work
):
    nightly = made("nightly", Cron("0 3 * * *", zone="Asia/Tokyo"))
    schedules.declare({"tasks.schedules": [nightly]})
    schedules.add(made("hourly"))
    schedules.run_now("nightly")
    work()
    schedules.pause("hourly")
    page = words(client.get("/schedules"))
    assert "hourly echo every 1 hour" not in page
    assert "hourly echo every hour paused none yet run time Run now Resume" in page
    assert "nightly echo 0 3 * * * in Asia/Tokyo" in page
    assert "03:00 JST in " in page
    assert "finished" in page
    assert "tasks.schedules Run now Pause" in page
    assert 'href="/schedules"' in client.get("/").text


def test_a_schedule_that_cannot_be_sent_says_why_and_can_be_removed(
    client, schedules, made
):
    lost = made("lost")
    gone = lost.message._replace(task="dashboard_tasks.gone")
    schedules.add(Schedule("lost", lost.timing, gone))
    for path in ("/schedules", "/schedules/lost"):
        page = client.get(path).text
        assert "the module has no such function" in page
        assert 'action="/schedules/lost/run"' not in page
    assert client.post("/schedules/lost/run").status_code == 409
    assert client.post("/schedules/lost/remove").status_code == 303
    assert schedules.all() == []


def test_the_page_of_one_has_its_message_its_next_ticks_and_its_history(
    client, schedules, made, redis
):
    end = datetime.now(UTC) + timedelta(days=400)
    schedules.add(made("hourly", None, {"pages": 3}, misfire="all", end=end))
    job = schedules.run_now("hourly")
    tick = redis.zrange("headway:schedule:hourly:ticks", 0, -1)[0]
    missed = {
        "due": str(int(tick) - 3600 * MICROSECONDS),
        "outcome": "missed",
        "count": 4,
        "reason": "it was paused",
    }
    redis.hset("headway:schedule:hourly:history", missed["due"], json.dumps(missed))
    redis.zadd("headway:schedule:hourly:ticks", {missed["due"]: missed["due"]})
    answer = client.get("/schedules/hourly")
    page = words(answer)
    assert f'href="/jobs/{job.id}"' in answer.text
    for part in ("every hour", "pages", "made at run time", "all, 100 at most", "End"):
        assert part in page
    assert "missed 4 of them it was paused" in page
    assert "by hand" in page
    assert answer.text.count("<li>") == 5
    assert client.get(f"/jobs/{job.id}").status_code == 200


def test_buttons_hold_send_and_remove_a_schedule(client, schedules, made):
    schedules.add(made("hourly"))
    said = client.post("/schedules/hourly/pause", headers={"X-Requested-With": "x"})
    assert said.json["message"].startswith("Paused hourly: nothing of it is sent")
    assert schedules.get("hourly").paused
    page = client.get("/schedules/hourly").text
    assert "if it were resumed now" in page
    answer = client.post("/schedules/hourly/resume")
    assert (answer.status_code, answer.location) == (303, "/schedules/hourly")
    assert not schedules.get("hourly").paused
    assert client.post("/schedules/hourly/run").status_code == 303
    assert len(schedules.history("hourly")) == 1
    assert 'data-then="/schedules"' in client.get("/schedules/hourly").text
    answer = client.post("/schedules/hourly/remove")
    assert (answer.status_code, answer.location) == (303, "/schedules")
    assert "No schedules. Declare them in" in words(client.get("/schedules"))


def test_what_the_code_declares_is_not_removed_here(client, schedules, made):
    schedules.declare({"tasks.schedules": [made("nightly")]})
    assert "/schedules/nightly/remove" not in client.get("/schedules/nightly").text
    answer = client.post("/schedules/nightly/remove")
    assert answer.status_code == 409
    assert "is declared in tasks.schedules: remove it there" in words(answer)


def test_an_unknown_schedule_is_not_found_in_one_sentence(client, schedules, made):
    schedules.add(made("nightly"))
    for answer in (
        client.get("/schedules/nightyl"),
        client.post("/schedules/nightyl/pause"),
    ):
        assert answer.status_code == 404
        assert "No such schedule" in answer.text
        assert "did you mean &#39;nightly&#39;?" in answer.text


def test_many_schedules_are_shown_a_page_at_a_time(client, schedules, made):
    names = [f"n{number:03}" for number in range(2 * ROWS + 1)]
    schedules.declare({"tasks.schedules": [made(name) for name in names]})
    seen: list[str] = []
    path, pages = "/schedules", 0
    while path:
        answer = client.get(path)
        assert f"of {len(names)}, by name" in words(answer)
        seen += re.findall('href="/schedules/([^"]+)"', answer.text)
        found = re.search(r'href="(/schedules\?after=[^"]+)"', answer.text)
        path, pages = found and found[1], pages + 1
    assert (seen, pages) == (names, 3)
    assert 'href="/schedules">From the first' in answer.text
    beyond = client.get("/schedules?after=zz")
    assert "None after zz. From the first" in words(beyond)


VERBS = ("pause", "resume", "run", "remove")


@pytest.mark.parametrize("verb", VERBS)
def test_who_may_only_look_cannot_press(redis, schedules, made, verb):
    schedules.add(made("hourly"))
    options = Options(visitor=lambda _request: Visitor(name="bob"), schedules=schedules)
    client = client_of(redis, options)
    for path in ("/schedules", "/schedules/hourly"):
        page = client.get(path)
        assert page.status_code == 200
        assert f"/schedules/hourly/{verb}" not in page.text
    assert client.post(f"/schedules/hourly/{verb}").status_code == 403
    assert not schedules.get("hourly").paused
    assert schedules.history("hourly") == []


@pytest.mark.parametrize("verb", VERBS)
def test_other_sites_cannot_press(client, schedules, made, verb):
    schedules.add(made("hourly"))
    path = f"/schedules/hourly/{verb}"
    for told in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
        assert client.post(path, headers=told).status_code == 403
    assert client.get(path).status_code == 405
    assert not schedules.get("hourly").paused
    assert schedules.history("hourly") == []


def test_nobody_who_sends_is_said(client, redis, schedules, made):
    schedules.add(made("hourly"))
    pages = ("/", "/schedules", "/schedules/hourly")
    assert all("No scheduler runs" not in client.get(path).text for path in pages)
    redis.zadd("headway:schedules:due", {"hourly": 1})
    for path in pages:
        assert "1 schedule has been due for" in client.get(path).text
        assert "start `headway scheduler`" in client.get(path).text
    redis.set("headway:schedules:leader", "somebody")
    assert all("No scheduler runs" not in client.get(path).text for path in pages)


def test_a_dashboard_that_was_not_told_of_schedules_says_how(redis):
    client = client_of(redis, Options(open_on_loopback=True))
    assert "Options(schedules=app.schedules)" in client.get("/schedules").text
    assert client.get("/schedules/hourly").status_code == 404
    assert client.post("/schedules/hourly/pause").status_code == 404


def test_pages_and_buttons_say_in_one_sentence_that_redis_is_away(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    address = "redis://:hidden@127.0.0.1:1"
    app = App(queues=[Queue("default")], tasks="dashboard_tasks", redis_url=address)
    with nowhere() as redis:
        options = Options(open_on_loopback=True, schedules=app.schedules)
        client = client_of(redis, options)
        for answer in (
            client.get("/schedules"),
            client.get("/schedules/hourly"),
            client.post("/schedules/hourly/run"),
        ):
            assert answer.status_code == 503
            assert "Redis cannot be reached" in answer.text
            assert "hidden" not in words(answer)
    app.close()


@pytest.fixture
def through(proxy, monkeypatch) -> Iterator[FlaskClient]:
    """A browser of a dashboard whose Redis may misbehave."""
    monkeypatch.syspath_prepend(str(HERE))
    queues = [Queue("default")]
    app = App(queues=queues, tasks="dashboard_tasks", redis_url=proxy.url)
    message = app.resolve("dashboard_tasks.echo").message()
    app.schedules.add(Schedule("hourly", Every(hours=1), message))
    with Redis.from_url(proxy.url, retry=Retry(NoBackoff(), 0)) as redis:
        options = Options(open_on_loopback=True, schedules=app.schedules, job=app.job)
        yield client_of(redis, options)
    app.close()


SENT = "The job may be sent all the same: look at its queue before you press again."
DONE = "It may be done all the same: look before you press again."


@pytest.mark.parametrize(
    ("verb", "label", "fault", "text"),
    [
        ("run", "EVALSHA:enqueue_one", "cut after", SENT),
        ("run", "EVALSHA:enqueue_one", "oom", "Error). The job was not sent."),
        ("pause", "HSET", "cut after", DONE),
    ],
)
def test_who_pressed_is_told_what_may_be_done(through, proxy, verb, label, fault, text):
    proxy.rule = lambda sent: FAULTS[fault] if sent == label else None
    answer = through.post(f"/schedules/hourly/{verb}")
    assert answer.status_code == 503
    assert words(answer).count(text) == 1
    assert "tries again" not in words(answer)
    assert "data-live" not in answer.text
    assert "Retry-After" not in answer.headers


NONSENSE = {
    "cursor": ({"cursor": "many"}, False),
    "far": ({"cursor": "9" * 30}, False),
    "state": ("no hash", False),
    "waiting": ({"cursor": "1", "waiting": "ever 1"}, True),
    "wire": ({"cursor": "1"}, True),
}


def test_a_record_of_nonsense_hides_no_other(client, redis, schedules, made):
    schedules.add(made("hourly"))
    for name, (state, _) in NONSENSE.items():
        redis.hset("headway:schedules", name, "[" * 100)
        if isinstance(state, str):
            redis.set(f"headway:schedule:{name}", state)
        else:
            redis.hset(f"headway:schedule:{name}", mapping=state)
    wires = [
        {"timing": {"kind": "every", "days": 1e300}},
        {"timing": {"kind": "cron", "line": "0 3 * * *", "zone": 7}},
        {"timing": 5, "task": ["a"], "args": 5, "kwargs": "a", "options": "a"},
        {"options": {"retry": "often"}, "task": 5},
        {"timing": {"kind": "every", "hours": 1, "zone": "Nowhere"}},
        {"timing": [["kind", "every"], ["hours", 1]]},
        {"timing": {"kind": "at", "when": "9999-12-31T23:59:59-01:00"}},
        {"timing": {"kind": "every", "hours": 1, "anchor": "9999-12-31T23:59-10:00"}},
        {"end": "9999-12-31T23:59:59+00:00"},
    ]
    wire = made("x").to_wire()
    for number, change in enumerate(wires):
        name = f"wire{number}"
        redis.hset("headway:schedules", name, json.dumps(wire | change))
        redis.hset(f"headway:schedule:{name}", "cursor", "1")
    history = {"1": "[", "2": json.dumps({"due": "x"}), "3": json.dumps({"due": "3"})}
    redis.hset("headway:schedule:hourly:history", mapping=history)
    redis.zadd("headway:schedule:hourly:ticks", {"1": 1, "2": 2, "3": 3, "4": 4})
    redis.set("headway:schedule:wire:ticks", "no sorted set")
    listed = [info.name for info in schedules]
    shown = [name for name, (_, is_shown) in NONSENSE.items() if is_shown]
    assert listed == sorted(
        ["hourly", *shown, *(f"wire{n}" for n in range(len(wires)))]
    )
    page = client.get("/schedules")
    assert page.status_code == 200
    assert "cannot be read" in page.text
    read = {info.name for info in schedules if not info.problem}
    assert read == {"hourly", "wire4"}  # an interval has no zone
    for name in ("hourly", "waiting", *(f"wire{n}" for n in range(len(wires)))):
        assert client.get(f"/schedules/{name}").status_code == 200, name
        if name not in read:
            assert client.post(f"/schedules/{name}/run").status_code == 409, name
            assert client.post(f"/schedules/{name}/remove").status_code == 303, name
    assert schedules.get("hourly").last is None  # nothing that can be read


@pytest.mark.parametrize(
    "name", ["../queues/default", "..%2Fqueues%2Fdefault", "..", "a b", "a/b", "x\\y"]
)
def test_no_button_of_a_schedule_presses_something_else(
    client, redis, schedules, made, name
):
    redis.hset("headway:schedules", name, json.dumps(made("x").to_wire()))
    redis.hset(f"headway:schedule:{name}", "cursor", "1")
    schedules.add(made("hourly"))
    answer = client.get("/schedules")
    assert f"Schedule({name!r}, name={name!r})" in html.unescape(answer.text)
    pressed = re.findall('action="(/[^"]+)" data-press', answer.text)
    assert pressed == ["/schedules/hourly/run", "/schedules/hourly/pause"]
    linked = re.findall('href="(/schedules/[^"]+)"', answer.text)
    assert linked == ["/schedules/hourly"]
    one = client.get(f"/schedules/{quote(name, safe='')}")
    assert "data-press" not in one.text


def test_what_is_beyond_the_calendar_of_its_zone_is_told_in_its_own(
    client, redis, schedules, made
):
    wire = made("far", Cron("0 3 * * *", zone="Asia/Tokyo")).to_wire()
    for name, zone in (("utc", "+00:00"), ("west", "-05:00")):
        far = wire | {"end": f"9999-12-31T23:59:59{zone}"}
        redis.hset("headway:schedules", name, json.dumps(far))
        redis.hset(f"headway:schedule:{name}", "cursor", "1")
        assert "9999" in words(client.get(f"/schedules/{name}"))
        assert client.get("/schedules").status_code == 200


@pytest.fixture
def hostile(redis, schedules, application):
    """Payloads in every field of a schedule that somebody outside can fill."""
    echo = application.resolve("dashboard_tasks.echo")
    more = {payload: payload for payload in PAYLOADS}
    schedules.add(Schedule("hostile", Every(hours=1), echo.message(PAYLOADS, **more)))
    for number, payload in enumerate(PAYLOADS, 1):
        record = {
            "due": str(number),
            "sent": str(number),
            "job": payload,
            "outcome": payload,
            "reason": payload,
            "count": payload,
        }
        redis.hset("headway:schedule:hostile:history", str(number), json.dumps(record))
        redis.zadd("headway:schedule:hostile:ticks", {str(number): number})
        redis.zadd("headway:schedules:due", {payload: 1})
        timing = {"kind": payload, "line": payload, "zone": payload}
        wire = {"timing": timing, "task": payload, "args": [payload]}
        redis.hset("headway:schedules", payload, json.dumps(wire | {"kwargs": more}))
        about = {"cursor": "1", "declared": payload, "last_job": payload}
        redis.hset(f"headway:schedule:{payload}", mapping=about)
    return create_app(redis, Options(open_on_loopback=True, schedules=schedules))


def test_nothing_that_strangers_wrote_runs_on_the_pages_of_schedules(
    hostile, trusting, context, served
):
    with served(hostile) as url:
        for browser in (trusting, context):
            witness = Witness(browser)
            shown = witness.open(f"{url}/schedules")
            assert all(payload.strip()[:30] in shown for payload in SHOWN)
            shown = witness.open(f"{url}/schedules/hostile")
            assert "window.__pwned" in shown
            for payload in PAYLOADS[-6:]:
                path = quote(payload, safe="")
                if "%2F" not in path:
                    witness.open(f"{url}/schedules/{path}")
            assert witness.seen == []


#: A browser shows what has two blanks in a row with one.
SHOWN = [payload for payload in PAYLOADS if "  " not in payload]


def test_a_person_holds_sends_and_removes_a_schedule(
    redis, options, schedules, made, context, served
):
    schedules.add(made("hourly"))
    witness = Witness(context)
    page = witness.page
    with served(create_app(redis, options)) as url:
        page.goto(f"{url}/")
        page.get_by_role("link", name="Schedules").click()
        page.get_by_role("button", name="Pause: schedule hourly").click()
        expect(page.get_by_text("Paused hourly: nothing of it")).to_be_visible()
        expect(page.locator("tbody .status")).to_have_text("paused")
        page.get_by_role("link", name="hourly").click()
        page.get_by_role("button", name="Run now: schedule hourly").click()
        expect(page.get_by_text("Sent hourly once more.")).to_be_visible()
        expect(page.locator("tbody .status")).to_have_text("queued")
        page.get_by_role("button", name="Remove: schedule hourly").click()
        expect(
            page.get_by_text("Remove this schedule and its history?")
        ).to_be_visible()
        page.get_by_role("button", name="Remove", exact=True).click()
        expect(page.get_by_text("No schedules. Declare them")).to_be_visible()
    assert schedules.all() == []
    assert witness.seen == []


def test_on_a_phone_nothing_is_cut_off(redis, options, schedules, made, chrome, served):
    schedules.add(made("a" * 60, None, "b" * 400))
    schedules.run_now("a" * 60)
    context = chrome.new_context(viewport={"width": 360, "height": 740})
    page = context.new_page()
    with served(create_app(redis, options)) as url:
        for path in ("/schedules", f"/schedules/{'a' * 60}"):
            page.goto(url + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()
