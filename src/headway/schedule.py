"""What runs by itself: a message, when to send it, and what if that went wrong."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast

from headway.codec import Arguments
from headway.cron import Cron
from headway.errors import ConfigurationError
from headway.local_time import check_aware, is_in_calendar
from headway.message import Message
from headway.options import JOB_ID, Options
from headway.retry import Retry
from headway.solar import Solar
from headway.task import DefinedTask
from headway.timetable import Overlap
from headway.timing import At, Every, Timing, timing_from_wire

Misfire = Literal["skip", "once", "all"]
_MICROSECOND = timedelta(microseconds=1)
#: Options of a message that are times, and travel as seconds.
_SPANS = ("timeout", "expires", "result_ttl", "failure_ttl")
#: What else of a message's options a schedule keeps.
_PLAIN = ("queue", "at_front", "description", "on_orphan", "unique")


@dataclass(frozen=True, slots=True)
class Schedule:
    """A message that is sent by itself at the moments of a timing: its ticks."""

    name: str
    timing: Timing
    message: Message[Any]
    #: No ticks before this, or after that (aware).
    start: datetime | None = None
    end: datetime | None = None
    #: What is sent of ticks that came to nothing, as no scheduler was there in time:
    #: none of them, the latest, or all up to `misfire_limit`, the latest ones.
    misfire: Misfire = "once"
    misfire_limit: int = 100
    #: How late a tick may be sent that is no misfire.
    grace: timedelta = timedelta(minutes=1)
    #: Where the job of the tick before has not ended: send all the same, leave this
    #: tick out, send it then, or cancel that job.
    overlap: Overlap = "allow"
    #: Nothing is sent until it is resumed; what it is when the store first has it.
    paused: bool = False

    def __post_init__(self) -> None:
        """Refuse what could not be sent, or could not have been meant.

        Raises:
            ConfigurationError: naming the value, and what is expected.
        """
        for name, (expected, fits) in _EXPECTED.items():
            value = getattr(self, name)
            if not fits(value):
                raise ConfigurationError(
                    f"Schedule({self.name!r}, {name}={value!r}): expected {expected}"
                )
        if self.start and self.end and _utc(self.end) <= _utc(self.start):
            raise ConfigurationError(
                f"Schedule({self.name!r}): it ends at {self.end}, before it starts at "
                f"{self.start}"
            )
        self._check_message()

    def _check_message(self) -> None:
        options = self.message.options
        # The jobs of a schedule bear an id that is made from their tick.
        if options.get("unique") or "job_id" in options:
            raise ConfigurationError(
                f"Schedule({self.name!r}): each tick has a job_id of its own, and one "
                f"job; send {self.message.task} without: "
                ".using(unique=False).message(...), and no job_id"
            )
        expires = options.get("expires")
        if "delay" in options or "at" in options or isinstance(expires, datetime):
            raise ConfigurationError(
                f"Schedule({self.name!r}): the timing says when {self.message.task} is "
                "sent; leave out `delay` and `at`, and give `expires` as a timedelta"
            )
        if options.get("repeat"):
            raise ConfigurationError(
                f"Schedule({self.name!r}): it repeats by itself; send "
                f"{self.message.task} without: .using(repeat=None).message(...)"
            )

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first tick after an aware moment, in UTC; None: there is none."""
        check_aware("Schedule.next_after", moment)
        if self.start and _utc(self.start) > moment:
            moment = _utc(self.start) - _MICROSECOND
        found = self.ticks.next_after(moment)
        return None if found and self.end and found > self.end else found

    @property
    def ticks(self) -> Timing:
        """Return the timing; schedules that are put off are so by unlike shares."""
        timing = self.timing
        if isinstance(timing, Every) and timing.jitter and not timing.seed:
            return replace(timing, seed=self.name)
        return timing

    def job_id(self, tick: datetime) -> str:
        """Return the id of the one job of a tick, whoever sends it."""
        return f"cron-{self.name}-{tick.astimezone(UTC):%Y%m%dT%H%M%SZ}"

    def message_of(self, tick: datetime) -> Message[Any]:
        """Return the message as it is sent for a tick."""
        options = cast("Options", {**self.message.options, "job_id": self.job_id(tick)})
        return self.message._replace(options=options)

    # As JSON

    def to_wire(self) -> dict[str, Any]:
        """Return all of it as JSON; equal schedules give equal JSON."""
        fields: dict[str, Any] = {
            "timing": self.timing.to_wire(),
            "task": self.message.task,
            "args": list(self.message.arguments.args),
            "kwargs": dict(self.message.arguments.kwargs),
            "options": _options_to_wire(self.message),
            "misfire": self.misfire,
            "misfire_limit": self.misfire_limit,
            "grace": self.grace.total_seconds(),
            "overlap": self.overlap,
        }
        for name in ("start", "end"):
            if (moment := getattr(self, name)) is not None:
                fields[name] = _utc(moment).isoformat()
        return fields

    @classmethod
    def from_wire(
        cls,
        name: str,
        wire: Mapping[str, Any],
        resolve: Callable[[str], DefinedTask[Any, Any]],
    ) -> Schedule:
        """Read back what `to_wire` made; `resolve` finds a task by its name.

        Raises:
            UnknownTaskError: no task of that name.
            ConfigurationError: it is no schedule.
        """
        try:
            return cls(
                name,
                timing_from_wire(wire["timing"]),
                _message_from_wire(wire, resolve),
                start=_moment(wire.get("start")),
                end=_moment(wire.get("end")),
                misfire=wire["misfire"],
                misfire_limit=wire["misfire_limit"],
                grace=timedelta(seconds=wire["grace"]),
                overlap=wire["overlap"],
            )
        # What nonsense in its place may raise as it is taken for what it is not.
        except (
            LookupError,
            TypeError,
            ValueError,
            AttributeError,
            ArithmeticError,
        ) as error:
            raise ConfigurationError(
                f"schedule {name!r}: what is stored of it cannot be read: {error!r}; "
                "remove it, and add it again"
            ) from error


def version_of(wire: Mapping[str, Any]) -> str:
    """Return what tells a schedule's JSON from others."""
    written = json.dumps(wire, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.blake2b(written, digest_size=10).hexdigest()


def _options_to_wire(message: Message[Any]) -> dict[str, Any]:
    """Return what the call says otherwise than its task; the task's own is code."""
    defined: Mapping[str, Any] = {**message.defined}
    wire: dict[str, Any] = {}
    for name, value in message.options.items():
        if name in defined and defined[name] == value:
            continue
        if isinstance(value, timedelta) and name in _SPANS:
            wire[name] = value.total_seconds()
        elif isinstance(value, Retry):
            wire[name] = value.to_wire()
        elif value is None or name in _PLAIN:
            wire[name] = value
    return wire


def _message_from_wire(
    wire: Mapping[str, Any], resolve: Callable[[str], DefinedTask[Any, Any]]
) -> Message[Any]:
    task = resolve(wire["task"])
    options: dict[str, Any] = dict(wire["options"])
    for name in _SPANS:
        if name in options:
            options[name] = timedelta(seconds=options[name])
    if options.get("retry"):
        options["retry"] = Retry.from_wire(options["retry"])
    arguments = Arguments(tuple(wire["args"]), wire["kwargs"])
    using = task.using(**options)
    return using.written(arguments)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _utc(moment: datetime) -> datetime:
    """Return the moment in UTC: in one zone Python compares what clocks show."""
    return moment.astimezone(UTC)


def _is_moment(value: object) -> bool:
    if value is None:
        return True
    if not isinstance(value, datetime) or value.utcoffset() is None:
        return False
    return is_in_calendar(value)


_MOMENT = (
    "an aware datetime of the years 2 to 9998, as "
    "datetime(2030, 1, 31, tzinfo=ZoneInfo('Europe/Oslo')); None where there is none"
)
_EXPECTED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "name": (
        "letters, digits, _ and - only",
        lambda v: isinstance(v, str) and JOB_ID.fullmatch(v) is not None,
    ),
    "timing": (
        "Cron('0 3 * * *'), Every(minutes=5), At(...) or Solar(...)",
        lambda v: isinstance(v, Cron | Every | At | Solar),
    ),
    "message": (
        "a message, as task.message(7)",
        lambda v: isinstance(v, Message),
    ),
    "start": (_MOMENT, _is_moment),
    "end": (_MOMENT, _is_moment),
    "misfire": ("'skip', 'once' or 'all'", lambda v: v in ("skip", "once", "all")),
    "misfire_limit": (
        "a whole number from 1",
        lambda v: isinstance(v, int) and not isinstance(v, bool) and v >= 1,
    ),
    "grace": (
        "a timedelta of a second or more, as timedelta(minutes=1)",
        lambda v: isinstance(v, timedelta) and v >= timedelta(seconds=1),
    ),
    "overlap": (
        "'allow', 'skip', 'queue' or 'cancel'",
        lambda v: v in ("allow", "skip", "queue", "cancel"),
    ),
    "paused": ("True or False", lambda v: isinstance(v, bool)),
}
