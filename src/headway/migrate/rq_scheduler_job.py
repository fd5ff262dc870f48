"""One job of rq-scheduler's, and what it is here."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast

from rq.serializers import DefaultSerializer, JSONSerializer

from headway.app import App
from headway.cron import Cron
from headway.errors import ConfigurationError, HeadwayError, UnreadableJobError
from headway.message import Message
from headway.migrate.crontab_line import our_line
from headway.migrate.end_after import end_after
from headway.migrate.found import Found
from headway.migrate.rq_options import options_of
from headway.options import JOB_ID, Options
from headway.schedule import Schedule
from headway.timing import At, Every, Timing, latest
from headway.wire.rq_scheduler import Waiting

_MICROSECOND = timedelta(microseconds=1)
#: What rq-scheduler itself keeps in a job's meta.
_ITS_META = {
    *("cron_string", "interval", "repeat", "use_local_timezone"),
    "queue_class_name",
}
_LINKS = (
    *("success_callback_name", "failure_callback_name", "stopped_callback_name"),
    *("dependency_id", "dependency_ids"),
)
#: What RQ writes where nothing was said.
_TIMEOUT = "180"
_PICKLE = 0x80


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """A job of rq-scheduler's as we read it."""

    job: Waiting
    found: Found
    #: Ticks after this moment are ours.
    since: datetime
    #: It was sent for the last time.
    is_over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    task: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    meta: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def is_periodic(self) -> bool:
        return bool(self.meta.get("interval") or self.meta.get("cron_string"))

    @property
    def left(self) -> int | None:
        """Return how many runs are to come; None: without end."""
        left = self.meta.get("repeat")
        return None if left is None or int(left) < 0 else int(left)


def carried(app: App, job: Waiting, zone: str, now: datetime) -> Carried:
    """Return what a job is here, or why it is nothing."""
    task = job.fields.text("description").partition("(")[0]
    found = Found(name=job.id, task=task, when="")
    read = Carried(job=job, found=found, since=now)
    try:
        sent = job.fields.moment("enqueued_at")
        since = sent if sent and job.was_sent else job.due - _MICROSECOND
        read = replace(read, found=replace(found, when=At(job.due).in_words))
        return _carried(app, replace(read, since=since), zone, now)
    except (HeadwayError, ArithmeticError, TypeError, ValueError, OSError) as error:
        # Whoever can write to Redis can write nonsense.
        return replace(read, found=replace(read.found, notes=(str(error),)))


def _carried(app: App, read: Carried, zone: str, now: datetime) -> Carried:
    job, call = read.job, _opened(app, read.job)
    timing = _timing(job, call, zone) if call.is_periodic else At(job.due)
    found = replace(read.found, task=call.task, when=timing.in_words)
    read = replace(read, found=found)
    if call.is_periodic:
        read = replace(read, since=_overdue_once(timing, read.since, now))
    try:
        if job.was_sent and (not call.is_periodic or call.left == 0):
            over = replace(found, notes=(_SENT.format(read.since),))
            return replace(read, found=over, is_over=True)
        options, notes = _options(job, call)
        task = app.resolve(call.task).using(**options)
        message = task.message(*call.args, **call.kwargs)
        made: Schedule | Message[Any] = message
        if call.is_periodic:
            made = Schedule(job.id, timing, message, end=_end(call, timing, read.since))
        return replace(read, found=replace(found, carried=made, notes=notes))
    except HeadwayError as error:
        return replace(read, found=replace(found, notes=(str(error),)))


def _overdue_once(timing: Timing, since: datetime, now: datetime) -> datetime:
    """Return since when its ticks are ours, so that all that is overdue is one run.

    rq-scheduler sends it once as well, and then goes on.
    """
    overdue = latest(timing, until=now, since=since)
    return since if overdue is None else overdue - _MICROSECOND


def _end(call: _Call, timing: Timing, since: datetime) -> datetime | None:
    """Return the moment of its last run, of which there is one at least."""
    return None if call.left is None else end_after(timing, since, max(call.left, 1))


_SENT = "it was sent at {:%Y-%m-%d %H:%M:%S} UTC, as its scheduler died: it is over"


def _timing(job: Waiting, call: _Call, zone: str) -> Timing:
    if interval := call.meta.get("interval"):
        return Every(seconds=int(interval), anchor=job.due)
    timing = Cron(our_line(str(call.meta["cron_string"])), zone=zone)
    if timing.next_after(job.due - _MICROSECOND) != job.due:
        raise ConfigurationError(
            f"{job.due:%Y-%m-%d %H:%M:%S} UTC, when it is next, is no time of "
            f"{timing.in_words}: say by --zone in which zone `rqscheduler` runs; where "
            "its time was changed by hand, wait until it has been sent"
        )
    return timing


def _options(job: Waiting, call: _Call) -> tuple[Options, tuple[str, ...]]:
    fields = job.fields
    for name in _LINKS:
        if fields.text(name) not in ("", "[]"):
            raise ConfigurationError(
                f"it has a {name}: send such jobs by RQ's own scheduler beside ours"
            )
    said = {name: fields.text(name) or None for name in ("ttl", "failure_ttl")}
    # RQ keeps what it is to run again: -1 is no wish for the results.
    kept, timeout = fields.text("result_ttl"), fields.text("timeout")
    said["result_ttl"] = None if call.is_periodic and kept == "-1" else kept or None
    said["timeout"] = None if timeout == _TIMEOUT else timeout or None
    options, notes = options_of(said)
    options["queue"] = fields.text("origin")
    if fields.text("enqueue_at_front") == "1":
        options["at_front"] = True
    description = fields.text("description")
    if description and not description.startswith(f"{call.task}("):
        options["description"] = description
    if not call.is_periodic:
        options["at"], options["job_id"] = job.due, job.id
    if left_out := sorted(set(call.meta) - _ITS_META):
        notes.append(f"its meta is left out: {', '.join(left_out)}")
    return options, tuple(notes)


def _opened(app: App, job: Waiting) -> _Call:
    """Read what the job calls, and its meta; a pickle only where that is accepted."""
    data = job.fields.raw("data")
    if not data:
        raise UnreadableJobError(f"rq-scheduler names job {job.id}, which is gone")
    if not JOB_ID.fullmatch(job.id):
        raise ConfigurationError(
            f"its id {job.id!r} is none that RQ 3 or Headway takes: letters, digits, "
            "_ and - only; make it anew"
        )
    if app.checks_signatures:
        raise ConfigurationError(
            "App(signed=True) reads nothing that is not signed, as rq-scheduler's jobs "
            "are not: take them over with signed='send', if you know who wrote them"
        )
    call, written = _loaded(app, job, _plain(data)), job.fields.raw("meta")
    meta = _loaded(app, job, written) if written else {}
    match call, meta:
        case [str(task), None, args, dict(kwargs)], dict(meta):
            args = tuple(cast("Any", args))
            return _Call(task=task, args=args, kwargs=kwargs, meta=meta)
        case _:
            raise UnreadableJobError(
                "it calls a method of an object that travelled with it: only functions "
                "may run"
            )


def _loaded(app: App, job: Waiting, written: bytes) -> object:
    is_pickle = written[:1] == bytes([_PICKLE])
    if is_pickle and not app.accept_pickle:
        raise UnreadableJobError(
            "it is pickle, and nothing of it was read: whoever can write to Redis "
            "could run anything. If you know who wrote it: App(accept_pickle=True)"
        )
    serializer = DefaultSerializer if is_pickle else JSONSerializer
    try:
        return serializer.loads(written)
    except Exception as error:  # unpickling imports what it likes
        raise UnreadableJobError(
            f"job {job.id} cannot be read here: {type(error).__name__}: {error}"
        ) from error


def _plain(data: bytes) -> bytes:
    with contextlib.suppress(zlib.error):
        return zlib.decompress(data)
    return data
