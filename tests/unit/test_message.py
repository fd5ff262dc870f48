from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from headway import App, Message, Queue, Retry, Unique
from headway.errors import ArgumentError
from headway.message import Envelope, Terms, new_ids, seal, settle

NOW = datetime(2026, 11, 22, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
app = App(queues=[Queue("default"), Queue("low")], tasks="tasks", engine="memory")


def work(number: int, text: str = "x") -> None:
    return None


task = app.task(retry=Retry(attempts=3))(work)


def settled(message: Message[None]) -> Terms:
    return settle(message, queue="default", timeout=MINUTE, now=NOW)


def sealed(message: Message[None]) -> Envelope:
    [new_id] = new_ids(1)
    return seal(message, settled(message), new_id)


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
    terms = envelope.terms
    assert (terms.queue, terms.timeout, terms.due) == ("default", MINUTE, None)
    assert envelope.description == f"{__name__}.work(7)"
    assert terms.retries
    assert terms.retry is None  # the task's own rule stays in code


def test_ids_differ_unless_one_is_given():
    assert sealed(task.message(7)).id != sealed(task.message(7)).id
    assert sealed(task.using(job_id="mine").message(7)).id == "mine"


def test_new_ids_are_version_4_of_the_random_kind():
    ids = new_ids(1000)
    assert len(set(ids)) == 1000
    for new_id in ids:
        read = uuid.UUID(new_id)
        assert (str(read), read.version, read.variant) == (new_id, 4, uuid.RFC_4122)


def test_delay_and_expires_count_from_now_and_from_the_due_time():
    delayed = task.using(delay=MINUTE, expires=MINUTE)
    terms = settled(delayed.message(7))
    assert terms.due == NOW + MINUTE
    assert terms.expires_at == NOW + 2 * MINUTE


def test_a_time_that_is_past_is_now():
    assert settled(task.using(at=NOW - MINUTE).message(7)).due is None
    assert settled(task.using(delay=timedelta(0)).message(7)).due is None


def test_a_rule_travels_only_where_the_call_has_another():
    other = settled(task.using(retry=Retry(attempts=9)).message(7))
    assert (other.retry, other.retries) == (Retry(attempts=9), True)
    none = settled(task.using(retry=None).message(7))
    assert (none.retry, none.retries) == (None, False)


def _key(unique, *args, **kwargs):
    terms = settled(task.using(unique=unique).message(*args, **kwargs))
    return terms.unique.key if terms.unique else None


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
    assert settled(later.message(1)).unique.ttl == wait + ttl
    window = task.using(unique=Unique(ttl=ttl, until="ttl"), delay=wait)
    assert settled(window.message(1)).unique.ttl == ttl


def test_a_unique_key_may_be_given():
    assert _key("k", 7) == "k"
    assert _key(Unique(key="k"), 7) == "k"
    assert _key(Unique(), 7) == _key(True, 7)
    assert _key(False, 7) is None


def test_a_long_argument_is_cut_in_the_description():
    assert len(sealed(task.message(7, "a" * 9999)).description) < 200
