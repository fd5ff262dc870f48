from __future__ import annotations

import re

import pytest
from flask import Flask
from redis import Redis
from rq import Queue
from werkzeug.security import generate_password_hash

from headway.dashboard import Options, Role, User, Visitor, create_app, read_users
from headway.dashboard.throttle import Throttle
from headway.errors import ConfigurationError

ANN = User(name="ann", password="ann's long password")
BOB = User(name="bob", password="bob may only look", role=Role.VIEW)
SECRET = "a secret of these tests"


def guarded(redis: Redis, *users: User, secret: str = SECRET) -> Flask:
    return create_app(redis, Options(users=users or (ANN, BOB), secret=secret))


def browser(app: Flask):
    client = app.test_client()
    client.environ_base["HTTP_SEC_FETCH_SITE"] = "same-origin"
    return client


def sign_in(client, name="ann", password="ann's long password", **form):
    return client.post("/sign-in", data={"name": name, "password": password, **form})


@pytest.fixture
def stranger(redis):
    return browser(guarded(redis))


def test_no_page_is_open_to_a_stranger(stranger, redis):
    rules = list(stranger.application.url_map.iter_rules())
    assert len(rules) > 20
    values = {"instance_number": 0, "per_page": 8, "page": 1, "verb": "cancel"}
    names = (
        "job_id",
        "workflow_id",
        "queue",
        "queue_name",
        "registry_name",
        "order",
        "filename",
    )
    values |= dict.fromkeys(names, "failed") | {"hold": "pause"}
    for rule in rules:
        _domain, path = rule.build(values) or ("", "")
        for method in rule.methods & {"GET", "POST"}:
            answer = stranger.open(path, method=method)
            if rule.endpoint in ("health.healthz", "health.readyz"):
                assert answer.status_code == 200
            elif rule.endpoint.startswith("sign_in.") and "leave" not in rule.endpoint:
                assert answer.status_code in (200, 401)
            elif rule.endpoint == "static":
                assert answer.status_code == 404  # there is no file "failed"
            else:
                assert answer.status_code in (303, 401), (path, method)
                assert not answer.headers.get("Location", "").startswith("http")


def test_signing_in_leads_to_the_page_that_was_asked_for(stranger):
    turned_away = stranger.get("/jobs/abc?x=1")
    assert turned_away.location == "/sign-in?next=/jobs/abc?x%3D1"
    page = stranger.get(turned_away.location)
    assert 'name="next" value="/jobs/abc?x=1"' in page.text
    answer = sign_in(stranger, next="/jobs/abc?x=1")
    assert (answer.status_code, answer.location) == (303, "/jobs/abc?x=1")
    assert stranger.get("/").status_code == 200


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/\r\nSet-Cookie: a=b",
        "",
    ],
)
def test_signing_in_never_leads_to_another_site(stranger, target):
    assert sign_in(stranger, next=target).location == "/"


@pytest.mark.parametrize(
    ("name", "password"),
    [("ann", "wrong"), ("nobody", "ann's long password"), ("", ""), ("ann", "")],
)
def test_a_wrong_password_and_a_wrong_name_read_the_same(stranger, name, password):
    answer = sign_in(stranger, name, password)
    assert answer.status_code == 401
    assert "Wrong name or password." in answer.text
    assert stranger.get("/").status_code == 303


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(stranger):
    cookie = sign_in(stranger).headers["Set-Cookie"]
    for part in ("headway=", "HttpOnly", "SameSite=Lax", "Path=/", "Expires="):
        assert part in cookie
    assert "Secure" not in cookie


def test_over_tls_the_cookie_stays_on_tls(redis):
    client = browser(guarded(redis))
    form = {"name": "ann", "password": "ann's long password"}
    answer = client.post("/sign-in", data=form, base_url="https://localhost")
    assert "Secure" in answer.headers["Set-Cookie"]
    behind = browser(guarded(redis))
    behind.environ_base["HTTP_X_FORWARDED_PROTO"] = "https"
    assert "Secure" in sign_in(behind).headers["Set-Cookie"]


def test_a_forged_or_foreign_session_is_worth_nothing(redis):
    insider = browser(guarded(redis))
    sign_in(insider)
    cookie = insider.get_cookie("headway").value
    other = browser(guarded(redis, secret="another secret of these tests"))
    other.set_cookie("headway", cookie)
    assert other.get("/").status_code == 303
    other.set_cookie("headway", "x" + cookie)
    assert other.get("/").status_code == 303


@pytest.mark.parametrize(
    "now",
    [
        User(name="ann", password="a new password"),
        User(name="ann", password="ann's long password", role=Role.VIEW),
        User(name="carl", password="ann's long password"),
    ],
)
def test_a_changed_password_role_or_name_ends_the_session(redis, now):
    before = browser(guarded(redis))
    sign_in(before)
    after = browser(guarded(redis, now))
    after.set_cookie("headway", before.get_cookie("headway").value)
    assert after.get("/").status_code == 303


def test_signing_out_ends_the_session(stranger):
    sign_in(stranger)
    assert stranger.post("/sign-out").status_code == 303
    assert stranger.get("/").status_code == 303


def test_who_may_only_look_cannot_press(redis):
    queue = Queue("default", connection=redis, serializer="json")
    queue.enqueue("dashboard_tasks.echo", job_id="j")
    redis.zadd("rq:failed:default", {"j": 1})
    client = browser(guarded(redis))
    sign_in(client, "bob", "bob may only look")
    page = client.get("/").text
    assert "view only" in page
    assert "<button>" not in re.sub(r"\s*>", ">", page)
    assert "Delete job" not in page
    for path in (
        "/jobs/j/delete",
        "/jobs/j/requeue",
        "/jobs/j/cancel",
        "/jobs/j/stop",
        "/queues/default/requeue",
        "/rq/job/j/delete",
        "/rq/job/j/requeue",
        "/rq/requeue/default",
        "/rq/queue/default/queued/empty",
        "/rq/queue/default/compact",
    ):
        answer = client.post(path)
        assert answer.status_code == 403, path
        assert "You may look, but not press" in answer.text
    assert redis.exists("rq:job:j")
    assert client.post("/sign-out").status_code == 303


def test_guessing_is_slowed_down_for_that_name_only(stranger):
    for _ in range(5):
        assert sign_in(stranger, password="guess").status_code == 401
    answer = sign_in(stranger)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert sign_in(stranger, "bob", "bob may only look").status_code == 303


def test_guessing_many_names_from_one_place_is_slowed_down(stranger):
    for number in range(30):
        assert sign_in(stranger, f"name{number}", "guess").status_code == 401
    assert sign_in(stranger, "one more", "guess").status_code == 429


class Hand:
    """A clock moved by hand."""

    seconds = 0.0

    def monotonic(self):
        return self.seconds


def test_after_a_minute_one_may_try_again():
    clock = Hand()
    throttle = Throttle(failures=2, seconds=60, clock=clock)
    throttle.failed("ann")
    clock.seconds = 10
    throttle.failed("ann")
    assert throttle.wait("ann") == 50
    clock.seconds = 60
    assert throttle.wait("ann") == 0


def test_a_hashed_password_may_stand_for_the_password(redis):
    hashed = generate_password_hash("a long password", method="pbkdf2:sha256:1000")
    (user,) = read_users(f"ann:{hashed}:view")
    client = browser(guarded(redis, user))
    assert sign_in(client, password=hashed).status_code == 401
    assert sign_in(client, password="a long password").status_code == 303


def test_an_application_may_tell_who_is_asking_by_its_own_means(redis):
    def visitor(request):
        name = request.headers.get("X-User")
        role = Role.ACT if name == "ann" else Role.VIEW
        return Visitor(name=name, role=role) if name else None

    client = browser(create_app(redis, Options(visitor=visitor)))
    assert client.get("/").status_code == 401
    assert client.get("/", headers={"X-User": "ann"}).status_code == 200
    pressed = {"X-User": "bob"}
    assert client.post("/jobs/j/delete", headers=pressed).status_code == 403


def test_users_are_read_from_one_line():
    users = read_users("ann:pass:word, bob:secret:view,carl:a:act,")
    assert [(user.name, user.password, user.role) for user in users] == [
        ("ann", "pass:word", "act"),
        ("bob", "secret", "view"),
        ("carl", "a", "act"),
    ]
    assert "pass:word" not in repr(users)


@pytest.mark.parametrize(
    "line", ["hunter2", ":hunter2", "hunter2:", "ann:hunter2,ann:b"]
)
def test_a_line_that_names_no_user_is_refused_without_repeating_it(line):
    with pytest.raises(ConfigurationError) as refusal:
        read_users(line)
    assert "HEADWAY_DASHBOARD_USERS" in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_on_this_machine_only_no_sign_in_is_needed(host):
    assert Options.for_host(host).open_on_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "jobs.example.com", ""])
def test_open_to_others_without_users_is_refused(host):
    with pytest.raises(ConfigurationError, match="HEADWAY_DASHBOARD_USERS"):
        Options.for_host(host)


@pytest.mark.parametrize("secret", [None, "", "short"])
def test_users_without_a_secret_are_refused(redis, secret):
    with pytest.raises(ConfigurationError, match="HEADWAY_SECRET"):
        create_app(redis, Options(users=(ANN,), secret=secret))


def test_options_that_let_nobody_in_are_refused(redis):
    with pytest.raises(ConfigurationError, match="nobody could sign in"):
        create_app(redis, Options())
