from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from headway import App, Message, Queue, Retry, Unique
from headway.errors import ArgumentError
from headway.message import Envelope, seal

NOW = datetime(2026, 11, 22, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
app = App(queues=[Queue("default"), Queue("low")], tasks="tasks", engine="memory")


def work(number: int, text: str = "x") -> None:
    return None


task = app.task(retry=Retry(attempts=3))(work)


def sealed(message: Message[None]) -> Envelope:
    return seal(message, queue="default", timeout=MINUTE, now=NOW)


def test_a_message_is_a_call_written_down_and_nothing_is_sent():
    message = task.message(7, text="y")
    assert (message.task, message.arguments.args) == (f"{__name__}.work", (7,))
    assert message.arguments.kwargs == {"text": "y"}


def test_a_wrong_call_is_refused_when_it_is_written_down():
    with pytest.raises(ArgumentError, match="work"):
        task.message("seven")
    with pytest.raises(ArgumentError, match="missing a required argument"):
        task.message()


def test_what_is_left_open_is_settled():
    envelope = sealed(task.message(7))
    assert (envelope.queue, envelope.timeout, envelope.due) == ("default", MINUTE, None)
    assert envelope.description == f"{__name__}.work(7)"
    assert envelope.retries
    assert envelope.retry is None  # the task's own rule stays in code


def test_ids_differ_unless_one_is_given():
    assert sealed(task.message(7)).id != sealed(task.message(7)).id
    assert sealed(task.using(job_id="mine").message(7)).id == "mine"


def test_delay_and_expires_count_from_now_and_from_the_due_time():
    delayed = task.using(delay=MINUTE, expires=MINUTE)
    envelope = sealed(delayed.message(7))
    assert envelope.due == NOW + MINUTE
    assert envelope.expires_at == NOW + 2 * MINUTE


def test_a_time_that_is_past_is_now():
    assert sealed(task.using(at=NOW - MINUTE).message(7)).due is None
    assert sealed(task.using(delay=timedelta(0)).message(7)).due is None


def test_a_rule_travels_only_where_the_call_has_another():
    other = sealed(task.using(retry=Retry(attempts=9)).message(7))
    assert (other.retry, other.retries) == (Retry(attempts=9), True)
    none = sealed(task.using(retry=None).message(7))
    assert (none.retry, none.retries) == (None, False)


def _key(unique, *args, **kwargs):
    envelope = sealed(task.using(unique=unique).message(*args, **kwargs))
    return envelope.unique.key if envelope.unique else None


def test_a_unique_key_is_the_same_for_the_same_call_however_it_is_spelled():
    keys = {
        _key(True, 7, "y"),
        _key(True, 7, text="y"),
        _key(True, text="y", number=7),
    }
    assert len(keys) == 1
    assert keys.isdisjoint({_key(True, 8, "y"), _key(True, 7, "z"), _key(True, 7)})


def test_a_unique_key_outlasts_the_wait_of_a_delayed_job():
    wait, ttl = timedelta(hours=2), timedelta(hours=1)
    later = task.using(unique=Unique(ttl=ttl), delay=wait)
    assert sealed(later.message(1)).unique.ttl == wait + ttl
    window = task.using(unique=Unique(ttl=ttl, until="ttl"), delay=wait)
    assert sealed(window.message(1)).unique.ttl == ttl


def test_a_unique_key_may_be_given():
    assert _key("k", 7) == "k"
    assert _key(Unique(key="k"), 7) == "k"
    assert _key(Unique(), 7) == _key(True, 7)
    assert _key(False, 7) is None


def test_a_long_argument_is_cut_in_the_description():
    assert len(sealed(task.message(7, "a" * 9999)).description) < 200
