from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

import pytest

from headway import App, Queue, Retry, Unique
from headway.errors import ConfigurationError, UnknownQueueError


def work() -> None:
    return None


@pytest.fixture
def app() -> App:
    return App(queues=[Queue("default"), Queue("low")], tasks="tasks", engine="memory")


NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001

WRONG = [
    ("queue", 5),
    ("queue", ""),
    ("delay", 5),
    ("delay", timedelta(seconds=-1)),
    ("at", NAIVE),
    ("at", "2026-01-01"),
    ("retry", 3),
    ("retry", True),
    ("timeout", 30),
    ("timeout", timedelta(0)),
    ("timeout", None),
    ("expires", 10),
    ("expires", NAIVE),
    ("expires", timedelta(0)),
    ("unique", 1),
    ("unique", ""),
    ("unique", None),
    ("result_ttl", 500),
    ("result_ttl", timedelta(seconds=-1)),
    ("failure_ttl", timedelta(0)),
    ("job_id", ""),
    ("job_id", "a b"),
    ("job_id", "a:b"),
    ("job_id", "a.b"),
    ("job_id", "a\n"),
    ("job_id", 7),
    ("at_front", 1),
    ("description", 5),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_refused_when_the_task_is_defined(app, name, value):
    with pytest.raises(ConfigurationError) as caught:
        app.task(**{name: value})(work)
    message = str(caught.value)
    assert message.startswith(f"{__name__}.work({name}={value!r}): expected ")


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_refused_when_the_call_is_made(app, name, value):
    task = app.task(work)
    with pytest.raises(ConfigurationError, match="expected"):
        task.using(**{name: value})


OSLO = (
    'write datetime(2026, 1, 1, 0, 0, tzinfo=ZoneInfo("Europe/Oslo")) for the time in '
    "a place, or datetime(2026, 1, 1, 0, 0, tzinfo=UTC)"
)


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("at", NAIVE, OSLO),
        ("expires", NAIVE, OSLO),
        ("at", "2026-01-01", OSLO),
        ("at", "2026-01-01T00:00:00Z", "write datetime.fromisoformat("),
        ("at", timedelta(hours=2), "say delay=timedelta(seconds=7200)"),
        ("delay", 300, "write timedelta(seconds=300)"),
        ("delay", 0.5, "write timedelta(seconds=0.5)"),
        ("delay", datetime(2030, 1, 1, tzinfo=UTC), "say at="),
        ("timeout", 30, "write timedelta(seconds=30)"),
        ("expires", 10, "write timedelta(seconds=10)"),
        ("result_ttl", 500, "write timedelta(seconds=500)"),
    ],
)
def test_a_wrong_time_is_refused_with_the_line_to_write(app, name, value, line):
    with pytest.raises(ConfigurationError) as caught:
        app.task(work).using(**{name: value})
    assert line in str(caught.value)
    if line.startswith("write datetime(") or "delta(" in line:
        written = re.split(
            r"(?:write|say delay=|or) ?(?=datetime|timedelta)", str(caught.value)
        )
        right = eval(
            written[-1], {"datetime": datetime, "timedelta": timedelta, "UTC": UTC}
        )
        app.task(work).using(**{"delay" if "say" in line else name: right})


def test_a_time_that_nobody_can_read_is_refused_with_an_example(app):
    for value in ("tomorrow", 5, None, True):
        with pytest.raises(ConfigurationError, match=r"as datetime\(2030") as caught:
            app.task(work).using(at=value)
        assert "write" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="as timedelta") as caught:
        app.task(work).using(delay=-5)
    assert "write" not in str(caught.value)


class NoZone(tzinfo):
    """A zone that does not say how far it is from UTC."""

    def utcoffset(self, _moment):
        return None


def test_a_zone_that_says_nothing_makes_no_time_aware(app):
    when = datetime(2026, 1, 1, tzinfo=NoZone())
    with pytest.raises(ConfigurationError, match="tzinfo=UTC"):
        app.task(work).using(at=when)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda task: task.enqueue_in(300), r"enqueue_in\(delay=300\): .* write timed"),
        (
            lambda task: task.enqueue_in("5m"),
            r"enqueue_in\(delay='5m'\): expected a ti",
        ),
        (lambda task: task.enqueue_at(NAIVE), r"enqueue_at\(at=.*tzinfo=UTC\)$"),
        (lambda task: task.enqueue_at(timedelta(1)), r"say delay=timedelta\(days=1\)"),
    ],
)
def test_a_call_for_later_refuses_what_is_no_time(app, call, words):
    with pytest.raises(ConfigurationError, match=words):
        call(app.task(work))


def test_an_unknown_option_is_refused_with_those_there_are(app):
    with pytest.raises(
        ConfigurationError, match=r"no option 'retries'; there are after, at,"
    ):
        app.task(retries=3)(work)


def test_an_unknown_queue_is_refused_with_those_there_are(app):
    with pytest.raises(UnknownQueueError, match="no queue 'gpu'.* default, low"):
        app.task(queue="gpu")(work)
    with pytest.raises(UnknownQueueError, match="no queue 'gpu'.* default, low"):
        app.queue("gpu")
    with pytest.raises(UnknownQueueError):
        app.on_worker_start(queue="gpu")
    with pytest.raises(UnknownQueueError):
        app.job("1", queue="gpu")


def test_delay_and_at_together_are_refused(app):
    at = datetime(2030, 1, 1, tzinfo=UTC)
    with pytest.raises(ConfigurationError, match="`delay` or `at`, not both"):
        app.task(delay=timedelta(1), at=at)(work)


def test_a_call_may_say_at_where_its_task_says_delay(app):
    at = datetime(2030, 1, 1, tzinfo=UTC)
    task = app.task(delay=timedelta(1), queue="low")(work)
    assert task.using(at=at).options == {"at": at, "queue": "low"}
    assert task.using(at=at).using(delay=timedelta(2)).options == {
        "delay": timedelta(2),
        "queue": "low",
    }


def test_using_changes_the_copy_and_not_the_task(app):
    task = app.task(queue="low")(work)
    other = task.using(queue="default", retry=Retry(attempts=2))
    assert task.options == {"queue": "low"}
    assert other.options == {"queue": "default", "retry": Retry(attempts=2)}
    assert other.name == task.name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("key", ""),
        ("key", 7),
        ("ttl", timedelta(0)),
        ("ttl", 60),
        ("until", "start"),
        ("on_duplicate", "ignore"),
    ],
)
def test_a_wrong_unique_rule_is_refused(name, value):
    with pytest.raises(ConfigurationError) as caught:
        Unique(**{name: value})
    assert str(caught.value).startswith(f"Unique({name}={value!r}): expected ")


@pytest.mark.parametrize("name", ["", "a b", "a:b", "å"])
def test_a_queue_name_that_no_engine_could_serve_is_refused(name):
    with pytest.raises(ConfigurationError, match="expected letters, digits"):
        Queue(name)


@pytest.mark.parametrize("timeout", [timedelta(0), timedelta(-1), 5, None])
def test_a_queue_without_time_is_refused(timeout):
    with pytest.raises(ConfigurationError, match="expected a positive timedelta"):
        Queue("a", timeout=timeout)


def test_a_queue_of_no_app_sends_nothing():
    with pytest.raises(ConfigurationError, match=r"take it from `app\.queues`"):
        Queue("a").enqueue(work)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"queues": []}, "expected one queue or more"),
        ({"queues": ["high"]}, r"queues=\['high'\]\): expected Queue\('high'\)"),
        ({"queues": [Queue("a"), Queue("a")]}, "stands there twice"),
        ({"queues": [Queue("a")], "engine": "kafka"}, "expected one of rq, celery, "),
        ({"queues": [Queue("a", engine="kafka")]}, "expected one of rq, celery, "),
    ],
)
def test_an_app_that_cannot_be_is_refused(arguments, words):
    with pytest.raises(ConfigurationError, match=words):
        App(tasks="tasks", **arguments)


@pytest.mark.parametrize("thing", [print, len, int, 5, "tasks.f", object()])
def test_only_a_function_of_python_can_be_a_task(app, thing):
    with pytest.raises(ConfigurationError, match="cannot be a task"):
        app.task(thing)


def test_two_functions_of_one_name_are_refused(app, tmp_path):
    app.task(work)
    other = tmp_path / "other.py"
    other.write_text("def work(): pass\n")
    space = {"__name__": __name__}
    exec(compile(other.read_text(), str(other), "exec"), space)
    with pytest.raises(ConfigurationError, match="two tasks are named"):
        app.task(space["work"])


def test_what_a_worker_could_not_import_is_not_sent(tmp_path):
    app = App(queues=[Queue("a")], tasks="tasks", redis_url="redis://127.0.0.1:1")

    def local() -> None: ...

    with pytest.raises(ConfigurationError, match="a worker could not import it"):
        app.task(local).enqueue()
    with pytest.raises(ConfigurationError, match="a worker could not import it"):
        app.task(lambda: None).enqueue()


def test_without_any_address_the_way_out_is_named(app, monkeypatch):
    for name in ("REDIS_URL", "REDIS_TLS_URL", "REDISCLOUD_URL", "RQ_REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    rq_app = App(queues=[Queue("a")], tasks="tasks")
    with pytest.raises(ConfigurationError, match="set REDIS_URL=redis://"):
        rq_app.task(work).enqueue()
