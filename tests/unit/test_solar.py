from __future__ import annotations

import sys
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from astral import Observer, sun

from headway import Solar, solar
from headway.errors import ConfigurationError, MissingExtraError

EVENTS = [
    *("dawn_astronomical", "dawn_nautical", "dawn_civil", "sunrise", "solar_noon"),
    *("sunset", "dusk_civil", "dusk_nautical", "dusk_astronomical"),
]
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def moments(solar: Solar, count: int, after: datetime = NEW_YEAR) -> list[datetime]:
    found = []
    while len(found) < count and (after := solar.next_after(after)):
        found.append(after)
    return found


@pytest.mark.parametrize(
    ("event", "place", "zone", "published"),
    [
        ("sunrise", (59.913, 10.739), "Europe/Oslo", "2026-06-21 03:54"),
        ("sunset", (59.913, 10.739), "Europe/Oslo", "2026-06-21 22:44"),
        ("sunrise", (51.507, -0.128), "Europe/London", "2026-12-21 08:04"),
        ("sunset", (51.507, -0.128), "Europe/London", "2026-12-21 15:53"),
        ("sunrise", (40.713, -74.006), "America/New_York", "2026-03-20 06:59"),
        ("sunset", (-33.869, 151.209), "Australia/Sydney", "2026-12-22 20:05"),
    ],
)
def test_the_sun_is_where_almanacs_have_it(event, place, zone, published):
    expected = datetime.fromisoformat(published).replace(tzinfo=ZoneInfo(zone))
    [found] = moments(Solar(event, *place), 1, expected - timedelta(hours=12))
    assert abs(found - expected) <= timedelta(minutes=2)


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("longitude", [-180, -179.9, -90, 0, 10.7, 100, 179.9, 180])
@pytest.mark.parametrize("latitude", [-45, 0, 45])
def test_an_event_comes_every_day_of_the_year_everywhere(event, latitude, longitude):
    found = moments(Solar(event, latitude, longitude), 366)
    spans = [later - earlier for earlier, later in pairwise(found)]
    assert all(abs(span - timedelta(days=1)) < timedelta(minutes=6) for span in spans)
    assert abs(found[365] - found[0] - timedelta(days=365)) < timedelta(minutes=6)


OF_ASTRAL = {
    "dawn_astronomical": lambda *at: sun.dawn(*at, depression=18),
    "dawn_nautical": lambda *at: sun.dawn(*at, depression=12),
    "dawn_civil": lambda *at: sun.dawn(*at, depression=6),
    "sunrise": sun.sunrise,
    "solar_noon": sun.noon,
    "sunset": sun.sunset,
    "dusk_civil": lambda *at: sun.dusk(*at, depression=6),
    "dusk_nautical": lambda *at: sun.dusk(*at, depression=12),
    "dusk_astronomical": lambda *at: sun.dusk(*at, depression=18),
}


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("place", [(48.2, 16.4), (-34.6, 18.5)])
def test_an_event_is_the_one_that_astral_knows_by_its_date(event, place):
    for month in range(1, 13):
        midnight = datetime(2026, month, 11, tzinfo=UTC)
        [found] = moments(Solar(event, *place), 1, midnight)
        expected = OF_ASTRAL[event](Observer(*place), date(2026, month, 11))
        # astral lets the air bend the light of a sun that is below the horizon as well.
        assert abs(found - expected) < timedelta(minutes=3)


def test_days_without_the_event_are_passed_over():
    longyearbyen = Solar("sunset", 78.2, 15.6)
    dates = [found.date() for found in moments(longyearbyen, 150)]
    assert dates == sorted(set(dates))
    [light, dark] = [
        (earlier, later)
        for earlier, later in pairwise(dates)
        if later - earlier > timedelta(days=2)
    ]
    assert light[0].month == 4  # the sun stays up
    assert light[1].month == 8
    assert dark[0].month == 10  # and down
    assert (dark[1].year, dark[1].month) == (2027, 2)


def test_an_event_that_does_not_come_for_long_is_none(monkeypatch):
    monkeypatch.setattr(solar, "_LONGEST_WAIT", 30)
    assert Solar("sunset", 78.2, 15.6).next_after(NEW_YEAR) is None


def test_the_end_of_the_calendar_is_no_moment():
    last = datetime(9999, 12, 31, 18, tzinfo=UTC)
    assert Solar("sunset", 0, 90).next_after(last) is None


@pytest.mark.parametrize("minutes", [-90, 90])
def test_an_offset_is_before_or_after_the_event(minutes):
    offset = timedelta(minutes=minutes)
    shifted = moments(Solar("sunset", 59.9, 10.7, offset=offset), 20)
    plain = moments(Solar("sunset", 59.9, 10.7), 20, NEW_YEAR - offset)
    assert shifted == [moment + offset for moment in plain]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sunst", 0, 0), "no such event; did you mean 'sunset'"),
        (("moonrise!", 0, 0), "there are dawn_astronomical, dawn_civil"),
        (("sunset", 90.1, 0), "latitude 90.1: expected degrees, -90 to 90"),
        (("sunset", "59", 0), "latitude '59': expected degrees"),
        (("sunset", 0, -181), "longitude -181: expected degrees, -180 to 180"),
        (("sunset", float("nan"), 0), "latitude nan"),
    ],
)
def test_what_is_no_event_or_no_place_is_refused(arguments, said):
    with pytest.raises(ConfigurationError, match=said):
        Solar(*arguments)


@pytest.mark.parametrize("offset", [30, timedelta(days=2)])
def test_an_offset_that_could_not_be_meant_is_refused(offset):
    with pytest.raises(ConfigurationError, match="expected an offset of a day at most"):
        Solar("sunset", 59.9, 10.7, offset=offset)


def test_without_the_extra_it_is_refused_with_what_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "astral.sun", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'headway\[solar\]'"):
        Solar("sunset", 59.9, 10.7)
