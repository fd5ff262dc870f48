"""Code that was written for Celery, on every engine; only its imports are ours."""

from __future__ import annotations

import contextlib
import copy
import importlib
import json
import os
import pickle
import re
import subprocess
import sys
import uuid
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from importlib.util import find_spec

import pytest

from headway import load_app
from headway.declared_schedules import declared_schedules
from headway.errors import ArgumentError, ConfigurationError
from headway.scheduler import Scheduler as Sender
from headway.shims import celery
from headway.shims.celery import (
    Celery,
    chain,
    chord,
    current,
    current_app,
    group,
    signals,
    signature,
    states,
)
from headway.shims.celery.exceptions import (
    ChordError,
    MaxRetriesExceededError,
    NotRegistered,
    Retry,
    TaskRevokedError,
    TimeLimitExceeded,
    TimeoutError,  # noqa: A004 - Celery's name
)
from headway.shims.celery.result import AsyncResult, GroupResult, ResultSet
from headway.shims.celery.schedules import crontab, schedule, solar
from headway.testing import in_memory
from tests.contract.engines import Memory, OnRedis

ENGINES = ["memory", "rq"]
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


@pytest.fixture(autouse=True)
def _no_other_application(monkeypatch):
    for name in ("apps", "shared", "_current"):
        monkeypatch.setattr(current, name, [])


@pytest.fixture
def shop(sample, chosen, monkeypatch, tmp_path):
    """The module of tasks, as an application imports it."""
    monkeypatch.setenv("HEADWAY_APP", "sample_celery:app")
    monkeypatch.setenv("SAMPLE_LOG", str(tmp_path / "log"))
    (tmp_path / "log").touch()
    module = importlib.import_module("sample_celery")
    yield module
    module.app.close()


@pytest.fixture
def engine(request, shop):
    app = load_app("sample_celery:app")
    if request.param == "memory":
        with in_memory(app) as harness:
            yield Memory(harness, shop)
        return
    yield from _on_redis(request, app, shop)


@pytest.fixture
def real(request, shop):
    """Those engines whose workers are processes."""
    yield from _on_redis(request, load_app("sample_celery:app"), shop)


def _on_redis(request, app, shop):
    url = request.getfixturevalue("redis_url")
    with contextlib.closing(OnRedis(app, shop, url)) as made:
        yield made


@pytest.fixture
def done(engine):
    """Run all that is there, and return what a call returned."""

    def work(result, *, propagate=True):
        engine.work()
        return result.get(timeout=0, propagate=propagate)

    return work


# Sending


def test_a_call_is_sent_by_delay_and_its_result_is_waited_for(shop, engine, done):
    result = shop.add.delay(2, y=3)
    assert (result.state, result.ready(), result.result) == ("PENDING", False, None)
    assert done(result) == 5
    assert (result.state, result.successful(), result.failed()) == (
        "SUCCESS",
        True,
        False,
    )
    assert AsyncResult(result.id).get() == 5
    assert shop.add.AsyncResult(result.id) == result
    assert (result.name, result.args, result.queue) == (
        "sample_celery.add",
        [2],
        "default",
    )


def test_arguments_that_do_not_fit_are_a_type_error_where_they_are_sent(shop, engine):
    with pytest.raises(TypeError, match=r"add\(\) .*'x'"):
        shop.add.delay()
    with pytest.raises(TypeError, match="unexpected"):
        shop.add.apply_async((1,), {"z": 1})


@pytest.mark.parametrize(
    "value",
    [
        None,
        1.5,
        "é",
        b"\xff",
        b"text",
        [1, [2]],
        {"a": {"b": 1}},
        datetime(2030, 1, 31, 9, 0),  # noqa: DTZ001 - Celery's users write such
        datetime(2030, 1, 31, 9, 0, tzinfo=UTC),
        date(2030, 1, 31),
        time(9, 30),
        Decimal("1.10"),
        uuid.UUID(int=7),
    ],
)
def test_a_value_comes_back_as_it_is_without_an_annotation(shop, engine, done, value):
    assert done(shop.echo.delay(value)) == [type(value).__name__, value]


def test_a_tuple_comes_back_as_a_list_and_a_set_is_refused(shop, engine, done):
    assert done(shop.echo.delay((1, (2,)))) == ["list", [1, [2]]]
    with pytest.raises(ArgumentError, match="set has no form in JSON"):
        shop.echo.delay({1})


def test_a_call_waits_for_its_countdown(shop, engine):
    result = shop.add.apply_async((1,), countdown=3600)
    engine.work()
    assert result.state == states.PENDING
    engine.pass_time(HOUR)
    engine.work()
    assert result.get(timeout=0) == 1


def test_a_call_waits_for_its_eta_which_is_in_the_zone_of_the_application(shop, engine):
    shop.app.conf.timezone = "Europe/Oslo"
    eta = (engine.app.clock.now() + HOUR).replace(tzinfo=None)
    # Oslo is ahead of UTC, so that this is due in its past.
    past = shop.add.apply_async((1,), eta=eta)
    later = shop.add.apply_async((2,), eta=eta.replace(tzinfo=UTC))
    engine.work()
    assert (past.state, later.state) == ("SUCCESS", "PENDING")


def test_a_call_that_expires_is_revoked(shop, engine):
    result = shop.add.apply_async((1,), expires=60)
    delayed = shop.add.apply_async((1,), countdown=3600, expires=60)
    until = engine.app.clock.now() + timedelta(minutes=1)
    timed = shop.add.apply_async((1,), expires=until)
    engine.pass_time(2 * HOUR)
    engine.work()
    for each in (result, delayed, timed):
        assert each.state == states.REVOKED
        with pytest.raises(TaskRevokedError, match="expired"):
            each.get(timeout=0)


def test_a_call_has_the_id_that_it_is_given(shop, engine, done):
    result = shop.add.apply_async((1,), task_id="mine-7", shadow="by hand")
    assert engine.app.job("mine-7").info().description == "by hand"
    assert done(result) == 1


def test_a_task_goes_to_the_queue_that_is_said_last(shop, engine, done):
    assert done(shop.routed.delay()) == "low"
    assert done(shop.urgent.delay()) == "high"
    assert done(shop.urgent.apply_async(queue="low")) == "low"


@pytest.mark.parametrize(
    ("routes", "queue"),
    [
        ({"sample_celery.a*": "low"}, "low"),
        ([("sample_celery.add", {"queue": "low"})], "low"),
        ([{"nothing.*": "low"}, {re.compile(r".*\.add"): {"queue": "high"}}], "high"),
        (lambda name, args, kwargs, options, task=None, **kw: {"queue": "low"}, "low"),
        ("sample_celery.router", "high"),
        ({"nothing.*": "low"}, "default"),
    ],
)
def test_a_route_says_the_queue(shop, engine, routes, queue):
    shop.app.conf.task_routes = routes
    assert shop.add.delay(1).queue == queue


def test_a_call_is_sent_by_name_where_its_code_is_not(shop, engine, done):
    other = Celery("elsewhere", headway=engine.app, task_default_queue="high")
    assert done(other.send_task("other.name")) == "other.name"


def test_a_call_of_a_task_that_is_nowhere_here_fails_with_a_way_out(shop, engine):
    result = shop.app.send_task("other.thing")
    engine.work()
    said = engine.app.job(result.id).info().error
    assert "'other.thing' may not run: it is not registered" in said
    assert "to a queue that only that serves" in said
    assert "App(" not in said


def test_a_result_that_is_ignored_is_not_kept(shop, engine, log, done):
    result = shop.silent.delay()
    engine.work()
    assert (log(), result.get()) == (["silent"], None)
    quiet = shop.add.s(1).set(ignore_result=True)
    assert done(quiet.delay()) is None
    # What comes after it is handed it all the same.
    assert done((quiet | shop.add.s(2)).delay()) == 3


def test_nobody_waits_for_ever_for_a_result_that_is_not_there(shop, engine):
    with pytest.raises(TimeoutError):
        shop.add.delay(1).get(timeout=0)
    with pytest.raises(TimeoutError, match="no result of nothing is here"):
        AsyncResult("nothing").get()
    assert AsyncResult("nothing").state == states.PENDING


def test_a_revoked_call_does_not_run(shop, engine, log):
    result = shop.write.delay("never")
    shop.app.control.revoke(result.id)
    engine.work()
    assert (log(), result.state) == ([], "REVOKED")
    with pytest.raises(TaskRevokedError):
        result.get(timeout=0)
    result.revoke()
    AsyncResult("nothing").revoke()


def test_a_forgotten_result_is_gone(shop, engine, done):
    result = shop.add.delay(1)
    done(result)
    result.forget()
    result.forget()
    assert result.state == states.PENDING


def test_an_engine_is_told_the_name_of_the_task(
    sample, monkeypatch, redis_url, store, tmp_path
):
    for name, value in (("REDIS_URL", redis_url), ("HEADWAY_ENGINE", "celery")):
        monkeypatch.setenv(name, value)
    shop = importlib.import_module("sample_celery")
    shop.add.delay(1)
    shop.add.starmap([(1, 2)]).delay()
    shop.app.send_task("elsewhere.name")
    found = store.lrange("headway:celery:default", 0, -1)
    assert [json.loads(each)["headers"]["task"] for each in found[::-1]] == [
        "sample_celery.add",
        "celery.starmap",
        "headway.run",
    ]
    shop.app.close()


def test_a_worker_of_celery_takes_the_names_that_it_has_itself(command):
    env = {"HEADWAY_APP": "sample_celery:app", "HEADWAY_ENGINE": "celery"}
    code = (
        "import headway.engines.celery as engine\n"
        "print(type(engine.app.tasks['celery.map']).__name__)\n"
    )
    done = command("python", "-W", "error", "-c", code, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (0, "JobTask\n", "")


# Running


def test_a_task_sees_its_request(shop, engine, done):
    result = shop.request.apply_async(([1],), {"k": (2,)}, headers={"trace": "x"})
    assert done(result) == {
        "id": result.id,
        "args": [[1]],
        "kwargs": {"k": [2]},
        "retries": 0,
        "headers": {"trace": "x"},
        "root_id": result.id,
        "parent_id": None,
        "called_directly": False,
        "is_eager": False,
    }
    direct = shop.request(1)
    assert (direct["called_directly"], direct["args"]) == (True, (1,))
    assert shop.request.request.id is None


def test_a_call_that_a_task_sends_knows_its_parent(shop, engine, done):
    result = shop.sender.delay()
    child = AsyncResult(done(result))
    engine.work()
    assert child.get(timeout=0)["parent_id"] == result.id
    assert child.get(timeout=0)["root_id"] == result.id


def test_a_task_does_not_wait_for_another(shop, engine, done):
    with pytest.raises(RuntimeError, match="Never call result.get"):
        done(shop.waits.delay())


def test_a_task_is_a_function_as_well(shop):
    assert (shop.add(1, 2), shop.multiply(2, 3), shop.adder(1, 2)) == (3, 6, 3)
    assert (shop.add.name, repr(shop.add)) == (
        "sample_celery.add",
        "<@task: sample_celery.add>",
    )
    with pytest.raises(Retry, match="Task can be retried"):
        shop.retry_plain(1)
    with pytest.raises(shop.Outage):
        shop.retry_for_ever(1)


def test_a_task_that_is_written_as_a_class_runs(shop, engine, done):
    assert done(shop.adder.delay(2, 2)) == 4


def test_a_shared_task_is_one_of_the_application_that_is_current(shop, engine, done):
    assert done(shop.multiply.delay(2, 3)) == 6
    assert shop.multiply.name in current_app.tasks
    assert shop.multiply.s(2)(3) == 6


def test_an_exception_comes_back_as_what_it_was(shop, engine, done):
    result = shop.fail.delay("away")
    with pytest.raises(shop.Outage) as caught:
        done(result)
    assert caught.value.args == ("away", 7)
    assert (result.state, result.result.args) == ("FAILURE", ("away", 7))
    assert "in fail" in result.traceback
    assert result.get(propagate=False).args == ("away", 7)


def test_hooks_are_told_what_becomes_of_a_call(shop, engine, log):
    shop.hooked.delay(1)
    engine.work()
    engine.pass_time(2 * SECOND)
    engine.work()
    assert log() == [
        *("before:1", "retry:Outage", "after:RETRY"),
        *("before:1", "success:1", "after:SUCCESS"),
    ]
    shop.hooked.apply_async((9,))
    for _ in range(3):
        engine.work()
        engine.pass_time(2 * SECOND)
    assert log()[-2:] == ["failure:Outage:True", "after:FAILURE"]


def test_signals_are_told_of_a_call(shop, engine, monkeypatch):
    told = []
    for name in ("task_prerun", "task_postrun", "task_success", "task_failure"):
        signal = getattr(signals, name)
        monkeypatch.setattr(signal, "_receivers", [])
        signal.connect(
            lambda signal, sender, **said: told.append((signal.name, sender.name))
        )
    shop.add.apply((1,))
    shop.fail.apply()
    assert [name for name, _ in told] == [
        *("task_prerun", "task_success", "task_postrun"),
        *("task_prerun", "task_failure", "task_postrun"),
    ]


def test_what_a_signal_calls_spoils_no_task(shop, caplog):
    heard = []
    signal = signals.Signal("one")
    signal.connect(lambda sender, **said: heard.append(said["text"]), sender=shop)

    @signal.connect
    def breaks(**said):
        raise ValueError

    signal.send(shop, text="mine")
    signal.send(None, text="another's")
    assert heard == ["mine"]
    assert caplog.text.count("signal one: ") == 2


def test_an_exception_that_cannot_be_made_again_is_told_of_in_words(shop, engine, done):
    with pytest.raises(Exception, match="away") as caught:
        done(shop.fail_oddly.delay("Odd"))
    assert type(caught.value) is Exception
    with pytest.raises(Exception, match="no form in JSON") as caught:
        done(shop.fail_oddly.delay("Unsent"))
    assert type(caught.value).__name__ == "Unsent"


def test_a_result_without_a_form_in_json_fails_the_call(shop, engine, done):
    with pytest.raises(ArgumentError, match="the result of sample_celery.returns_set"):
        done(shop.returns_set.delay())


# Again


def test_a_task_that_asks_for_it_runs_again_later(shop, engine):
    result = shop.retry_plain.delay(2, countdown=60)
    engine.work()
    assert (result.state, result.retries) == ("RETRY", 0)
    engine.work()
    for _ in range(2):
        engine.pass_time(61 * SECOND)
        engine.work()
    assert result.get(timeout=0) == 2


def test_a_retry_waits_for_the_delay_of_the_task(shop, engine):
    result = shop.retry_plain.delay(1)
    engine.work()
    engine.pass_time(55 * SECOND)
    engine.work()
    assert result.state == states.RETRY
    engine.pass_time(10 * SECOND)
    engine.work()
    assert result.get(timeout=0) == 1


@pytest.mark.parametrize(("limit", "retries"), [(None, 3), (1, 1), (0, 0)])
def test_a_task_runs_no_more_than_so_often(shop, engine, limit, retries):
    result = shop.retry_plain.delay(99, countdown=1, max_retries=limit)
    for _ in range(5):
        engine.work()
        engine.pass_time(2 * SECOND)
    with pytest.raises(MaxRetriesExceededError, match="Can't retry sample_celery"):
        result.get(timeout=0)
    assert result.retries == retries


def test_a_task_says_at_what_time_it_runs_again(shop, engine):
    eta = engine.app.clock.now() + HOUR
    result = shop.retry_at.delay(eta)
    engine.work()
    engine.pass_time(HOUR - timedelta(minutes=1))
    engine.work()
    assert result.state == states.RETRY
    engine.pass_time(timedelta(minutes=2))
    engine.work()
    assert result.get(timeout=0) == 1


def test_a_task_that_is_put_back_runs_again_at_once(shop, engine):
    result = shop.put_back.delay()
    engine.work()
    assert result.get(timeout=0) == 1


def test_a_task_without_a_limit_runs_until_it_returns(shop, engine):
    result = shop.retry_for_ever.delay(6)
    for _ in range(7):
        engine.work()
        engine.pass_time(2 * SECOND)
    assert result.get(timeout=0) == 6


def test_an_exception_retries_by_itself_with_a_backoff(shop, engine, log):
    result = shop.auto.delay()
    for wait, runs in ((0, 1), (3, 1), (2, 2), (6, 2), (3, 3), (60, 3)):
        engine.pass_time(wait * SECOND)
        engine.work()
        assert len(log()) == runs
    with pytest.raises(shop.Outage):
        result.get(timeout=0)


def test_an_exception_that_is_left_out_fails_at_once(shop, engine, log, done):
    with pytest.raises(KeyError):
        done(shop.auto.delay("KeyError"))
    assert log() == ["retries:0"]


def test_a_state_of_its_own_is_seen_while_a_task_runs(shop, real, until, tmp_path):
    result = shop.progress.delay()
    worker = real.worker(burst=True)
    until(lambda: result.state == "PROGRESS")
    assert result.info == {"current": 1, "total": 4}
    assert real.app.job(result.id).progress.fraction == 0.25
    (tmp_path / "log").write_text("go")
    worker.join(20)
    assert (result.state, result.get()) == ("SUCCESS", None)


def test_a_task_that_is_ignored_stays_in_its_own_state(shop, engine):
    result = shop.skip.delay()
    engine.work()
    assert (result.state, result.info) == ("SKIPPED", "nothing to do")


def test_a_rejected_task_is_kept_as_failed(shop, engine):
    result = shop.reject.delay()
    engine.work()
    assert [job.id for job in engine.app.backend().failed("default", 9)] == [result.id]


def test_a_soft_limit_is_raised_into_the_task(shop, real):
    result = shop.slow.delay()
    real.work()
    assert result.get(timeout=0) == "cleaned up"


def test_a_hard_limit_fails_the_task(shop, real):
    result = shop.too_slow.delay()
    real.work()
    with pytest.raises((TimeLimitExceeded, celery.exceptions.SoftTimeLimitExceeded)):
        result.get(timeout=0)


# Links


def test_a_link_is_sent_the_result(shop, engine, log):
    shop.add.apply_async((1, 2), link=[shop.write.s("and"), shop.write.si("only")])
    engine.work()
    assert sorted(log()) == ["3-and", "only"]


def test_a_link_error_is_called_with_the_error_or_sent_the_id(shop, engine, log):
    errbacks = [shop.on_error.s(), shop.on_error_by_id.s()]
    result = shop.fail.apply_async(link_error=errbacks)
    engine.work()
    assert sorted(log()) == sorted([f"{result.id}:Outage", f"by-id:{result.id}"])


def test_an_errback_that_fails_is_told_of_in_the_log(shop, caplog):
    shop.fail.apply(link_error=shop.breaks.s())
    shop.fail.apply(link_error=shop.write_any.s())
    assert "errback sample_celery.breaks raised" in caplog.text


# Canvas


def test_a_chain_hands_on_its_results(shop, engine, done):
    result = (shop.add.s(2, 2) | shop.multiply.s(8) | shop.add.s(1)).delay()
    assert done(result) == 33
    assert (result.parent.get(), result.parent.parent.get()) == (32, 4)
    assert done(chain(shop.add.s(1), shop.add.si(5, 5))()) == 10
    assert done(chain(shop.add.s(1)).delay(4)) == 5


def test_a_group_runs_side_by_side(shop, engine, done):
    result = group(shop.add.s(i, i) for i in range(4))()
    assert (result.ready(), result.completed_count()) == (False, 0)
    assert done(result) == [0, 2, 4, 6]
    assert (result.successful(), len(result), result[3].get()) == (True, 4, 6)
    assert done(group([shop.add.s(1), shop.add.s(2)]).delay(10)) == [11, 12]
    assert ResultSet([result[0], result[1]]).join() == [0, 2]


def test_a_member_of_a_group_fails_alone(shop, engine, done):
    result = group(shop.fail.s(), shop.add.s(1))()
    engine.work()
    assert (result.failed(), result[1].get(timeout=0)) == (True, 1)
    with pytest.raises(shop.Outage):
        result.get(timeout=0)


def test_a_chord_is_given_the_list_of_results(shop, engine, done):
    result = chord([shop.add.s(i, i) for i in range(5)])(shop.total.s())
    assert done(result) == 20
    assert result.parent.get() == [0, 2, 4, 6, 8]
    assert done((group(shop.add.s(i) for i in range(3)) | shop.total.s()).delay(1)) == 6


def test_workflows_stand_in_each_other(shop, engine, done):
    inner = chain(shop.add.s(3, 4), shop.multiply.s(10))
    whole = group(shop.add.s(1, 2), inner) | shop.total.s() | shop.multiply.s(2)
    assert done(whole.delay()) == 146
    spread = shop.add.s(1, 1) | group(shop.multiply.s(i) for i in range(3))
    assert done(spread.delay()) == [0, 2, 4]
    twice = spread | group(shop.total.s(), shop.total.s()) | shop.total.s()
    assert done(twice.delay()) == 12
    deep = chord(
        [chord([shop.add.s(1), shop.add.s(2)], shop.total.s())], shop.total.s()
    )
    assert done(deep.delay()) == 3


def test_what_comes_after_a_failure_fails_with_it(shop, engine, log):
    result = (shop.fail.s("x") | shop.write.s() | shop.write.si("y")).delay()
    engine.work()
    with pytest.raises(shop.Outage):
        result.get(timeout=0)
    alone = AsyncResult(result.id)
    assert (alone.state, type(alone.result)) == ("FAILURE", shop.Outage)
    assert log() == []


def test_a_chord_whose_header_fails_tells_its_errback(shop, engine, log):
    header = [shop.write.s("one"), shop.fail.s() | shop.write.si("never")]
    body = shop.total.s().on_error(shop.on_error.s())
    result = chord(header, body).delay()
    engine.work()
    assert sorted(log()) == sorted(["one", f"{result.id}:ChordError"])
    with pytest.raises(ChordError, match="Outage"):
        AsyncResult(result.id).get(timeout=0)


def test_options_of_a_whole_are_those_of_its_parts(shop, engine, log):
    whole = shop.add.s(1) | shop.add.s(1)
    result = whole.apply_async(countdown=60, link=shop.write.s("end"), queue="low")
    assert (result.queue, result.parent.queue) == ("low", "low")
    engine.work()
    assert result.state == states.PENDING
    engine.pass_time(61 * SECOND)
    engine.work()
    assert log() == ["2-end"]


def test_callbacks_of_a_whole_are_those_of_its_ends(shop, engine, log):
    whole = shop.add.s(1) | shop.fail.s()
    whole.link_error(shop.write.si("failed"))
    joined = chord([shop.add.s(1)], shop.total.s())
    joined.link(shop.write.s("joined"))
    for each in (whole, joined):
        each.delay()
    engine.work()
    assert "1-joined" in log()
    assert "failed" in log()


def test_results_are_asked_together(shop, engine, done):
    result = group(shop.add.s(1), shop.add.s(2))()
    assert (result.waiting(), list(result), str(result[0])) == (
        True,
        result.results,
        result[0].id,
    )
    assert repr(result) == f"<GroupResult: {result.id} [{result[0]}, {result[1]}]>"
    seen = {}
    assert done(result) == [1, 2]
    assert len({*result, result[0]}) == 2
    result[0].get(callback=lambda task_id, value: seen.update({task_id: value}))
    assert seen == {result[0].id: 1}
    result.maybe_throw()
    result.forget()
    assert [each.state for each in result] == ["PENDING"] * 2
    later = group(shop.add.s(1).set(countdown=60))()
    later.revoke()
    assert (later[0].state, repr(later[0])) == ("REVOKED", f"<AsyncResult: {later[0]}>")


def test_a_task_may_wait_where_it_says_so(shop, log):
    with in_memory(load_app("sample_celery:app")) as harness, harness.inline():
        assert shop.waits_all_the_same.delay().get() == 3


def test_calls_are_made_in_one_job_by_map_and_in_a_few_by_chunks(shop, engine, done):
    assert done(shop.total.map([[1, 2], [3]]).delay()) == [3, 3]
    assert done(shop.add.starmap([(1, 2), (3, 4)]).delay()) == [3, 7]
    assert done(shop.add.chunks([(0, 0), (1, 1), (2, 2)], 2).delay()) == [[0, 2], [4]]


def test_a_signature_is_a_dict_that_travels(shop, engine, done):
    sig = shop.add.s(20).set(queue="low", countdown=0)
    assert signature(dict(sig)).delay(2).queue == "low"
    assert (sig.clone((1,)).args, sig.args) == ((1, 20), (20,))
    flow = chain(shop.add.s(1), group([shop.add.s(2), shop.add.s(3)]), shop.total.s())
    whole = signature(_travelled(flow))
    assert done(whole.delay(1)) == 9
    assert repr(chain(shop.add.s(1), group(shop.add.s(2), shop.add.si(3)))) == (
        "celery.chain(sample_celery.add(1), "
        "celery.group(sample_celery.add(2), sample_celery.add(3)))"
    )
    assert copy.deepcopy(sig) == pickle.loads(pickle.dumps(sig)) == sig
    assert sig.set(immutable=True).clone((1,)).args == (20,)
    assert repr(shop.add.s(1, y=2)) == "sample_celery.add(1, y=2)"
    assert sig.type is shop.add
    with pytest.raises(NotRegistered):
        _ = signature("no.such").type


def _travelled(sig):
    return json.loads(json.dumps(sig))


# Here and now


def test_everything_is_done_here_where_it_is_to_be_eager(shop, log):
    shop.app.conf.task_always_eager = True
    assert shop.add.delay(1, 2).get() == 3
    assert (shop.add.s(1, 1) | shop.multiply.s(5)).delay().get() == 10
    assert chord([shop.add.s(1), shop.add.s(2)], shop.total.s()).delay().get() == 3
    assert (shop.add.s(1) | group(shop.add.s(1), shop.add.s(2))).delay().get() == [2, 3]
    assert shop.retry_plain.delay(2).get() == 2
    shop.add.apply_async((1,), link=shop.write.s())
    assert log() == ["1"]
    assert (shop.fail.s() | shop.write.si("never")).delay().failed()
    failed = shop.fail.delay()
    assert (failed.state, failed.failed()) == ("FAILURE", True)
    with pytest.raises(shop.Outage):
        failed.get()
    shop.app.conf.task_eager_propagates = True
    with pytest.raises(shop.Outage):
        shop.fail.delay()


def test_a_call_is_made_here_by_apply(shop):
    made = shop.request.apply((1,)).get()
    assert (made["is_eager"], made["called_directly"]) == (True, False)
    assert shop.skip.apply().state == states.IGNORED
    with pytest.raises(shop.Outage):
        shop.fail.apply(throw=True)


# What beat sends


def test_beat_sends_what_is_due(shop, engine, done):
    engine.app.schedules.declare(declared_schedules(engine.app))
    by_name = {each.name: each for each in engine.app.schedules}
    assert by_name["hourly"].timing == "every hour"
    assert by_name["nightly"].timing == "0 3 * * * in UTC"
    engine.pass_time(HOUR)
    Sender(engine.app).round()
    engine.work()
    (tick,) = engine.app.schedules.history("hourly")
    assert engine.app.job(tick.job_id).result(timeout=0) == 3


def test_schedules_are_added_when_the_application_is_configured(shop):
    @shop.app.on_after_configure.connect
    def add_some(sender, **kwargs):
        sender.add_periodic_task(10.0, shop.add.s(1, 2), name="often")
        sender.add_periodic_task(crontab(minute="*/15"), shop.total.s([1]))

    (declared,) = declared_schedules(load_app("sample_celery:app")).values()
    found = {each.name: each.timing.in_words for each in declared}
    assert found["often"] == "every 10 seconds"
    assert "*/15 * * * * in UTC" in found.values()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (schedule(90), "every 1 minute 30 seconds"),
        (timedelta(days=2), "every 2 days"),
        (crontab(), "* * * * * in Europe/Oslo"),
        (crontab(0, "7-9", day_of_week="mon-fri"), "0 7-9 * * mon-fri in Europe/Oslo"),
        (crontab(minute=[0, 30], hour={3}), "0,30 3 * * * in Europe/Oslo"),
        (
            crontab(0, 0, day_of_month="1", month_of_year="*/3"),
            "0 0 1 */3 * in Europe/Oslo",
        ),
        (solar("sunset", 59.9, 10.7), "sunset"),
        (schedule(timedelta(days=1), relative=True), "0 0 * * * in Europe/Oslo"),
    ],
)
def test_what_beat_knows_is_a_timing(shop, said, words):
    shop.app.conf.timezone = "Europe/Oslo"
    shop.app.conf.beat_schedule = {"one": {"task": "other.name", "schedule": said}}
    (one,) = declared_schedules(load_app("sample_celery:app"))["beat_schedule"]
    assert words in one.timing.in_words


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"schedule": 60}, "'task'"),
        ({"task": "other.name", "schedule": "hourly"}, "say seconds, a timedelta"),
        ({"task": "other.name", "schedule": 60, "enabled": True}, "enabled: leave it"),
        (
            {"task": "other.name", "schedule": crontab(day_of_month=1, day_of_week=1)},
            "of the month and",
        ),
        ({"task": "other.name", "schedule": schedule(60, relative=True)}, "relative"),
    ],
)
def test_an_entry_that_cannot_be_is_named(shop, entry, why, caplog):
    shop.app.conf.beat_schedule = {"wrong": entry}
    assert declared_schedules(load_app("sample_celery:app")) == {}
    assert "beat_schedule['wrong']" in caplog.text
    assert why in caplog.text


# Settings


def test_settings_come_from_a_module_an_object_or_a_dict(shop, monkeypatch, tmp_path):
    (tmp_path / "sample_settings.py").write_text(
        "CELERY_TIMEZONE = 'Europe/Oslo'\nOTHER = 1\n"
        "class Of:\n    result_expires = 60\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    app = Celery("t", set_as_current=False)
    app.config_from_object("sample_settings", namespace="CELERY")
    assert (app.conf.timezone, app.conf.get("other")) == ("Europe/Oslo", None)
    app.config_from_object("sample_settings:Of")
    assert app.conf["result_expires"] == 60
    app.config_from_object({"task_default_queue": "mine", "own": 1})
    assert (app.conf.task_default_queue, app.conf.own) == ("mine", 1)
    app.config_from_object("no_such_module", silent=True)
    with pytest.raises(ImportError):
        app.config_from_object("no_such_module")


def test_modules_of_tasks_are_imported_once_a_worker_needs_them(
    sample, monkeypatch, tmp_path
):
    package = tmp_path / "sample_packaged"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "tasks.py").write_text(
        "from headway.shims.celery import shared_task\n"
        "@shared_task(queue='packaged')\ndef job(): ...\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    app = Celery("t")
    app.autodiscover_tasks(["sample_packaged", "json"])
    assert "sample_packaged.tasks.job" not in app.tasks
    loaded = app.loaded_app()
    assert "sample_packaged.tasks.job" in app.tasks
    assert [queue.name for queue in loaded.queues] == ["celery", "packaged"]
    broken = Celery("t", include=["sample_packaged.missing"])
    with pytest.raises(ConfigurationError, match="sample_packaged.missing cannot be"):
        broken.loaded_app()


def test_the_most_urgent_of_rabbitmq_is_in_front(shop, engine, log):
    shop.app.conf.broker_url = "amqp://somewhere"
    shop.write.delay("second")
    shop.write.apply_async(("first",), priority=9)
    engine.work()
    assert log() == ["first", "second"]


def test_a_result_is_kept_as_long_as_is_said(shop, engine):
    shop.app.conf.result_expires = None
    assert shop.app.message("other.name", (), {}, {}).options["result_ttl"].days == 365
    shop.app.conf.result_expires = timedelta(hours=2)
    assert shop.app.message("other.name", (), {}, {}).options["result_ttl"] == 2 * HOUR


def test_redis_is_where_the_environment_says_and_else_the_code(monkeypatch):
    app = Celery("t", broker="redis://code:1/0", config_source={"enable_utc": True})
    monkeypatch.setenv("REDIS_URL", "redis://environment:1/0")
    assert app.conf.redis_url is None
    monkeypatch.delenv("REDIS_URL")
    assert app.conf.redis_url == "redis://code:1/0"
    app.conf.broker_url = "amqp://code"
    assert app.conf.redis_url is None
    assert (repr(app), app.current_task) == ("<Celery t>", None)
    assert not hasattr(app.conf, "__wrapped__")


def test_the_applications_of_django_are_looked_for_tasks(tmp_path):
    (tmp_path / "site_settings.py").write_text("INSTALLED_APPS = ['site_app']\n")
    (tmp_path / "site_app").mkdir()
    (tmp_path / "site_app" / "__init__.py").touch()
    (tmp_path / "site_app" / "tasks.py").write_text(
        "from headway.shims.celery import shared_task\n@shared_task\ndef job(): ...\n"
    )
    code = (
        "from headway.shims.celery import Celery\n"
        "app = Celery('site')\napp.autodiscover_tasks()\n"
        "app.loaded_app()\nprint(*app.tasks)\n"
    )
    for settings, found in (("site_settings", True), ("", False)):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"DJANGO_SETTINGS_MODULE": settings},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert ("site_app.tasks.job" in done.stdout) is found


# What is refused


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"queue": "nowhere"}, "'nowhere' that workers do not know of"),
        ({"routing_key": "x"}, "name a queue"),
        ({"exchange": "x"}, "name a queue"),
        ({"priority": 5}, "stands further up or down"),
        ({"serializer": "pickle"}, "arguments travel as JSON"),
        ({"reply_to": "x"}, "ask the AsyncResult"),
        ({"typo": 1}, r"add\(typo=1\)"),
        ({"queue": None, "priority": 9}, "stands further up or down"),
    ],
)
def test_an_option_without_a_meaning_is_refused(shop, options, why):
    with pytest.raises(ConfigurationError, match=why) as caught:
        shop.add.apply_async((1,), **options)
    assert "docs/how-to/from-celery.md" in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("task_serializer", "pickle"),
        ("accept_content", ["pickle", "json"]),
        ("task_default_rate_limit", "10/m"),
        ("task_default_priority", 5),
        ("task_annotations", {"*": {"rate_limit": "10/s"}}),
        ("beat_scheduler", "django_celery_beat.schedulers:DatabaseScheduler"),
    ],
)
def test_a_setting_that_would_be_missed_is_refused(shop, setting, value):
    with pytest.raises(ConfigurationError, match=setting):
        shop.app.conf.update({setting: value})
    with pytest.raises(ConfigurationError, match=setting):
        setattr(shop.app.conf, setting, value)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("rate_limit", "10/m"),
        ("pydantic", True),
        ("priority", 5),
        ("routing_key", "slow"),
        ("exchange", "slow"),
        ("serializer", "pickle"),
    ],
)
def test_an_option_of_no_call_is_refused_where_the_task_is_defined(shop, option, value):
    words = re.escape(f"odd({option}={value!r}) is not in headway.shims.celery")
    with pytest.raises(ConfigurationError, match=words):
        shop.app.task(name="odd", **{option: value})(lambda: None)
    assert "odd" not in shop.app.tasks


def test_what_a_task_may_say_for_its_calls_is_taken(shop):
    said = {"priority": 9, "serializer": "json", "queue": "low"}
    assert shop.app.task(name="even", **said)(lambda: None).priority == 9


@pytest.mark.parametrize(
    ("ask", "why"),
    [
        (lambda shop: shop.no_throw.apply(throw=True), "have it raised"),
        (lambda shop: shop.add.update_state("other", "X"), None),
        (lambda shop: chord([shop.add.s(1)]).delay(), "chord without a body"),
        (lambda shop: chain(shop.add.s(), shop.add.s()).delay(y=1), "to its calls"),
        (lambda shop: crontab(nowfun=print), "app.conf.timezone"),
        (lambda shop: routed_by(shop, {"*": {"exchange": "x"}}), "name the queue"),
    ],
)
def test_what_has_no_meaning_is_refused_in_words(shop, ask, why):
    with pytest.raises(ConfigurationError, match=why):
        ask(shop)


def routed_by(shop, routes):
    app = Celery("t", task_routes=routes)
    app.send_task("other.name")


def test_a_task_that_does_nothing_is_refused_when_it_runs(shop):
    shop.app.register_task(type("Empty", (celery.Task,), {"name": "empty"}))
    with pytest.raises(NotImplementedError, match="empty: a task needs a run"):
        shop.app.tasks["empty"].apply(throw=True)
    with pytest.raises(NotRegistered, match="'nothing' is not registered"):
        _ = shop.app.tasks["nothing"]


def test_a_retry_in_another_way_is_refused(shop, engine, done):
    with pytest.raises(ConfigurationError, match=r"retry\(queue='low'\)"):
        done(shop.retry_elsewhere.delay())


@pytest.mark.parametrize(
    "look",
    [
        lambda shop: shop.app.worker_main,
        lambda shop: shop.app.control.inspect,
        lambda shop: shop.add.replace,
        lambda shop: shop.add.delay(1).children,
        lambda shop: shop.add.s(1).stamp,
        lambda shop: group(shop.add.s(1)).apply().save,
        lambda shop: group(shop.add.s(1)).apply().as_tuple,
        lambda shop: signals.worker_ready,
        lambda shop: celery.app,
        lambda shop: celery.bootsteps,
        lambda shop: shop.app.nothing,
    ],
)
def test_what_is_lacking_names_itself_and_a_page(shop, look):
    with in_memory(shop.app.headway), pytest.raises(AttributeError) as caught:
        look(shop)
    assert "headway.shims.celery: " in str(caught.value)
    assert "docs/how-to/from-celery.md" in str(caught.value)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("from {}.signals import worker_ready", "use worker_process_init"),
        ("from {}.signals import task_received", "app.headway.subscribe"),
        ("from {}.signals import nothing", "signals has no 'nothing'"),
        ("from {} import bootsteps", "app.headway.middleware"),
        ("from {}.result import result_from_tuple", "has no 'result_from_tuple'"),
        ("from {}.schedules import crontab_parser", "has no 'crontab_parser'"),
        ("from {}.exceptions import BackendError", "has no 'BackendError'"),
        ("from {}.canvas import abstract", "has no 'abstract'"),
        ("from {}.beat import Scheduler", "has no 'Scheduler'"),
        ("from {}.utils import nodesplit", "has no 'nodesplit'"),
        ("from {}.utils.log import ColorFormatter", "has no 'ColorFormatter'"),
        ("from {}.utils.nodenames import gethostname", "has no 'utils.nodenames'"),
        ("from {}.app.task import Task", "import Celery, Task, shared_task"),
        ("import {}.contrib.testing.worker", "headway.testing"),
        ("from {}.worker.request import Request", "app.headway.middleware"),
    ],
)
def test_an_import_of_what_is_lacking_says_what_there_is_instead(line, why):
    with pytest.raises(ImportError) as caught:
        exec(line.format("headway.shims.celery"))
    assert why in str(caught.value)
    assert "docs/how-to/from-celery.md" in str(caught.value)


def test_who_asks_whether_something_is_there_is_told():
    assert not hasattr(signals, "worker_ready")
    assert not hasattr(signals, "__path__")
    assert getattr(celery, "bootsteps", None) is None
    assert find_spec("nowhere") is None


def test_results_of_a_group_are_not_restored():
    with pytest.raises(ConfigurationError, match="keep the ids of its results"):
        GroupResult.restore("one")


def test_there_is_no_application_until_one_is_made():
    with pytest.raises(ConfigurationError, match="make one first"):
        _ = current_app.tasks
