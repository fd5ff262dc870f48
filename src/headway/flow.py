"""Messages put together: one after another, side by side, or as their results demand.

`chain` and `group` hold messages, and each other; a `chord` is a group with a message
behind it. Whatever the shape, references make the edges: `plan` finds the nodes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar, cast, overload

from headway.codec import Arguments
from headway.errors import ArgumentError, ConfigurationError
from headway.message import Message, Sender
from headway.reference import (
    KEY,
    Open,
    Reference,
    filled,
    named,
    previous,
    reference_to,
)
from headway.workflows import Node, Plan, Workflow

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

#: One step of Redis writes all of them; it takes about 40 microseconds for each.
MOST_NODES = 10_000


class Callee(Protocol[R_co]):
    """A task: as a step of a chain it takes the result of the step before."""

    def message(self, *args: Any, **kwargs: Any) -> Message[R_co]:  # noqa: ANN401 - the task's own
        """Write a call of it down."""
        ...


@dataclass(frozen=True, slots=True)
class Flow(Generic[R_co]):
    """Messages to be sent together, made by `chain`, `group`, `chord` or `workflow`."""

    kind: Literal["chain", "group"]
    steps: tuple[Step, ...]
    #: How many members of a group are let go before others have ended.
    limit: int | None = None

    def enqueue(self, *, workflow_id: str | None = None) -> Workflow[R_co]:
        """Send all messages, in one step; return the handle of the whole.

        A `workflow_id` of one's own makes that safe to do again: there is one of each.

        Raises:
            ArgumentError: a reference leads to nothing.
            ConfigurationError: it cannot be sent as it is, and why.
            DuplicateJobError: a job has the id that a message brings.
            EnqueueError: the store did not confirm; nothing is sent in part.
        """
        made: Workflow[R_co] = self.sender.send_workflow(self, workflow_id)
        return made

    async def enqueue_async(self, *, workflow_id: str | None = None) -> Workflow[R_co]:
        """Send all messages without holding the event loop; as `enqueue`."""
        return await asyncio.to_thread(self.enqueue, workflow_id=workflow_id)

    @property
    def sender(self) -> Sender:
        """Return the application that sends it.

        Raises:
            ConfigurationError: there is no message in it.
        """
        for message in _messages(self):
            return message.sender
        raise ConfigurationError("a workflow without a message: nothing is to be sent")

    def plan(self, workflow_id: str, prefix: str, *, behind: str = "") -> Plan:
        """Return the nodes, their ids made of the prefix.

        Those that wait for none of them wait for the node that they come `behind`.

        Raises:
            ArgumentError: a reference leads to nothing.
            ConfigurationError: it cannot be sent as it is, and why.
        """
        planned = _Planned(prefix, behind)
        result = planned.step(self, None).value
        if len(planned.nodes) > MOST_NODES:
            raise ConfigurationError(
                f"a workflow of {len(planned.nodes)} messages: at most {MOST_NODES} "
                "are sent at once; send parts from its jobs, by current_job().fan_out"
            )
        nodes = tuple(planned.nodes.values())
        return Plan(id=workflow_id, nodes=nodes, result=result)


Typed = Message[R] | Flow[R] | Callee[R]
Step = Typed[Any]


@overload
def chain(last: Typed[R], /) -> Flow[R]: ...


@overload
def chain(first: Step, last: Typed[R], /) -> Flow[R]: ...


@overload
def chain(first: Step, second: Step, last: Typed[R], /) -> Flow[R]: ...


@overload
def chain(first: Step, second: Step, third: Step, last: Typed[R], /) -> Flow[R]: ...


@overload
def chain(first: Step, /, *rest: Step) -> Flow[Any]: ...


def chain(first: Step, /, *rest: Step) -> Flow[Any]:
    """Run one after another; `previous` is what the one before has returned.

    A task without arguments takes that as its one argument. Behind a group it is the
    list of its results.

    Raises:
        ConfigurationError: one is no message, no task and no flow.
    """
    return Flow("chain", _steps("chain", (first, *rest)))


def group(*members: Typed[R], limit: int | None = None) -> Flow[list[R]]:
    """Run side by side; the result is the list of theirs, in this order.

    Raises:
        ConfigurationError: one is no message, no task and no flow, or the limit is no
            positive number.
    """
    if limit is not None and (type(limit) is not int or limit < 1):
        raise ConfigurationError(f"group(limit={limit!r}): expected 1 or more, or None")
    return Flow("group", _steps("group", members), limit)


def chord(
    members: Iterable[Step] | Flow[list[Any]],
    then: Typed[R],
    *,
    limit: int | None = None,
) -> Flow[R]:
    """Run side by side, then one more: `previous` in it is the list of results.

    Raises:
        ConfigurationError: one is no message, no task and no flow, or the limit is no
            positive number.
    """
    return Flow("chain", (grouped("chord", members, limit), *_steps("chord", [then])))


def workflow(end: Message[R]) -> Flow[R]:
    """Run a message, and before it all those that it refers to.

    Raises:
        ConfigurationError: it is no message.
    """
    return Flow("chain", _steps("workflow", [end]))


def grouped(
    of: str, members: Iterable[Step] | Flow[list[Any]], limit: int | None
) -> Flow[list[Any]]:
    """Return the group of some members; one that was made by `group` stays it.

    Raises:
        ConfigurationError: they are no members, or the limit is no positive number.
    """
    # A message is a tuple: its parts would be taken for members.
    if isinstance(members, Message) or not isinstance(members, Iterable | Flow):
        raise ConfigurationError(
            f"{of}({members!r:.80}): expected a list of messages, or a group"
        )
    if not isinstance(members, Flow):
        return group(*members, limit=limit)
    inner: Flow[list[Any]] = members if members.kind == "group" else group(members)
    return inner if limit is None else group(*inner.steps, limit=limit)


def _steps(of: str, given: Iterable[Step]) -> tuple[Step, ...]:
    steps = tuple(given)
    for each in steps:
        if not (isinstance(each, Message | Flow) or _is_task(each)):
            raise ConfigurationError(f"{of}({each!r:.80}): {_advice(each)}")
    return steps


def _is_task(value: object) -> bool:
    return callable(getattr(value, "message", None))


def _advice(value: object) -> str:
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return "expected messages one by one: put a * in front of a list of them"
    if callable(value):
        return "a function that is no task: make it one with @app.task"
    return "expected a message, as task.message(...), a task, or a flow of them"


def _messages(step: Step) -> Iterator[Message[Any]]:
    match step:
        case Message():
            yield step
        case Flow(steps=steps):
            for each in steps:
                yield from _messages(each)
        case _:
            yield step.message(previous)


class _Done(NamedTuple):
    """What comes of a step."""

    #: What it returns, as references.
    value: object
    #: The nodes that it ends with: what comes behind it waits for them.
    ids: tuple[str, ...]


class _Planned:
    """The nodes found so far; the same message is the same node wherever it stands."""

    def __init__(self, prefix: str, behind: str) -> None:
        self._prefix = prefix
        self._behind = behind
        #: By identity; the message is kept, so that this stays its own.
        self._ids: dict[int, tuple[Message[Any], str]] = {}
        self._order: list[str] = []
        #: Those whose parents are being found.
        self._under_way: set[int] = set()
        self._count = self._lines = 0
        self.nodes: dict[str, Node] = {}

    def step(self, step: Step, before: _Done | None) -> _Done:
        """Return what comes of a step; what it needs becomes nodes.

        `before` is what comes of the one before, None where it is the first.
        """
        match step:
            case Message():
                return self._message(step, before)
            case Flow(kind="group"):
                return self._group(step, before)
            case Flow(steps=steps):
                done = before
                for each in steps:
                    done = self.step(each, done)
                return cast("_Done", done)
            case _ if before is None:
                raise ArgumentError(
                    f"{step!r} stands where nothing comes before, so that it has no "
                    "argument: give it one, as task.message(...)"
                )
            case _:
                return self._message(step.message(previous), before)

    def _group(self, flow: Flow[Any], before: _Done | None) -> _Done:
        members: list[_Done] = []
        self._lines += flow.limit is not None
        line = f"{self._prefix}-{self._lines}"
        for place, each in enumerate(flow.steps):
            known = len(self._order)
            members.append(self.step(each, before))
            if flow.limit is not None:
                limit = flow.limit if place >= flow.limit else 0
                new, ids = self._order[known:], members[-1].ids
                self._stand_in_line(line, limit, new, ids)
        ends = dict.fromkeys(name for each in members for name in each.ids)
        # Without members there is nothing to wait for but what came before.
        behind = before.ids if before and not members else ()
        return _Done([each.value for each in members], (*ends, *behind))

    def _stand_in_line(
        self, line: str, limit: int, new: list[str], ids: Sequence[str]
    ) -> None:
        """Have a member begin in its turn, unless no limit holds it up."""
        nodes = [self.nodes[name] for name in new]
        firsts = [each.id for each in nodes if set(new).isdisjoint(each.parents)]
        lasts = [name for name in ids if name in new]
        if len(firsts) != 1 or len(lasts) != 1:
            raise ConfigurationError(
                "group(limit=...): each member is to begin and to end with one message "
                f"of its own; one begins with {len(firsts)}, and ends with {len(lasts)}"
            )
        if limit:
            first = self.nodes[firsts[0]]
            self.nodes[first.id] = replace(first, line=line, limit=limit)
        last = self.nodes[lasts[0]]
        self.nodes[last.id] = replace(last, leaves=line)

    def _message(self, message: Message[Any], before: _Done | None) -> _Done:
        if (known := self._ids.get(id(message))) is not None:
            return _Done(reference_to(known[1]), (known[1],))
        if id(message) in self._under_way:
            raise ConfigurationError(f"{message.task}(after=...): it waits for itself")
        self._under_way.add(id(message))
        arguments, parents = self._awaited(message, before)
        node_id = self._named(message)
        self._ids[id(message)] = (message, node_id)
        self._order.append(node_id)
        undo = self._compensation(message, node_id)
        self.nodes[node_id] = Node(
            id=node_id,
            message=message._replace(arguments=arguments),
            parents=parents,
            on_failure=message.options.get("on_failure", "fail_fast"),
            undo=undo.id if undo else "",
        )
        if undo:
            self.nodes[undo.id] = undo
        return _Done(reference_to(node_id), (node_id,))

    def _awaited(
        self, message: Message[Any], before: _Done | None
    ) -> tuple[Arguments, tuple[str, ...]]:
        """Return its arguments, filled, and the nodes that it waits for."""
        parents: dict[str, None] = {}

        def wait_for(done: _Done) -> object:
            parents.update(dict.fromkeys(done.ids))
            return done.value

        def fill(reference: Reference) -> object:
            if reference.message is not None:
                return wait_for(self._message(_of(reference), None))
            if before is None:
                raise ArgumentError(
                    f"{message.task}: `previous` stands where nothing comes before"
                )
            return wait_for(before)

        arguments = _filled(message, fill)
        for other in message.options.get("after", ()):
            wait_for(self._message(cast("Message[Any]", other), None))
        if before:
            wait_for(before)
        if self._behind and not parents:
            parents[self._behind] = None
        return arguments, tuple(parents)

    def _compensation(self, message: Message[Any], node_id: str) -> Node | None:
        undo = cast("Message[Any] | None", message.options.get("compensate"))
        if undo is None:
            return None

        def fill(reference: Reference) -> object:
            if reference.message is not None:
                raise ArgumentError(
                    f"{undo.task}, which undoes {message.task}, can refer to what that "
                    "has returned alone, as `previous`"
                )
            return reference_to(node_id)

        arguments = _filled(undo, fill)
        return Node(
            id=self._named(undo),
            message=undo._replace(arguments=arguments),
            undoes=node_id,
        )

    def _named(self, message: Message[Any]) -> str:
        for option, none in (("repeat", None), ("unique", False)):
            if message.options.get(option):
                raise ConfigurationError(
                    f"{message.task}({option}=...) cannot be part of a workflow: send "
                    f"it there with using({option}={none})"
                )
        self._count += 1
        node_id = message.options.get("job_id") or f"{self._prefix}-{self._count}"
        if node_id in self.nodes:
            raise ConfigurationError(
                f"{message.task}(job_id={node_id!r}): two messages of one workflow"
            )
        return node_id


def _of(reference: Reference) -> Message[Any]:
    return cast("Message[Any]", reference.message)


def _filled(message: Message[Any], fill: Callable[[Reference], object]) -> Arguments:
    def written(value: object) -> object:
        if isinstance(value, Open):
            return filled(value.value, fill)
        for job_id in named(value):
            raise ArgumentError(
                f"{message.task}({{{KEY!r}: {job_id!r}}}): in a workflow this key "
                "stands for the result of a job; write `message.result`"
            )
        return value

    arguments = message.arguments
    return Arguments(
        tuple([written(value) for value in arguments.args]),
        {name: written(value) for name, value in arguments.kwargs.items()},
    )
