"""A call written down: what to run, with what, and how."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from headway.codec import Arguments, Signature
from headway.options import Options, Unique
from headway.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Mapping

R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message(Generic[R_co]):
    """One call of a task, written down and not yet sent."""

    task: str
    arguments: Arguments
    options: Options
    #: How the task reads and writes; the job's handle restores the result by it.
    signature: Signature = field(repr=False, compare=False)
    #: Options of the task itself: what a call says otherwise must travel with it.
    defined: Options = field(default_factory=Options, repr=False)

    @property
    def retry_of_call(self) -> Retry | None:
        """Return the rule that was given for this call and not for the task."""
        retry = self.options.get("retry")
        return None if retry == self.defined.get("retry") else retry

    @property
    def retry_refused(self) -> bool:
        """Tell whether this call says no to the rule that the task has."""
        return self.options.get("retry") is None and bool(self.defined.get("retry"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A message with every question settled: what a backend is given to send."""

    id: str
    task: str
    queue: str
    arguments: Arguments
    description: str
    #: Aware; None is now.
    due: datetime | None = None
    timeout: timedelta
    expires_at: datetime | None = None
    #: Only a rule that was given for this one call; the task's own stays in code.
    retry: Retry | None = None
    #: False: this call has no rule, whatever the task's own says.
    retries: bool = True
    unique: Unique | None = None
    result_ttl: timedelta | None = None
    failure_ttl: timedelta | None = None
    at_front: bool = False
    meta: Mapping[str, object] = field(default_factory=dict)


def seal(
    message: Message[Any], *, queue: str, timeout: timedelta, now: datetime
) -> Envelope:
    """Settle what a message leaves open: its id, its times, its unique key."""
    options, arguments = message.options, message.arguments
    due = options.get("at") or (now + options["delay"] if "delay" in options else None)
    due = due if due and due > now else None
    return Envelope(
        id=options.get("job_id") or str(uuid.uuid4()),
        task=message.task,
        queue=queue,
        arguments=arguments,
        description=options.get("description") or _call_text(message.task, arguments),
        due=due,
        timeout=options.get("timeout", timeout),
        expires_at=_expires_at(options.get("expires"), due or now),
        result_ttl=options.get("result_ttl"),
        failure_ttl=options.get("failure_ttl"),
        retry=message.retry_of_call,
        retries=not message.retry_refused,
        unique=_unique(options.get("unique"), message, wait=(due or now) - now),
        at_front=options.get("at_front", False),
    )


def _expires_at(
    expires: timedelta | datetime | None, begin: datetime
) -> datetime | None:
    return begin + expires if isinstance(expires, timedelta) else expires


def _unique(
    unique: bool | str | Unique | None, message: Message[Any], *, wait: timedelta
) -> Unique | None:
    if not unique:
        return None
    rule = unique if isinstance(unique, Unique) else Unique()
    key = unique if isinstance(unique, str) else rule.key
    # A key that is held until the end must not run out before the job is due.
    ttl = rule.ttl + wait if rule.until == "end" else rule.ttl
    return replace(rule, key=key or _key_of(message), ttl=ttl)


def _key_of(message: Message[Any]) -> str:
    """Return a key that the same call, and only it, has again."""
    call = message.signature.named(message.arguments)
    digest = hashlib.sha256(json.dumps(call, sort_keys=True).encode()).hexdigest()
    return f"{message.task}:{digest[:32]}"


def _call_text(task: str, arguments: Arguments) -> str:
    """Return the call as RQ describes it, long arguments cut."""
    named = [f"{name}={_cut(value)}" for name, value in arguments.kwargs.items()]
    return f"{task}({', '.join([*map(_cut, arguments.args), *sorted(named)])})"


def _cut(value: object, longest: int = 75) -> str:
    text = repr(value)
    return text if len(text) <= longest else f"{text[:longest]}..."
