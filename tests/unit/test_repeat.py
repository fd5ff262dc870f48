from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import rq

from headway import Repeat
from headway.errors import ConfigurationError
from headway.options import check_options
from headway.wire.repeating import repeated

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize("times", [0, -1, True, 2.0, "3", None, 10**10])
def test_a_number_of_times_that_is_none_is_refused(times):
    with pytest.raises(ConfigurationError, match=r"times=.*expected a whole number"):
        Repeat(times, MINUTE)


@pytest.mark.parametrize(
    ("every", "way_out"),
    [
        (60, r"every=timedelta\(seconds=60\)"),
        (0.5, r"every=timedelta\(seconds=0\.5\)"),
        ("60", r"every=timedelta\(minutes=5\)"),
        (timedelta(0), "a positive timedelta"),
        (-MINUTE, "a positive timedelta"),
        (timedelta.max, "at most 3653 days"),
    ],
)
def test_a_time_that_is_none_is_refused_with_the_line_to_write(every, way_out):
    with pytest.raises(ConfigurationError, match=f"every=.*{way_out}"):
        Repeat(3, every)


def test_a_wrong_until_failure_is_refused():
    with pytest.raises(ConfigurationError, match="until_failure=1"):
        Repeat(3, MINUTE, until_failure=1)


@pytest.mark.parametrize("value", [3, rq.Repeat(times=3, interval=60)])
def test_what_is_no_rule_of_ours_is_refused_as_an_option(value):
    with pytest.raises(ConfigurationError, match=r"expected Repeat\(times=3, every="):
        check_options("a.task", {"repeat": value}, ["default"])


def test_a_rule_is_a_value():
    assert Repeat(3, MINUTE) == Repeat(times=3, every=MINUTE, until_failure=False)
    assert check_options("a.task", {"repeat": None, "expires": MINUTE}, []) is not None


def test_an_expiry_of_one_time_is_refused():
    at = datetime(2030, 1, 1, tzinfo=UTC)
    with pytest.raises(ConfigurationError, match="one time cannot hold for all runs"):
        check_options("a.task", {"repeat": Repeat(3, MINUTE), "expires": at}, [])


@pytest.mark.parametrize(
    "written",
    [
        None,
        [],
        "60",
        {},
        {"every": "60"},
        {"every": True},
        {"every": 0},
        {"every": float("nan")},
        {"every": 1e300},
    ],
)
def test_a_rule_that_cannot_be_read_is_none(written):
    assert repeated({"repeat": written}) is None


def test_what_is_odd_beside_a_rule_is_left_out():
    found = repeated({"repeat": {"every": 2, "expires": -1, "until_failure": "yes"}})
    assert found is not None
    assert (found.every, found.expires, found.until_failure) == (2, None, False)
