from __future__ import annotations

import random
from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from headway import Cron
from headway.errors import ConfigurationError
from headway.timing import latest
from tests.unit.cron_oracle import DAY, HOUR, Line, Window, changes, first_after, steps

#: The years whose changes of clocks are judged; the rule of most zones comes every one.
YEARS = {
    "Europe/Oslo": (2024, 2029),
    "America/New_York": (2024, 2029),
    "Australia/Lord_Howe": (2024, 2029),  # half an hour
    "Asia/Kolkata": (1941, 1946),  # not since
    "Africa/Cairo": (2024, 2027),  # at midnight
    "America/Havana": (2024, 2027),  # at midnight
    "Asia/Beirut": (2024, 2027),  # at midnight
    "Europe/Dublin": (2024, 2027),  # the offset of winter is the negative one
    "Africa/Casablanca": (2024, 2027),  # back for Ramadan
    "Pacific/Apia": (2011, 2013),  # without 30 December 2011
    "Antarctica/Troll": (2024, 2026),  # two hours
    "Pacific/Chatham": (2024, 2026),  # +12:45
    "Asia/Kathmandu": (1985, 1987),  # a quarter of an hour
    "America/St_Johns": (2008, 2011),  # one minute past midnight
    "America/Caracas": (2007, 2017),  # half an hour back, and forward years later
    "Europe/Lisbon": (1992, 1997),  # an hour of its own in between
}
LINES_PER_WINDOW = 36
CALENDAR_CASES = 2500
FIVE_MINUTES = timedelta(minutes=5)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@cache
def windows(zone: str) -> list[Window]:
    first, end = (utc(year, 1, 1) for year in YEARS[zone])
    quiet = first + 100 * DAY
    found = [*changes(zone, first, end), quiet]
    return [Window(zone, at - 14 * HOUR, at + 14 * HOUR) for at in found]


KNOWN = [
    *("* * * * *", "*/5 * * * *", "*/7 * * * *", "0 * * * *", "30 * * * *"),
    *("15,45 * * * *", "0 0-23 * * *", "0 */1 * * *", "0 */2 * * *", "59 1-3 * * *"),
    *("0 0 * * *", "30 0 * * *", "0 2 * * *", "30 2 * * *", "30 1 * * *", "0 3 * * *"),
    *("* 2 * * *", "*/10 1-2 * * *", "0 0 * * sun", "30 2 L * *", "30 2 * * L0"),
    *("* * * * * *", "30 * * * * *", "30 30 2 * * *", "*/20 0 * * * *", "0 0 0 * * *"),
]


def some_line(dice: random.Random) -> str:
    """Return a line whose days come often: the hours are what is judged."""
    minutes = ["0", "30", "59", "*/15", "5/20", "10-20", "50-10", "1,2,29", "*"]
    hours = ["*", "*", "0", "1", "2", "3", "0-3", "22-2", "*/2", "1/3", "*,3", "23"]
    days = ["*", "*", "*", "*", "1-31/2", "L", "25-5"]
    weekdays = ["*", "*", "*", "sun", "sat-mon", "0,7"]
    line = [dice.choice(minutes), dice.choice(hours), dice.choice(days), "*"]
    line.append("*" if line[2] == "L" else dice.choice(weekdays))
    if dice.random() < 0.15:
        line.insert(0, dice.choice(["0", "*/30", "7", "59", "10-12"]))
    return " ".join(line)


def lines_for(window: Window) -> list[str]:
    dice = random.Random(f"{window.zone} {window.begin}")
    known = dice.sample(KNOWN, k=LINES_PER_WINDOW // 2)
    return known + [some_line(dice) for _ in range(LINES_PER_WINDOW // 2)]


@pytest.mark.parametrize("zone", YEARS)
def test_a_line_runs_as_the_oracle_says_when_clocks_change(zone):
    for window in windows(zone):
        for line in lines_for(window):
            check_round_a_change(window, line)


def check_round_a_change(window: Window, line: str) -> None:
    dice = random.Random(f"{window.zone} {window.begin} {line}")
    due = window.moments(Line(line))
    cron = Cron(line, zone=window.zone)
    middle = window.begin + (window.end - window.begin) / 2
    moment = middle + dice.uniform(-5, 4) * HOUR
    # A clock that is put five minutes back or forward asks the same of the same rule.
    asked = [moment - FIVE_MINUTES, moment, moment + FIVE_MINUTES]
    asked += dice.sample(due, k=min(2, len(due)))
    for now in asked:
        for expected in upcoming(due, now, 1):
            assert cron.next_after(now) == expected, (cron, now)
    now = moment
    for expected in upcoming(due, moment, 10):
        now = cron.next_after(now)
        assert now == expected, (cron, moment)
    if not upcoming(due, moment, 1):
        assert cron.next_after(moment) >= window.end, (cron, moment)
    past = [before for before in due if window.begin < before <= moment]
    expected = past[-1] if past else None
    assert latest(cron, until=moment, since=window.begin) == expected, (cron, moment)


def upcoming(due: list[datetime], moment: datetime, count: int) -> list[datetime]:
    return due[(index := bisect_right(due, moment)) : index + count]


DATES = ["*", "1", "29", "30", "31", "L", "1,15", "28-2", "*/10", "1-31/2", "15/5"]
MONTHS = ["*", "*", "*", "2", "feb", "nov-feb", "*/3", "jan,jul", "4/5", "2-9/3"]
NAMED_DAYS = ["*", "mon-fri", "0", "7", "5-7", "sat-mon", "1-7/2", "1/2"]
SOME_DAYS = [*NAMED_DAYS, "*/2", "5#3", "mon#1", "tue#5", "7#2", "L5", "L0", "1#1,5#4"]


def some_date_line(dice: random.Random) -> str:
    date, month = dice.choice(DATES), dice.choice(MONTHS)
    if date == "*":
        weekday = dice.choice(SOME_DAYS)
    else:
        weekday = "*" if date == "*/10" else dice.choice(NAMED_DAYS)
    clock = dice.choice(["0 0", "59 23", "0 3", "*/20 12-13", "30 6,18", "59 59 23"])
    return f"{clock} {date} {month} {weekday}"


def some_moment(dice: random.Random) -> datetime:
    year = dice.choice([1999, 2000, 2023, 2024, 2026, 2028, 2096, 2099, 2100])
    at = dice.choice([utc(year, 12, 31, 23, 59, 59), utc(year, 2, 28, 23, 59), None])
    return at or utc(year, 1, 1) + dice.random() * 364 * DAY


@pytest.mark.parametrize("part", range(5))
def test_a_line_names_the_dates_that_the_oracle_finds(part):
    for number in range(part, CALENDAR_CASES, 5):
        dice = random.Random(number)
        line, moment = some_date_line(dice), some_moment(dice)
        expected = first_after(Line(line), moment)
        if expected is None:
            with pytest.raises(ConfigurationError, match="never comes"):
                Cron(line)
            continue
        for _ in range(3):
            assert Cron(line).next_after(moment) == expected, (line, moment)
            moment = expected
            expected = first_after(Line(line), moment)


def test_the_oracle_was_asked_of_more_than_five_thousand_cases():
    cases = {
        (line, window.zone, window.begin)
        for zone in YEARS
        for window in windows(zone)
        for line in lines_for(window)
    }
    assert len(cases) + CALENDAR_CASES >= 5000


REFUSED = {
    "": "expected five fields",
    "x": "expected five fields",
    "* * * *": "expected five fields",
    "0 0 0 1 1 * 2026": "expected five fields",
    "@reboot": "expected five fields",
    "61 * * * *": "minute '61': expected 0-59",
    "0 24 * * *": "hour '24': expected 0-23",
    "0 0 0 * *": "day of the month '0': expected 1-31",
    "0 0 * 13 *": "month '13': expected 1-12 or a name as feb",
    "0 0 * * 8": "day of the week '8': expected 0-7 or a name as mon",
    "60 0 0 * * *": "second '60'",
    "*/0 * * * *": r"minute '\*/0'",
    "*/x * * * *": r"minute '\*/x'",
    "-5 * * * *": "minute '-5'",
    "1,,2 * * * *": "minute ''",
    "*-5 * * * *": r"minute '\*-5'",
    "R * * * *": "minute 'r'",
    "H(0-9) * * * *": "minute",
    "0 0 15W * *": "day of the month '15w'",
    "0 0 * * 5L": "day of the week '5l': .* L5 for the last one",
    "0 0 * * 5#6": "day of the week '5#6'",
    "0 5-5 * * *": "hour '5-5': it begins where it ends; write 5",
    "0 0 * * 7-0": "it begins where it ends; write 7",
    "0 22-2/2 * * *": "hour '22-2/2': .* write a list, as 22,0,2",
    "0 0 1 * 5#3": "one of the two must be",
    "0 0 1 * L5": "one of the two must be",
    "0 0 */2 * 1": r"crons differ .* write 1-31/2 instead",
    "0 0 31 2 *": "it never comes.* write L",
    "0 0 30 2 *": "it never comes",
    "0 0 31 apr,jun *": "it never comes",
}


@pytest.mark.parametrize("line", REFUSED)
def test_a_line_that_would_not_do_what_it_says_is_refused(line):
    with pytest.raises(ConfigurationError, match=REFUSED[line]) as refused:
        Cron(line)
    assert str(refused.value).startswith(f"Cron({line!r}, zone='UTC'): ")


@pytest.mark.parametrize("line", [None, 5, ["0 3 * * *"]])
def test_what_is_no_text_is_refused(line):
    with pytest.raises(ConfigurationError, match="expected five fields"):
        Cron(line)


@pytest.mark.parametrize(
    ("zone", "way_out"),
    [
        ("Europe/Olso", "did you mean 'Europe/Oslo'"),
        ("", "expected a name as 'Europe/Oslo'"),
        ("../etc/passwd", "no such zone as '../etc/passwd'"),
        ("Europe", "no such zone as 'Europe'"),
        (2, "expected a name as 'Europe/Oslo'"),
        ("localtime", "each host has its own 'localtime'"),
    ],
)
def test_an_unknown_zone_is_refused(zone, way_out):
    with pytest.raises(ConfigurationError, match=way_out):
        Cron("0 3 * * *", zone=zone)


@pytest.mark.parametrize(
    ("alias", "line"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@Weekly", "0 0 * * sun"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
    ],
)
def test_an_alias_is_the_line_it_stands_for(alias, line):
    aliased, plain = Cron(alias, zone="Europe/Oslo"), Cron(line, zone="Europe/Oslo")
    moment = utc(2026, 10, 24, 12)
    for _ in range(20):
        following = plain.next_after(moment)
        assert aliased.next_after(moment) == following
        moment = following


def test_the_end_of_the_calendar_is_no_moment():
    assert Cron("0 3 * * *").next_after(utc(9999, 12, 31, 12)) is None
    assert Cron("0 * * * *", "Asia/Tokyo").next_after(utc(9999, 12, 31, 16)) is None


@pytest.mark.parametrize("step", [FIVE_MINUTES, -FIVE_MINUTES], ids=["on", "back"])
@pytest.mark.parametrize("zone", ["Europe/Oslo", "America/New_York"])
@pytest.mark.parametrize("line", ["*/3 * * * *", "30 2 * * *", "0 * * * *"])
def test_each_moment_is_sent_once_by_a_clock_that_is_put(line, zone, step):
    """By a cursor that goes from moment to moment, whatever the clock shows."""
    for window in windows(zone):
        middle = window.begin + (window.end - window.begin) / 2
        until_put = [*steps(window.begin, middle, FIVE_MINUTES / 4)]
        put = [*steps(middle + step, window.end, FIVE_MINUTES / 4)]
        cron, sent, cursor = Cron(line, zone=zone), [], window.begin
        for clock in until_put + put:
            while (following := cron.next_after(cursor)) and following <= clock:
                sent.append(following)
                cursor = following
        due = window.moments(Line(line))
        assert sent == [d for d in due if window.begin < d <= put[-1]]
