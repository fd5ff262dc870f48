from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headway import Retry, exponential, fixed
from headway.errors import ConfigurationError
from headway.retry import LONGEST_RETRY_AFTER, retry_after

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Told(Exception):
    def __init__(self, asked: object) -> None:
        super().__init__()
        self.retry_after = asked


class Answered(Exception):
    def __init__(self, header: object) -> None:
        super().__init__()
        self.response = SimpleNamespace(headers={"Retry-After": header})


@given(st.integers(1, 2000), st.floats(0, 1))
def test_full_jitter_is_anything_from_nothing_to_the_computed_wait(attempt, share):
    backoff = exponential(base=3, first=timedelta(seconds=2), maximum=HOUR)
    wait = backoff.wait(attempt, uniform=lambda low, high: low + share * (high - low))
    longest = min(2 * 3.0 ** min(attempt - 1, 50), 3600)
    assert wait == timedelta(seconds=share * longest)


def test_real_jitter_spreads_over_the_whole_range():
    waits = [exponential(base=2).wait(4).total_seconds() for _ in range(2000)]
    assert all(0 <= wait <= 8 for wait in waits)
    assert min(waits) < 1
    assert max(waits) > 7


def test_without_jitter_each_wait_is_exact_up_to_the_maximum():
    backoff = exponential(jitter=False, maximum=timedelta(seconds=5))
    waits = [backoff.wait(attempt).total_seconds() for attempt in range(1, 6)]
    assert waits == [1, 2, 4, 5, 5]


def test_fixed_waits_the_same_each_time():
    assert {fixed(HOUR).wait(attempt) for attempt in (1, 2, 99)} == {HOUR}


@pytest.mark.parametrize(
    "make",
    [
        lambda: exponential(base=0.5),
        lambda: exponential(first=timedelta(-1)),
        lambda: exponential(first=timedelta(hours=2)),
        lambda: fixed(timedelta(seconds=-1)),
        lambda: fixed(5),
        lambda: exponential(first=1),
        lambda: exponential(maximum=60),
        lambda: Retry(attempts=0),
        lambda: Retry(attempts=-1),
        lambda: Retry(attempts=2.5),
        lambda: Retry(attempts="3"),
        lambda: Retry(attempts=True),
        lambda: Retry(backoff=2),
        lambda: Retry(backoff=timedelta(seconds=2)),
        lambda: Retry(on=TimeoutError),
        lambda: Retry(on=[TimeoutError]),
        lambda: Retry(on=(TimeoutError(),)),
        lambda: Retry(never=(int,)),
    ],
)
def test_a_rule_that_could_not_have_been_meant_is_refused(make):
    with pytest.raises(ConfigurationError, match="expected"):
        make()


def test_attempts_count_the_first_run():
    rule = Retry(attempts=3, backoff=fixed(HOUR))
    delays = [rule.delay_after(attempt, OSError(), now=NOW) for attempt in (1, 2, 3, 4)]
    assert delays == [HOUR, HOUR, None, None]


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (ConnectionResetError(), True),
        (OSError(), True),
        (FileNotFoundError(), False),
        (ValueError(), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_only_what_on_names_is_retried_and_never_wins(error, again):
    rule = Retry(on=(OSError,), never=(FileNotFoundError,))
    assert (rule.delay_after(1, error, now=NOW) is not None) is again


def test_exceptions_may_be_named_by_text():
    rule = Retry(on=("builtins.OSError",), never=(f"{__name__}.Told",))
    assert rule.delay_after(1, FileNotFoundError(), now=NOW) is not None
    assert rule.delay_after(1, Told(1), now=NOW) is None


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        (30, 30),
        (2.5, 2.5),
        (0, 0),
        (-5, 0),
        (10**400, 86_400),
        (-(10**400), 0),
        (1e300, 86_400),
        (-1e300, 0),
        (timedelta(minutes=1), 60),
        (timedelta.max, 86_400),
        (NOW + HOUR, 3600),
        ((NOW + HOUR).replace(tzinfo=None), 3600),
        (NOW - HOUR, 0),
        ("120", 120),
        (" 7 ", 7),
        ("9" * 400, 86_400),
        ("Sun, 22 Nov 2026 12:01:00 GMT", 60),
        ("Sun, 22 Nov 2026 12:01:00 -0000", 60),
        ("Sun, 22 Nov 2026 13:02:00 +0100", 120),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0),
    ],
)
@pytest.mark.parametrize("carrier", [Told, Answered])
def test_an_exception_may_say_itself_when_to_come_back(carrier, asked, seconds):
    assert retry_after(carrier(asked), now=NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "asked",
    [None, "", "soon", "1.5", "-3", float("nan"), float("inf"), object(), [], b"7"],
)
@pytest.mark.parametrize("carrier", [Told, Answered])
def test_nonsense_in_its_place_changes_nothing(carrier, asked):
    assert retry_after(carrier(asked), now=NOW) is None
    rule = Retry(backoff=fixed(HOUR))
    assert rule.delay_after(1, carrier(asked), now=NOW) == HOUR


@example("9" * 5000)
@example("1 Jan 2026 00:00:00 +99999999")
@example("Sun, 22 Nov 99999 12:01:00 GMT")
@given(st.text() | st.from_regex(r"\w{3}, \d+ (Nov|Jan) \d+ \d+:\d+:\d+ [+-]?\w+"))
def test_no_header_whatever_raises(header):
    wait = retry_after(Answered(header), now=NOW)
    assert wait is None or timedelta(0) <= wait <= LONGEST_RETRY_AFTER


def test_an_exception_without_either_is_left_to_the_rule():
    assert retry_after(ValueError(), now=NOW) is None


RULES = st.builds(
    Retry,
    attempts=st.integers(1, 100),
    backoff=st.builds(
        exponential,
        base=st.floats(1, 100),
        first=st.timedeltas(timedelta(0), timedelta(minutes=1)),
        jitter=st.booleans(),
    ),
    on=st.sampled_from([(Exception,), (OSError, KeyError), ()]),
    never=st.sampled_from([(), (ValueError,), ("a.B",)]),
)


@given(RULES, st.integers(1, 100))
def test_a_rule_that_travelled_decides_the_same(rule, attempt):
    back = Retry.from_wire(json.loads(json.dumps(rule.to_wire())))
    assert back.to_wire() == rule.to_wire()
    for error in (OSError(), KeyError(), ValueError(), FileNotFoundError()):
        before = rule.delay_after(attempt, error, now=NOW)
        after = back.delay_after(attempt, error, now=NOW)
        assert (before is None) is (after is None)
