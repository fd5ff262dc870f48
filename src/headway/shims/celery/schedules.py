"""When beat sends something, as Celery spells it, and as a timing of ours."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from headway.cron import Cron
from headway.migrate.crontab_line import refuse_both_days
from headway.shims.celery.lacking import nothing_else, refuse
from headway.solar import Solar
from headway.timing import Every, Timing

_DAY = timedelta(days=1)
Field = str | int | Iterable[int]


class schedule:
    """Each time that so much has passed."""

    def __init__(
        self,
        run_every: float | timedelta | None = None,
        relative: bool = False,
        **ignored: Any,
    ) -> None:
        if not isinstance(run_every, timedelta):
            run_every = timedelta(seconds=run_every or 0)
        self.run_every, self.relative = run_every, relative

    def timing(self, zone: str) -> Timing:
        """Return the timing.

        Raises:
            ConfigurationError: it is none that can be kept.
        """
        if self.relative:
            if self.run_every == _DAY:
                return Cron("0 0 * * *", zone=zone)
            refuse("a relative schedule", "say a crontab, or leave relative out")
        return Every(seconds=self.run_every.total_seconds())


class crontab:
    """Times of the day, in the zone of the application."""

    def __init__(
        self,
        minute: Field = "*",
        hour: Field = "*",
        day_of_week: Field = "*",
        day_of_month: Field = "*",
        month_of_year: Field = "*",
        **kwargs: Any,
    ) -> None:
        if kwargs.get("nowfun") is not None:
            refuse("crontab(nowfun=...)", "its times are those of app.conf.timezone")
        fields = (minute, hour, day_of_month, month_of_year, day_of_week)
        self._words = [_word(field) for field in fields]

    def timing(self, zone: str) -> Timing:
        """Return the timing.

        Raises:
            ConfigurationError: it never comes, or says both kinds of days.
        """
        line = " ".join(self._words)
        refuse_both_days(line, self._words)
        return Cron(line, zone=zone)

    def __repr__(self) -> str:
        return f"<crontab: {' '.join(self._words)} (m/h/dM/MY/d)>"


class solar:
    """An event of the sun at a place."""

    def __init__(self, event: str, lat: float, lon: float, **ignored: Any) -> None:
        self.event, self.lat, self.lon = event, lat, lon

    def timing(self, zone: str) -> Timing:
        """Return the timing.

        Raises:
            ConfigurationError: there is no such event, or no such place.
        """
        return Solar(self.event, self.lat, self.lon)


def timing_of(said: Any, zone: str, *, relative: bool = False) -> Timing:
    """Return the timing of what an entry of beat says.

    Raises:
        ConfigurationError: it is none.
    """
    if isinstance(said, int | float | timedelta):
        said = schedule(said, relative)
    if not isinstance(said, schedule | crontab | solar):
        refuse(f"the schedule {said!r}", "say seconds, a timedelta, crontab or solar")
    return said.timing(zone)


def _word(field: Field) -> str:
    if isinstance(field, str | int):
        return "".join(str(field).split()) or "*"
    return ",".join(map(str, sorted(field)))


__getattr__ = nothing_else("schedules")
