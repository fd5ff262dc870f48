"""How often a job runs again once a run of it has ended: a pure rule."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from headway.errors import ConfigurationError
from headway.spelling import respelled

#: What goes on for longer, or more often, is a schedule.
LONGEST_EVERY, MOST_TIMES = timedelta(days=3653), 1_000_000_000
_A_SCHEDULE = "what is to go on for ever is a Schedule"


@dataclass(frozen=True, slots=True)
class Repeat:
    """Run a job that many times more, each begun so long after the last has ended.

    A run that failed, its retries used up, is followed by the next one all the same.
    """

    #: Runs after the first one.
    times: int
    #: From the end of a run to the begin of the next: no two run at once.
    every: timedelta
    #: The first run that fails is the last one.
    until_failure: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse a rule that could not have been meant.

        Raises:
            ConfigurationError: naming the field, its value and what is expected.
        """
        if type(self.times) is not int or not 1 <= self.times <= MOST_TIMES:
            raise ConfigurationError(
                f"Repeat(times={self.times!r}): expected a whole number of 1 or more, "
                f"the first run not counted; {_A_SCHEDULE}"
            )
        is_time = isinstance(self.every, timedelta)
        if not is_time or not timedelta(0) < self.every <= LONGEST_EVERY:
            example = respelled(self.every, as_=timedelta) or "timedelta(minutes=5)"
            raise ConfigurationError(
                f"Repeat(every={self.every!r}): expected a positive timedelta of at "
                f"most {LONGEST_EVERY.days} days, as every={example}"
            )
        if not isinstance(self.until_failure, bool):
            raise ConfigurationError(
                f"Repeat(until_failure={self.until_failure!r}): expected True or False"
            )
