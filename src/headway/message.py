"""A call written down: what to run, with what, and how."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import (
    Any,
    Generic,
    Literal,
    NamedTuple,
    Protocol,
    TypeVar,
    cast,
    overload,
)

from headway.codec import Arguments, Signature
from headway.errors import ArgumentError, ConfigurationError
from headway.options import Options, Unique
from headway.reference import Open, Reference, in_words
from headway.repeat import LONGEST_EVERY, Repeat
from headway.retry import Retry

#: What RFC 9562 makes of the 17th digit of an id.
_VARIANT = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}

R_co = TypeVar("R_co", covariant=True)


class Sender(Protocol):
    """What a workflow needs of the application of its messages."""

    def send_workflow(self, flow: Any, workflow_id: str | None) -> Any:  # noqa: ANN401 - both are known further up
        """Send the messages of a flow; return the handle of the whole."""
        ...

    def grow_workflow(
        self,
        flow: Any,  # noqa: ANN401 - likewise
        workflow_id: str,
        node: str,
        lease: tuple[str, str],
    ) -> None:
        """Send more messages for a workflow, asked for by a node that runs."""
        ...


class Message(NamedTuple, Generic[R_co]):
    """One call of a task, written down and not yet sent."""

    # A tuple, as one is made for every call: it takes a quarter of the time.
    task: str
    arguments: Arguments
    options: Options
    #: How the task reads and writes; the job's handle restores the result by it.
    signature: Signature
    #: Options of the task itself: what a call says otherwise must travel with it.
    defined: Options
    #: The application of its task.
    sender: Sender

    @property
    def result(self) -> R_co:
        """Stand in another message's arguments for what this one returns.

        A value to type checkers; when it runs it is a reference, which makes the other
        wait for this one, in the same workflow.
        """
        return cast("R_co", Reference(self))

    @property
    def retry_of_call(self) -> Retry | None:
        """Return the rule that was given for this call and not for the task."""
        retry = self.options.get("retry")
        return None if retry == self.defined.get("retry") else retry

    @property
    def retry_refused(self) -> bool:
        """Tell whether this call says no to the rule that the task has."""
        return self.options.get("retry") is None and bool(self.defined.get("retry"))

    def __repr__(self) -> str:
        return f"<message {_call_text(self.task, self.arguments)} {self.options}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is settled of a call beside the call itself; calls alike share it."""

    task: str
    queue: str
    #: Aware; None is now.
    due: datetime | None = None
    timeout: timedelta
    expires_at: datetime | None = None
    #: Of a job that repeats: how late each of its runs may begin.
    expires: timedelta | None = None
    repeat: Repeat | None = None
    #: Only a rule that was given for this one call; the task's own stays in code.
    retry: Retry | None = None
    #: False: this call has no rule, whatever the task's own says.
    retries: bool = True
    unique: Unique | None = None
    result_ttl: timedelta | None = None
    failure_ttl: timedelta | None = None
    at_front: bool = False
    #: Whom to ask when its worker has died: "fail", "ask" the task; "" is nobody.
    on_orphan: Literal["", "fail", "ask"] = ""
    #: Of this one job's call.
    signature: str = ""
    #: The workflow that it is a node of.
    workflow: str = ""
    #: What others want to travel with this one job.
    meta: Mapping[str, Any] | None = None

    @property
    def are_lasting(self) -> bool:
        """Tell whether they are the task's own, and hold for its next call."""
        return (
            self.due is None
            and self.expires_at is None
            and self.unique is None
            and self.retry is None
            and self.meta is None
            and not self.signature
            and not self.workflow
        )


class Envelope(NamedTuple):
    """A message with every question settled: what a backend is given to send."""

    # A tuple, as one is made for every job: it takes a quarter of the time.
    id: str
    terms: Terms
    arguments: Arguments
    description: str


def settle(
    message: Message[Any], *, queue: str, timeout: timedelta, now: datetime
) -> Terms:
    """Settle what a message leaves open: its times, its rule, its unique key."""
    options = message.options
    due = options.get("at") or (now + options["delay"] if "delay" in options else None)
    due = due if due and due > now else None
    repeat, expires = options.get("repeat"), options.get("expires")
    return Terms(
        task=message.task,
        queue=queue,
        due=due,
        timeout=options.get("timeout", timeout),
        expires_at=_expires_at(expires, due or now),
        expires=expires if repeat and isinstance(expires, timedelta) else None,
        repeat=repeat,
        result_ttl=options.get("result_ttl"),
        failure_ttl=options.get("failure_ttl"),
        retry=message.retry_of_call,
        retries=not message.retry_refused,
        unique=_unique(
            options.get("unique"), message, wait=(due or now) - now, repeat=repeat
        ),
        at_front=options.get("at_front", False),
        on_orphan=_on_orphan(options.get("on_orphan", "requeue")),
    )


def refuse_open(message: Message[Any]) -> None:
    """Refuse to send a message alone that waits for another.

    Raises:
        ArgumentError: it waits for a result, and for which.
        ConfigurationError: it is to run after others.
    """
    if message.options.get("after"):
        raise ConfigurationError(
            f"{message.task}(after=...) waits for other messages: send all as one, as "
            "workflow(message).enqueue()"
        )
    arguments = message.arguments
    for value in (*arguments.args, *arguments.kwargs.values()):
        if type(value) is Open:
            raise ArgumentError(
                f"{message.task}({value!r}) waits for the result of another message: "
                "send both as one, as workflow(message).enqueue()"
            )


def _on_orphan(said: object) -> Literal["", "fail", "ask"]:
    if callable(said):
        return "ask"
    return "fail" if said == "fail" else ""


def seal(
    message: Message[Any],
    terms: Terms,
    new_id: str,
    tasks: Mapping[str, str] | None = None,
) -> Envelope:
    """Close a message on its terms; `new_id` is for one that brings no id.

    `tasks` are those by id whose results it may wait for.
    """
    options, arguments = message.options, message.arguments
    return Envelope(
        options.get("job_id") or new_id,
        terms,
        arguments,
        options.get("description") or _call_text(message.task, arguments, tasks),
    )


class Sealed(Sequence[Envelope]):
    """Messages on settled terms, each sealed when a backend comes to it.

    Many are never there at once, and one is sealed while Redis writes those before.
    """

    def __init__(
        self,
        messages: Sequence[Message[Any]],
        terms: Sequence[Terms],
        ids: Sequence[str],
    ) -> None:
        self._messages, self._terms, self._ids = messages, terms, ids

    @property
    def calls(self) -> Iterator[tuple[str, Arguments]]:
        """Return the calls alone: nothing is sealed for that."""
        return ((message.task, message.arguments) for message in self._messages)

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[Envelope]:
        return map(seal, self._messages, self._terms, self._ids)

    @overload
    def __getitem__(self, at: int) -> Envelope: ...

    @overload
    def __getitem__(self, at: slice) -> Sealed: ...

    def __getitem__(self, at: int | slice) -> Envelope | Sealed:
        if isinstance(at, int):
            return seal(self._messages[at], self._terms[at], self._ids[at])
        return Sealed(self._messages[at], self._terms[at], self._ids[at])


def ids_for(messages: Sequence[Message[Any]]) -> list[str]:
    """Return the id of each message's job: the one it brings, or a new one."""
    return [
        message.options.get("job_id") or new_id
        for message, new_id in zip(messages, new_ids(len(messages)), strict=True)
    ]


def new_id() -> str:
    """Return a random id (UUID version 4), as the standard library makes it slower."""
    return _id_of(os.urandom(16).hex())


def new_ids(count: int) -> list[str]:
    """Return that many random ids, made of one read of randomness."""
    digits = os.urandom(16 * count).hex()
    return [_id_of(digits[at : at + 32]) for at in range(0, 32 * count, 32)]


def _id_of(h: str) -> str:
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{_VARIANT[h[16]]}{h[17:20]}-{h[20:]}"


def _expires_at(
    expires: timedelta | datetime | None, begin: datetime
) -> datetime | None:
    return begin + expires if isinstance(expires, timedelta) else expires


def _unique(
    unique: bool | str | Unique | None,
    message: Message[Any],
    *,
    wait: timedelta,
    repeat: Repeat | None,
) -> Unique | None:
    if not unique:
        return None
    rule = unique if isinstance(unique, Unique) else Unique()
    key = unique if isinstance(unique, str) else rule.key
    # A key that is held until the end must not run out before the job is due, nor
    # before it is due for the last time.
    ttl = rule.ttl
    if rule.until == "end":
        ttl = _for_all_runs(rule.ttl, repeat) + wait
    return replace(rule, key=key or _key_of(message), ttl=ttl)


def _for_all_runs(ttl: timedelta, repeat: Repeat | None) -> timedelta:
    if repeat is None:
        return ttl
    each = (ttl + repeat.every).total_seconds()
    longest = (ttl + LONGEST_EVERY).total_seconds()
    return timedelta(seconds=min(ttl.total_seconds() + each * repeat.times, longest))


def _key_of(message: Message[Any]) -> str:
    """Return a key that the same call, and only it, has again."""
    call = message.signature.named(message.arguments)
    digest = hashlib.sha256(json.dumps(call, sort_keys=True).encode()).hexdigest()
    return f"{message.task}:{digest[:32]}"


def _call_text(
    task: str, arguments: Arguments, tasks: Mapping[str, str] | None = None
) -> str:
    """Return the call as RQ describes it, long arguments cut."""
    args, kwargs = arguments
    if tasks:
        args = tuple([in_words(value, tasks) for value in args])
        kwargs = {name: in_words(value, tasks) for name, value in kwargs.items()}
    texts = [_cut(value) for value in args]
    if kwargs:
        texts += sorted([f"{name}={_cut(value)}" for name, value in kwargs.items()])
    return f"{task}({', '.join(texts)})"


def _cut(value: object, longest: int = 75) -> str:
    text = repr(value)
    return text if len(text) <= longest else f"{text[:longest]}..."
