"""What stock producers send: one function a feature of RQ, run by a worker in a burst.

All scenarios go into one database and are run by one start of a worker; the ids of
their jobs keep them apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rq import Callback, Queue, Repeat, Retry
from rq.cron import CronScheduler
from rq.group import Group
from rq.job import Dependency
from rq.rate_limit import RateLimit
from rq.webhook import Webhook

from tests.parity.line import Line

Send = Callable[[Line], object]
LATER = datetime(2099, 1, 1, tzinfo=UTC)
VALUES = {
    "none": None,
    "true": True,
    "int": 42,
    "big": 2**70,
    "float": 0.1,
    "text": "søt ☃ 'quoted'\n",
    "empty": "",
    "list": [1, [2, []]],
    "dict": {"a": {"b": None}},
    "long": "x" * 20_000,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A feature, and the serializers under which it exists."""

    name: str
    send: Send
    serializers: tuple[str, ...]


SCENARIOS: list[Scenario] = []


def scenario(*serializers: str) -> Callable[[Send], Send]:
    """Add a function to the list; JSON alone where the serializer plays no part."""

    def add(send: Send) -> Send:
        SCENARIOS.append(
            Scenario(
                name=send.__name__,
                send=send,
                serializers=serializers or ("json",),
            )
        )
        return send

    return add


# What a job returns, and how long it is kept


@scenario("json", "pickle")
def returned_values(line: Line) -> None:
    for name, value in VALUES.items():
        line.send(name, "calls.echo", value)
    line.send("nothing", "calls.nothing")
    line.send("named", "calls.add", 1, named={"other": 41})


@scenario("pickle")
def values_of_pickle_alone(line: Line) -> None:
    line.send("set", "calls.echo", {1})
    line.send("tuple", "calls.echo", (1, 2))
    line.send("moment", "calls.echo", LATER)


@scenario()
def times_to_live(line: Line) -> None:
    for ttl in (-1, 0, 777):
        part = str(ttl).replace("-", "minus")
        line.send(f"result{part}", "calls.echo", 1, result_ttl=ttl)
        line.send(f"failure{part}", "calls.fail", "x", failure_ttl=ttl)
    line.send("waiting", "calls.echo", 1, ttl=3600)
    line.send("both", "calls.echo", 1, ttl=3600, result_ttl=999, failure_ttl=888)
    line.send("text", "calls.echo", 1, result_ttl="1h", job_timeout="2m")
    line.send("endless", "calls.echo", 1, job_timeout=-1)


# How a job fails


@scenario("json", "pickle")
def exceptions(line: Line) -> None:
    line.send("plain", "calls.fail", "no bread")
    line.send("chained", "calls.fail_from", "no bread")
    line.send("multiline", "calls.fail", "one\ntwo")
    line.send("wrong_arguments", "calls.add")


@scenario("json", "pickle")
def exits(line: Line) -> None:
    line.send("zero", "calls.exits", 0)
    line.send("three", "calls.exits", 3)
    line.send("text", "calls.exits", "good bye")


@scenario()
def timeouts(line: Line) -> None:
    line.send("plain", "calls.hang", job_timeout=1)


@scenario()
def missing_functions(line: Line) -> None:
    line.send("function", "calls.there_is_none")
    line.send("module", "nowhere.run")


# Again


@scenario("json", "pickle")
def retries(line: Line) -> None:
    once = Retry(max=3)
    line.send("mended", "calls.fail_until", line.id("mended"), 3, retry=once)
    line.send("used_up", "calls.fail", "always", retry=Retry(max=2))
    line.send("scheduled", "calls.fail", "x", retry=Retry(max=2, interval=[60, 90]))
    front = Retry(max=2, enqueue_at_front=True)
    line.send("in_front", "calls.fail_until", line.id("in_front"), 2, retry=front)


@scenario("json", "pickle")
def returned_retries(line: Line) -> None:
    line.send("content", "calls.ask_again", line.id("content"), 3)
    line.send("never", "calls.never_content", 2)
    line.send("scheduled", "calls.ask_again", line.id("scheduled"), 3, 60)


@scenario("json", "pickle")
def repeats(line: Line) -> None:
    for part, again in {
        "at_once": Repeat(times=2),
        "later": Repeat(times=2, interval=60),
        "steps": Repeat(times=3, interval=[0, 60, 90]),
    }.items():
        line.send(part, "calls.trace", line.id(part), "run", repeat=again)
    line.send("failing", "calls.fail", "x", repeat=Repeat(times=2))
    line.send("result", "calls.echo", 1, repeat=Repeat(times=2), result_ttl=999)
    line.send("kept_not", "calls.echo", 1, repeat=Repeat(times=2), result_ttl=0)


# Jobs that wait for others


@scenario("json", "pickle")
def dependents(line: Line) -> None:
    first = line.send("first", "calls.echo", 1)
    second = line.send("second", "calls.echo", 2)
    line.send("one", "calls.echo", 3, depends_on=first)
    line.send("both", "calls.echo", 4, depends_on=[first, second])
    line.send("high", "calls.echo", 5, depends_on=first, to="high")
    line.send("of_id", "calls.echo", 6, depends_on=second.id)
    ahead = Dependency([first], enqueue_at_front=True)
    line.send("ahead", "calls.echo", 7, depends_on=ahead)


@scenario()
def dependents_of_a_failure(line: Line) -> None:
    bad = line.send("bad", "calls.fail", "x")
    good = line.send("good", "calls.echo", 1)
    line.send("waits", "calls.echo", 2, depends_on=bad)
    line.send("waits_for_both", "calls.echo", 3, depends_on=[good, bad])
    anyway = Dependency([bad, good], allow_failure=True)
    line.send("anyway", "calls.echo", 4, depends_on=anyway)


@scenario()
def dependents_of_what_is_not_kept(line: Line) -> None:
    parent = line.send("parent", "calls.echo", 1, result_ttl=0)
    line.send("child", "calls.echo", 2, depends_on=parent)
    retried = line.send(
        "retried", "calls.fail_until", line.id("retried"), 2, retry=Retry(max=1)
    )
    line.send("after_retry", "calls.echo", 3, depends_on=retried)
    repeated = line.send("repeated", "calls.echo", 1, repeat=Repeat(times=1))
    line.send("after_repeat", "calls.echo", 4, depends_on=repeated)


# RQ's own callbacks and webhooks


@scenario("json", "pickle")
def callbacks(line: Line) -> None:
    told = {
        "on_success": Callback("parity_tasks.callbacks.succeeded"),
        "on_failure": Callback("parity_tasks.callbacks.failed", timeout=9),
        "on_stopped": Callback("parity_tasks.callbacks.stopped"),
    }
    line.send("success", "calls.echo", "fine", **told)
    line.send("failure", "calls.fail", "bad", **told)
    line.send("exit", "calls.exits", 2, **told)
    line.send("retried", "calls.fail", "bad", retry=Retry(max=1), **told)
    line.send("returned_retry", "calls.never_content", 1, **told)
    line.send("kept_not", "calls.echo", "fine", result_ttl=0, **told)
    line.send("timeout", "calls.hang", job_timeout=1, **told)


# A callback that raises or hangs has RQ fail the job, or say another reason. Here it
# changes nothing: see tests/worker/test_callbacks.py.


@scenario("json", "pickle")
def webhooks(line: Line) -> None:
    def hooks(part: str) -> list[Webhook]:
        address = f"{line.listener}/{line.id(part)}"
        headers = {"X-Parity": "yes"}
        return [
            Webhook(f"{address}/post", "finished", method="POST", headers=headers),
            Webhook(f"{address}/get", "finished"),
            Webhook(f"{address}/failed", "failed", method="POST"),
        ]

    line.send("finished", "calls.echo", 1, webhooks=hooks("finished"))
    line.send("failed", "calls.fail", "x", webhooks=hooks("failed"))
    again = {"retry": Retry(max=1), "webhooks": hooks("retried")}
    line.send("retried", "calls.fail_until", line.id("retried"), 2, **again)
    closed = [Webhook("http://127.0.0.1:9/", "finished", method="POST")]
    line.send("nobody", "calls.echo", 1, webhooks=closed)


# How jobs are sent


@scenario("json", "pickle")
def groups(line: Line) -> None:
    group = Group.create(line.client, name=line.id("group"))
    calls = [
        Queue.prepare_data(line.path(call), args=[1], job_id=line.id(part))
        for part, call in (("good", "calls.echo"), ("bad", "calls.fail"))
    ]
    group.enqueue_many(line.queue(), calls)


@scenario()
def many_at_once(line: Line) -> None:
    line.queue().enqueue_many(
        [
            Queue.prepare_data(
                line.path("calls.echo"), args=[n], job_id=line.id(f"n{n}")
            )
            for n in range(25)
        ]
    )


@scenario()
def unique_jobs(line: Line) -> None:
    line.send("once", "calls.trace", line.id("once"), "run", unique=True)
    line.send("kept_not", "calls.nothing", unique=True, result_ttl=0)
    line.send("bad", "calls.fail", "x", unique=True)


@scenario()
def rate_limits(line: Line) -> None:
    limit = RateLimit(key=line.id("limit"), concurrency=1)
    for n in range(3):
        part = f"n{n}"
        line.send(part, "calls.trace", line.id("order"), part, rate_limit=limit)
    line.send("bad", "calls.fail", "x", rate_limit=limit)
    again = {"rate_limit": limit, "retry": Retry(max=1)}
    line.send("retried", "calls.fail_until", line.id("retried"), 2, **again)
    line.send("kept_not", "calls.nothing", rate_limit=limit, result_ttl=0)
    wide = RateLimit(key=line.id("wide"), concurrency=5)
    line.send("wide", "calls.echo", 1, rate_limit=wide)


@scenario()
def order(line: Line) -> None:
    """Strict by queue, the first sent first, but for what is sent to the front."""
    for part, to, front in (
        ("one", "default", False),
        ("two", "default", False),
        ("front", "default", True),
        ("low", "low", False),
        ("high", "high", False),
        ("high_front", "high", True),
    ):
        key = line.id("order")
        line.send(part, "calls.trace", key, part, to=to, at_front=front)


@scenario()
def later(line: Line) -> None:
    """What is not due stays where it is."""
    line.send_at(LATER, "at", "calls.echo", 1)
    line.send_at(timedelta(hours=1), "in", "calls.echo", 1, at_front=True)


@scenario()
def canceled_and_deleted(line: Line) -> None:
    line.send("canceled", "calls.trace", line.id("never"), "canceled").cancel()
    line.send("deleted", "calls.trace", line.id("never"), "deleted").delete()
    parent = line.send("parent", "calls.echo", 1)
    line.send("child", "calls.echo", 1, depends_on=parent)
    line.send("its_parent", "calls.echo", 1)
    parent.cancel(enqueue_dependents=True)
    # Gone, but still in line: RQ's registries and lists may disagree.
    gone = line.send("gone", "calls.echo", 1)
    line.client.delete(gone.key)


@scenario("pickle")
def rq_cron(line: Line) -> None:
    """Jobs of `rq cron`, which writes pickle alone and names them by chance."""
    from parity_tasks import calls

    cron = CronScheduler(line.client, name=line.id("cron"))
    good = cron.register(
        calls.echo, "default", args=(1,), interval=60, name=line.id("good")
    )
    bad = cron.register(
        calls.fail, "high", args=("x",), cron="* * * * *", name=line.id("bad")
    )
    for part, job in {"good": good, "bad": bad}.items():
        job.job_options["job_id"] = line.id(part)
        job.enqueue(line.client)


@scenario("pickle")
def rq_scheduler(line: Line) -> None:
    """Jobs of rq-scheduler, when they are due."""
    from parity_tasks import calls
    from rq_scheduler import Scheduler

    scheduler = Scheduler("default", connection=line.client)
    past = datetime(2000, 1, 1)  # noqa: DTZ001 - it wants a naive one
    scheduler.enqueue_at(past, calls.echo, 1, job_id=line.id("once"))
    scheduler.enqueue_at(past, calls.fail, "x", job_id=line.id("bad"))
    scheduler.schedule(past, calls.echo, args=[1], interval=60, id=line.id("interval"))
    cron = scheduler.cron("0 0 1 1 *", calls.echo, args=[1], id=line.id("cron"))
    scheduler.change_execution_time(cron, past)
    scheduler.enqueue_jobs()
    assert line.id("cron") in line.queue().job_ids


# What a job sees of itself


@scenario("json", "pickle")
def current_job(line: Line) -> None:
    line.send("plain", "calls.describe", meta={"a": 1}, retry=Retry(max=4))
    line.send("high", "calls.describe", to="high", job_timeout=77)


@scenario()
def environment_of_a_job(line: Line) -> None:
    line.send("names", "calls.named_by_the_environment")


@scenario("json", "pickle")
def meta(line: Line) -> None:
    line.send("saved", "calls.save_meta", named={"b": 2}, meta={"a": 1})
    line.send("lost", "calls.forget_meta", meta={"a": 1})
    line.send("kept", "calls.fail", "x", meta={"a": [1]})


@scenario()
def jobs_that_end_themselves(line: Line) -> None:
    line.send("canceled", "calls.cancel_itself")
    line.send("deleted", "calls.delete_itself")


# What can be called


@scenario("json", "pickle")
def coroutines(line: Line) -> None:
    line.send("good", "calls.coroutine", 21)
    line.send("bad", "calls.failing_coroutine")


@scenario("json", "pickle")
def methods(line: Line) -> None:
    line.send("static", "calls.Shelf.label", "text")
    line.send("class", "calls.Shelf.name")


@scenario("pickle")
def methods_of_objects(line: Line) -> None:
    from parity_tasks.calls import Shelf

    line.send("method", Shelf(40).put, 2)
    line.send("instance", Shelf(40))
    line.send("class_method", Shelf.name)


@scenario()
def unusual_descriptions(line: Line) -> None:
    line.send("plain", "calls.echo", 1, description="søt\nof two lines")
