"""What can be said of a task, and of one call of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, TypedDict

from headway.errors import ConfigurationError, UnknownQueueError
from headway.repeat import Repeat
from headway.retry import Retry
from headway.spelling import respelled

#: What RQ accepts as a job id; the other engines accept it, too.
JOB_ID = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unique:
    """At most one job of a key at a time; another call gets the job that is there."""

    #: None: made of the task's name and the call's arguments.
    key: str | None = None
    #: The key is given up after this time at the latest, should a job vanish.
    ttl: timedelta = timedelta(hours=1)
    #: "end": until the job has ended. "ttl": for the whole time, however it ends.
    until: Literal["end", "ttl"] = "end"
    #: What a second call gets: the job that is there, or DuplicateJobError.
    on_duplicate: Literal["existing", "raise"] = "existing"

    def __post_init__(self) -> None:
        """Refuse what could not have been meant.

        Raises:
            ConfigurationError: naming the field, its value and what is expected.
        """
        for name, (expected, fits) in _EXPECTED_OF_UNIQUE.items():
            value = getattr(self, name)
            if not fits(value):
                raise ConfigurationError(
                    f"Unique({name}={value!r}): expected {expected}"
                )


Fate = Literal["requeue", "fail"]
OnFailure = Literal["fail_fast", "continue"]


class Call(Protocol):
    """A message, as `task.message(...)` writes it."""

    @property
    def task(self) -> str:
        """The name of its task."""
        ...

    @property
    def options(self) -> Options:
        """What was said of it."""
        ...


class Options(TypedDict, total=False):
    """What can be said of a task, and again of one call with `using`."""

    #: The name of a queue that the application declares.
    queue: str
    #: Run it that much later; or `at` a time, which must be aware.
    delay: timedelta
    at: datetime
    #: When it fails: None is never again.
    retry: Retry | None
    #: How often it runs again once a run has ended: None is never.
    repeat: Repeat | None
    #: How long one attempt may run.
    timeout: timedelta
    #: Do not begin it after that long, or after that time (aware).
    expires: timedelta | datetime
    #: True: by task and arguments. A text: by that key. Or a `Unique`.
    unique: bool | str | Unique
    #: How long the result is kept.
    result_ttl: timedelta
    #: How long a failed job is kept for a person.
    failure_ttl: timedelta
    #: An id of one's own; sending it again does not make a second job.
    job_id: str
    #: In front of all that wait in the queue.
    at_front: bool
    #: A line for people; the call itself where nothing is given.
    description: str
    #: What becomes of a job whose worker died as it ran: "requeue" (at most three
    #: times), "fail" for a task that must not run twice, or a function that decides by
    #: the job's JobInfo. A function is the task's own: it does not travel.
    on_orphan: Fate | Callable[[Any], Fate]
    #: In a workflow: "fail_fast" cancels what has not begun of it, "continue" hands
    #: those that wait for the result a `Failure` in its place.
    on_failure: OnFailure
    #: In a workflow: what undoes the job, sent once when it or a later one has failed.
    compensate: Call
    #: In a workflow: messages to wait for whose results are not needed.
    after: Sequence[Call]


def check_options(owner: str, options: Options, queues: Collection[str]) -> Options:
    """Return the options, or refuse them naming owner, option, value and way out.

    Raises:
        UnknownQueueError: the queue is not one of the application's.
        ConfigurationError: an option is unknown, or its value cannot be used.
    """
    for name, value in options.items():
        if name not in _EXPECTED:
            known = ", ".join(sorted(_EXPECTED))
            raise ConfigurationError(f"{owner}: no option {name!r}; there are {known}")
        expected, fits = _EXPECTED[name]
        if not fits(value):
            raise ConfigurationError(
                f"{owner}({name}={value!r}): expected {expected}{_way_out(name, value)}"
            )
    if "delay" in options and "at" in options:
        raise ConfigurationError(f"{owner}: give `delay` or `at`, not both")
    expires = options.get("expires")
    if options.get("repeat") and isinstance(expires, datetime):
        raise ConfigurationError(
            f"{owner}(expires={expires!r}): one time cannot hold for all "
            "runs of a `repeat`; give a timedelta, which counts from when each is due"
        )
    check_queue(owner, options.get("queue"), queues)
    return options


def check_queue(owner: str, name: str | None, queues: Collection[str]) -> None:
    """Refuse a queue that the application does not declare.

    Raises:
        UnknownQueueError: naming the queues there are.
    """
    if name is not None and name not in queues:
        raise UnknownQueueError(
            f"{owner}: no queue {name!r}; queues.py declares {', '.join(queues)}"
        )


def _way_out(name: str, value: object) -> str:
    """Return the line to write instead, where the value lets it be told."""
    if name == "at" and isinstance(value, timedelta):
        return f"; for so much later say delay={_call(value)}"
    if name == "delay" and isinstance(value, datetime):
        return "; for a time of the clock say at=..."
    for kind in _KINDS.get(name, ()):
        if line := respelled(value, as_=kind):
            return f"; write {line}"
    return ""


def _call(value: timedelta) -> str:
    return repr(value).removeprefix("datetime.")


def _is_call(value: object) -> bool:
    return hasattr(value, "arguments") and hasattr(value, "options")


def _is_aware(value: object) -> bool:
    return isinstance(value, datetime) and value.utcoffset() is not None


def _is_span(value: object) -> bool:
    return isinstance(value, timedelta) and value > timedelta(0)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


_AWARE = "an aware datetime, as datetime(2030, 1, 31, 9, 0, tzinfo=ZoneInfo('UTC'))"
_SPAN = "a positive timedelta, as timedelta(minutes=5)"

#: Options that are times, and as which they are read where they are none.
_KINDS: dict[str, tuple[type[timedelta | datetime], ...]] = {
    "delay": (timedelta,),
    "at": (datetime,),
    "timeout": (timedelta,),
    "expires": (datetime, timedelta),
    "result_ttl": (timedelta,),
    "failure_ttl": (timedelta,),
}

_EXPECTED_OF_UNIQUE: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "key": ("a text, or None", lambda v: v is None or _is_text(v)),
    "ttl": (_SPAN, _is_span),
    "until": ("'end' or 'ttl'", lambda v: v in ("end", "ttl")),
    "on_duplicate": (
        "'existing' or 'raise'",
        lambda v: v in ("existing", "raise"),
    ),
}

_EXPECTED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "queue": ("the name of a queue, as 'low'", _is_text),
    "delay": (
        "a timedelta that is not negative, as timedelta(minutes=5)",
        lambda v: isinstance(v, timedelta) and v >= timedelta(0),
    ),
    "at": (_AWARE, _is_aware),
    "retry": (
        "Retry(attempts=3), or None",
        lambda v: v is None or isinstance(v, Retry),
    ),
    "repeat": (
        "Repeat(times=3, every=timedelta(minutes=5)) of headway, or None",
        lambda v: v is None or isinstance(v, Repeat),
    ),
    "timeout": (_SPAN, _is_span),
    "expires": (f"{_SPAN}, or {_AWARE}", lambda v: _is_span(v) or _is_aware(v)),
    "unique": (
        "True, a key as 'import-7', or Unique(...)",
        lambda v: isinstance(v, bool | Unique) or _is_text(v),
    ),
    "result_ttl": (
        "a timedelta that is not negative, as timedelta(hours=1)",
        lambda v: isinstance(v, timedelta) and v >= timedelta(0),
    ),
    "failure_ttl": (_SPAN, _is_span),
    "job_id": (
        "letters, digits, _ and - only",
        lambda v: isinstance(v, str) and JOB_ID.fullmatch(v) is not None,
    ),
    "at_front": ("True or False", lambda v: isinstance(v, bool)),
    "description": ("a text", lambda v: isinstance(v, str)),
    "on_orphan": (
        "'requeue', 'fail', or a function of the JobInfo that returns one of these",
        lambda v: callable(v) or v in ("requeue", "fail"),
    ),
    "on_failure": (
        "'fail_fast' or 'continue'",
        lambda v: v in ("fail_fast", "continue"),
    ),
    "compensate": ("a message, as undo.message(7)", _is_call),
    "after": (
        "messages, as [parse.message(7)]",
        lambda v: isinstance(v, list | tuple) and all(map(_is_call, v)),
    ),
}
