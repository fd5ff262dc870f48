"""Lines of cron as rq-scheduler reads them, by the package `crontab`."""

from __future__ import annotations

from headway.errors import ConfigurationError

#: Without seconds and year, with a year, with both.
_PLAIN, _YEAR, _WHOLE = 5, 6, 7


def our_line(line: str) -> str:
    """Return the line that means the same for `Cron`.

    Raises:
        ConfigurationError: there is none.
    """
    words = line.split()
    if len(words) in (_YEAR, _WHOLE):
        *words, year = words
        if year != "*":
            raise ConfigurationError(
                f"{line!r} is for the year {year}: give the schedule a start and an end"
            )
    refuse_both_days(line, words)
    return " ".join(words)


def refuse_both_days(line: str, words: list[str]) -> None:
    """Refuse a line for days that are both, which `Cron` would run on either.

    Raises:
        ConfigurationError: it is one.
    """
    if len(words) < _PLAIN:
        return  # @daily, or no line at all
    day, weekday = words[-3], words[-1]
    if {day, weekday}.isdisjoint("*?"):
        raise ConfigurationError(
            f"{line!r} is for days that are {day} of the month and {weekday} of the "
            "week at once; a line of cron here is for either: leave one to the task"
        )
