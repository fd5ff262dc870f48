"""When a failed job runs again: a pure rule, the same on every engine."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TypedDict

from headway.errors import ConfigurationError

#: No server's Retry-After may park a job for longer.
LONGEST_RETRY_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """The wait before the next attempt, made by `exponential` or `fixed`."""

    first: timedelta
    #: Each wait is this many times the one before it.
    base: float
    maximum: timedelta
    #: Full jitter: wait anything from nothing to the computed time.
    jitter: bool

    def wait(
        self, attempt: int, *, uniform: Callable[[float, float], float] = random.uniform
    ) -> timedelta:
        """Return the wait after the attempt of that number, counted from 1."""
        longest = self.maximum.total_seconds()
        try:
            seconds = min(
                self.first.total_seconds() * self.base ** (attempt - 1), longest
            )
        except OverflowError:
            seconds = longest
        return timedelta(seconds=uniform(0, seconds) if self.jitter else seconds)


def exponential(
    *,
    base: float = 2,
    first: timedelta = timedelta(seconds=1),
    maximum: timedelta = timedelta(hours=1),
    jitter: bool = True,
) -> Backoff:
    """Wait `first`, then `base` times longer each time, spread by full jitter.

    Full jitter is the variant that M. Brooker measured as best in "Exponential
    Backoff And Jitter" (AWS Architecture Blog, 2015).

    Raises:
        ConfigurationError: `base` is below 1, or a time is negative or a number.
    """
    _refuse_numbers("exponential", first=first, maximum=maximum)
    if base < 1 or first < timedelta(0) or maximum < first:
        raise ConfigurationError(
            f"exponential(base={base}, first={first}, maximum={maximum}): expected "
            "base >= 1 and 0 <= first <= maximum"
        )
    return Backoff(first=first, base=base, maximum=maximum, jitter=jitter)


def fixed(wait: timedelta, *, jitter: bool = False) -> Backoff:
    """Wait the same time before every attempt.

    Raises:
        ConfigurationError: the time is negative or a number.
    """
    _refuse_numbers("fixed", wait=wait)
    if wait < timedelta(0):
        raise ConfigurationError(f"fixed({wait}): expected a time that is not negative")
    return Backoff(first=wait, base=1, maximum=wait, jitter=jitter)


def _refuse_numbers(whose: str, **times: object) -> None:
    for name, value in times.items():
        if not isinstance(value, timedelta):
            raise ConfigurationError(
                f"{whose}({name}={value!r}): expected a timedelta, as "
                "timedelta(seconds=5)"
            )


class RetryWire(TypedDict):
    """A rule that was given for one call and travels with its job; times in seconds."""

    attempts: int
    on: list[str]
    never: list[str]
    first: float
    base: float
    maximum: float
    jitter: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often, when, and after which exceptions a failed job runs again."""

    #: Runs in all, the first one included.
    attempts: int = 5
    backoff: Backoff = field(default_factory=exponential)
    #: Only these exceptions, and what derives from them, are retried.
    on: tuple[type[BaseException] | str, ...] = (Exception,)
    #: These never are, even where `on` names them.
    never: tuple[type[BaseException] | str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a rule that could not have been meant.

        Raises:
            ConfigurationError: naming the field, its value and what is expected.
        """
        if type(self.attempts) is not int or self.attempts < 1:
            raise ConfigurationError(
                f"Retry(attempts={self.attempts!r}): expected a whole number of 1 or "
                "more, the first run included"
            )
        if not isinstance(self.backoff, Backoff):
            raise ConfigurationError(
                f"Retry(backoff={self.backoff!r}): expected exponential(...) or "
                "fixed(timedelta(...))"
            )
        for name, kinds in (("on", self.on), ("never", self.never)):
            if not isinstance(kinds, tuple) or not all(map(_is_kind, kinds)):
                raise ConfigurationError(
                    f"Retry({name}={kinds!r}): expected a tuple of exception "
                    f"classes, as {name}=(TimeoutError,)"
                )

    def delay_after(
        self, attempt: int, error: BaseException, *, now: datetime | None = None
    ) -> timedelta | None:
        """Return the wait before the next attempt, or None when there is none.

        An exception that says itself when to come back (`retry_after`, or the
        Retry-After header of its `response`) is believed, up to a day.
        """
        if attempt >= self.attempts or not self._covers(error):
            return None
        asked = retry_after(error, now=now or datetime.now(UTC))
        return self.backoff.wait(attempt) if asked is None else asked

    def _covers(self, error: BaseException) -> bool:
        # By name, so that a rule that travelled with a job needs no import.
        names = {_name_of(kind) for kind in type(error).__mro__}
        allowed = any(_name_of(kind) in names for kind in self.on)
        return allowed and not any(_name_of(kind) in names for kind in self.never)

    def to_wire(self) -> RetryWire:
        """Return the rule as JSON, exceptions by their dotted names."""
        return RetryWire(
            attempts=self.attempts,
            on=[_name_of(kind) for kind in self.on],
            never=[_name_of(kind) for kind in self.never],
            first=self.backoff.first.total_seconds(),
            base=self.backoff.base,
            maximum=self.backoff.maximum.total_seconds(),
            jitter=self.backoff.jitter,
        )

    @classmethod
    def from_wire(cls, wire: RetryWire) -> Retry:
        """Read back what `to_wire` made."""
        return cls(
            attempts=wire["attempts"],
            backoff=Backoff(
                first=timedelta(seconds=wire["first"]),
                base=wire["base"],
                maximum=timedelta(seconds=wire["maximum"]),
                jitter=wire["jitter"],
            ),
            on=tuple(wire["on"]),
            never=tuple(wire["never"]),
        )


def retry_after(error: BaseException, *, now: datetime) -> timedelta | None:
    """Return how long the exception itself asks to wait, or None.

    Understood are a `retry_after` attribute (seconds, timedelta or datetime) and
    `response.headers["Retry-After"]` as httpx and requests carry it, in seconds
    or as an HTTP date (RFC 9110, 10.2.3).
    """
    asked: object = getattr(error, "retry_after", None)
    if asked is None:
        headers: object = getattr(getattr(error, "response", None), "headers", None)
        asked = headers.get("Retry-After") if isinstance(headers, Mapping) else None
    wait = _as_wait(asked, now)
    return None if wait is None else min(max(wait, timedelta(0)), LONGEST_RETRY_AFTER)


def _as_wait(asked: object, now: datetime) -> timedelta | None:
    if isinstance(asked, str):
        asked = _as_number_or_date(asked.strip())
    if isinstance(asked, datetime):
        return asked - (now if asked.tzinfo else now.replace(tzinfo=None))
    if isinstance(asked, int) or (isinstance(asked, float) and math.isfinite(asked)):
        # As a number first: a timedelta cannot hold what a server may send.
        return timedelta(seconds=max(min(asked, 1e9), 0))
    return asked if isinstance(asked, timedelta) else None


def _as_number_or_date(text: str) -> int | datetime | None:
    try:
        return int(text) if text.isdecimal() else parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None  # a server's nonsense must not change how a job ends


def _is_kind(kind: object) -> bool:
    return isinstance(kind, str) or (
        isinstance(kind, type) and issubclass(kind, BaseException)
    )


def _name_of(kind: type | str) -> str:
    return kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
