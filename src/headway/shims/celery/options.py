"""What `apply_async` and a task say of a call, in Headway's words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from headway.options import Options
from headway.shims.celery.conf import Conf
from headway.shims.celery.lacking import refuse
from headway.shims.celery.retries import ASKED
from headway.shims.celery.routes import queue_name, route_of

#: What an attempt may take where no limit is said: Celery has none.
NO_LIMIT = timedelta(days=1)
#: Kept for a year where Celery would never forget.
FOR_GOOD = timedelta(days=365)
_SOON = timedelta(milliseconds=1)
#: RabbitMQ's most urgent.
_FIRST = 9

#: Options of a task that hold for its calls.
OF_A_TASK = ("queue", "priority", "expires", "time_limit", "soft_time_limit")
#: Seen to elsewhere, or about the broker's wire: nothing is lost without them.
_NEEDLESS = frozenset(
    """retry retry_policy compression delivery_mode mandatory immediate connection
    producer publisher router add_to_parent argsrepr kwargsrepr correlation_id
    exchange_type track_started ignore_result shadow headers link link_error root_id
    parent_id task_id countdown eta throw""".split()  # noqa: SIM905 - words, as a text
)
_REFUSED = {
    "exchange": "name a queue: queue=...",
    "routing_key": "name a queue: queue=...",
    "reply_to": "ask the AsyncResult",
    "rate_limit": "give it a queue that a worker of few children serves",
    "pydantic": "take a dict, and make the model of it in the task",
}


def check_task(task: Any) -> None:
    """Refuse a task that none of its calls could be sent as it says.

    Raises:
        ConfigurationError: an option has no meaning here; says what there is.
    """
    said = {k: getattr(task, k, None) for k in (*_REFUSED, "serializer")}
    _refuse(task.name, {k: v for k, v in said.items() if v})
    if task.priority not in {None, 0, _FIRST}:
        _refuse_priority(task.name, task.priority)


def options_of(
    conf: Conf, task: Any, name: str, call: Mapping[str, Any], now: datetime
) -> Options:
    """Return the options of one call; what it says goes before the task's own word.

    Raises:
        ConfigurationError: one has no meaning here; says what there is.
    """
    own = {k: getattr(task, k, None) for k in OF_A_TASK}
    said = {k: v for k, v in {**own, **call}.items() if v is not None}
    _refuse(name, said)
    if "queue" not in said:
        said = {**route_of(conf.task_routes, name, {"options": dict(call)}), **said}
    options = Options(
        queue=queue_name(said.get("queue") or conf.task_default_queue),
        retry=ASKED,
        timeout=_limit(conf, said),
        result_ttl=_kept(conf, task, said),
        on_orphan="requeue" if _is_late(conf, task) else "fail",
    )
    _add_times(options, said, conf, now)
    if "task_id" in said:
        options["job_id"] = said["task_id"]
    if "shadow" in said:
        options["description"] = str(said["shadow"])
    if _is_urgent(conf, name, said.get("priority", conf.task_default_priority)):
        options["at_front"] = True
    return options


def moment(value: datetime, conf: Conf) -> datetime:
    """Return an aware time; Celery's own are in the application's zone."""
    is_aware = value.utcoffset() is not None
    return value if is_aware else value.replace(tzinfo=ZoneInfo(conf.in_zone))


def _refuse(name: str, said: Mapping[str, Any]) -> None:
    for word, value in said.items():
        if word in _REFUSED:
            refuse(f"{name}({word}={value!r})", _REFUSED[word])
        if word == "serializer":
            if value != "json":
                refuse(f"{name}(serializer={value!r})", "arguments travel as JSON")
        elif word not in _NEEDLESS and word not in OF_A_TASK:
            refuse(f"{name}({word}={value!r})", "leave it out")


def _add_times(
    options: Options, said: Mapping[str, Any], conf: Conf, now: datetime
) -> None:
    if (eta := said.get("eta")) is not None:
        options["at"] = moment(eta, conf)
    elif said.get("countdown"):
        options["delay"] = max(timedelta(seconds=said["countdown"]), timedelta(0))
    expires = said.get("expires")
    if expires is None:
        return
    if isinstance(expires, datetime):
        options["expires"] = moment(expires, conf)
        return
    span = expires if isinstance(expires, timedelta) else timedelta(seconds=expires)
    # It counts from now, and ours from when the job is due.
    is_later = "at" in options or "delay" in options
    options["expires"] = now + span if is_later else max(span, _SOON)


def _limit(conf: Conf, said: Mapping[str, Any]) -> timedelta:
    soft = said.get("soft_time_limit", conf.task_soft_time_limit)
    seconds = soft or said.get("time_limit", conf.task_time_limit)
    return timedelta(seconds=seconds) if seconds else NO_LIMIT


def _kept(conf: Conf, task: Any, said: Mapping[str, Any]) -> timedelta:
    if is_ignored(conf, task, said):
        return timedelta(0)
    span = conf.result_expires
    if not span:
        return FOR_GOOD
    return span if isinstance(span, timedelta) else timedelta(seconds=span)


def is_ignored(conf: Conf, task: Any, said: Mapping[str, Any]) -> bool:
    """Tell whether nobody wants to know the result of a call."""
    own = getattr(task, "ignore_result", None)
    default = conf.task_ignore_result if own is None else own
    return bool(said.get("ignore_result", default))


def _is_late(conf: Conf, task: Any) -> bool:
    own = getattr(task, "acks_late", None)
    return bool(conf.task_acks_late if own is None else own)


def _is_urgent(conf: Conf, name: str, priority: int | None) -> bool:
    """Tell whether a priority is the first of all, or nothing special.

    Raises:
        ConfigurationError: it is in between.
    """
    by_rabbit = str(conf.broker_url).startswith(("amqp", "pyamqp"))
    if priority and not (by_rabbit and priority == _FIRST):
        _refuse_priority(name, priority)
    return bool(priority)


def _refuse_priority(name: str, priority: int) -> None:
    refuse(
        f"{name}(priority={priority})",
        "name a queue that stands further up or down in app.conf.task_queues",
    )
