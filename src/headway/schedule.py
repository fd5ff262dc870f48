"""When something runs by itself: pure rules, asked by the scheduler."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterBadCronError, CroniterBadDateError, croniter

from headway.errors import ConfigurationError
from headway.message import Message
from headway.options import JOB_ID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Timing(Protocol):
    """A rule that names moments."""

    def latest(self, now: datetime) -> datetime:
        """Return the last moment of the rule that is not after `now`; both aware."""
        ...


@dataclass(frozen=True, slots=True)
class Cron:
    """Five fields of cron, read in a zone."""

    line: str
    zone: str = "UTC"

    def __post_init__(self) -> None:
        """Refuse a line or a zone that means nothing.

        Raises:
            ConfigurationError: naming it.
        """
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ConfigurationError(
                f"Cron({self.line!r}, zone={self.zone!r}): no such zone; expected a "
                "name as Europe/Oslo"
            ) from error
        try:
            self.latest(datetime.now(UTC))
        except (CroniterBadCronError, CroniterBadDateError, ValueError) as error:
            raise ConfigurationError(
                f"Cron({self.line!r}): {error}; expected five fields, as '0 3 * * *'"
            ) from error

    def latest(self, now: datetime) -> datetime:
        """Return the last moment of the line that is not after `now`."""
        local = now.astimezone(ZoneInfo(self.zone))
        # croniter's "previous" is strict, and a moment counts as its own latest.
        moment = croniter(self.line, local + timedelta(microseconds=1))
        previous: datetime = moment.get_prev(datetime)
        return previous.astimezone(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    """A fixed interval, counted from 1970 in UTC, so that a restart shifts nothing."""

    days: float = 0
    hours: float = 0
    minutes: float = 0
    seconds: float = 0

    def __post_init__(self) -> None:
        """Refuse an interval that no scheduler could keep.

        Raises:
            ConfigurationError: it is shorter than a second.
        """
        if self.interval < timedelta(seconds=1):
            raise ConfigurationError(f"{self}: expected a second or more")

    @property
    def interval(self) -> timedelta:
        """Return the time from one moment to the next."""
        return timedelta(
            days=self.days,
            hours=self.hours,
            minutes=self.minutes,
            seconds=self.seconds,
        )

    def latest(self, now: datetime) -> datetime:
        """Return the last whole interval that is not after `now`."""
        return now - (now - _EPOCH) % self.interval


@dataclass(frozen=True, slots=True)
class Schedule:
    """A message that is sent by itself at the moments of a timing."""

    name: str
    timing: Timing
    message: Message[Any]

    def __post_init__(self) -> None:
        """Refuse a name that could not be part of a job's id, and options of no use.

        Raises:
            ConfigurationError: naming it.
        """
        if not JOB_ID.fullmatch(self.name):
            raise ConfigurationError(
                f"Schedule({self.name!r}): expected letters, digits, _ and - only"
            )
        # The jobs of a schedule bear an id and a unique key made from their tick.
        options = self.message.options
        if options.get("unique") or "job_id" in options:
            raise ConfigurationError(
                f"Schedule({self.name!r}): each tick has a job_id and a unique key of "
                f"its own; send {self.message.task} without: "
                ".using(unique=False).message(...), and no job_id"
            )

    def job_id(self, tick: datetime) -> str:
        """Return the id of the one job of a tick, whoever sends it."""
        return f"cron-{self.name}-{tick.astimezone(UTC):%Y%m%dT%H%M%SZ}"
