"""Signatures as messages: one is a job, several are a workflow of Headway's.

Celery runs the header of a chord to its end whatever fails in it, and the body learns
of that: so these nodes go on, and a task is refused behind one that has failed. What
follows a failed step of a plain chain is canceled with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from headway.flow import Flow, Step, chain, group
from headway.message import Message
from headway.reference import previous
from headway.shims.celery.eager import applied as task_applied
from headway.shims.celery.result import GroupResult
from headway.shims.celery.running import many
from headway.shims.celery.utils import uuid

#: Options of a chain that are for its first step alone.
_OF_THE_FIRST = ("countdown", "eta")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the whole a signature stands."""

    #: What is passed to it, where nothing comes before: partial arguments.
    args: tuple[Any, ...] = ()
    has_previous: bool = False
    #: Whether a body is to hear of its failure.
    in_header: bool = False
    #: The result of what comes before.
    parent: Any = None


@dataclass(frozen=True, slots=True)
class Built:
    """What is sent of a signature, and what is asked about it."""

    step: Step
    result: Any


def sent(sig: Any) -> Any:
    """Send a signature; return its result.

    Raises:
        EnqueueError: the store did not confirm.
    """
    if sig.subtask_type is None:
        return sig.app.send_task(sig.task, sig.args, sig.kwargs, **sig.options)
    if sig.subtask_type == "group":
        return _sent_group(sig)
    built = _built(sig, Place())
    _enqueue([built.step], sig.app)
    return built.result


def _sent_group(sig: Any) -> GroupResult:
    """Send members of their own: no failure of one is another's."""
    built = [_built(each, Place(args=sig.args)) for each in _members(sig)]
    _enqueue([each.step for each in built], sig.app)
    results = [each.result for each in built]
    return GroupResult(uuid(), results, app=sig.app)


def _enqueue(steps: Sequence[Step], app: Any) -> None:
    messages = [each for each in steps if isinstance(each, Message)]
    if messages:
        app.headway.send(messages)
    for each in steps:
        if isinstance(each, Flow):
            each.enqueue()


def _built(sig: Any, place: Place) -> Built:
    match sig.subtask_type:
        case "chain":
            return _chain(sig, place)
        case "group":
            return _group(sig, place)
        case "chord":
            return _chord(sig, place)
        case _:
            return _one(sig, place)


def _one(sig: Any, place: Place) -> Built:
    options = {"task_id": uuid(), **sig.options}
    args = sig.args if sig.immutable else (*place.args, *sig.args)
    message = sig.app.message(
        sig.task,
        args,
        sig.kwargs,
        options,
        before=previous if place.has_previous else None,
        takes_it=place.has_previous and not sig.immutable,
        on_failure="continue" if place.in_header else None,
    )
    result = sig.app.AsyncResult(options["task_id"], parent=place.parent)
    return Built(message, result)


def _chain(sig: Any, place: Place) -> Built:
    steps = _with_options(sig, sig.tasks, first=0, last=-1)
    args, parent, has_previous = (
        (*place.args, *sig.args),
        place.parent,
        place.has_previous,
    )
    flows: list[Step] = []
    for number, each in enumerate(steps):
        is_header = each.subtask_type == "group" and number + 1 < len(steps)
        at = Place(args, has_previous, place.in_header or is_header, parent)
        built = _built(each, at)
        flows.append(built.step)
        args, parent, has_previous = (), built.result, True
    return Built(chain(*flows), parent)


def _group(sig: Any, place: Place) -> Built:
    args = (*place.args, *sig.args)
    at = Place(args, place.has_previous, place.in_header, place.parent)
    built = [_built(each, at) for each in _members(sig)]
    results = [each.result for each in built]
    step = group(*(each.step for each in built))
    return Built(step, GroupResult(uuid(), results, place.parent, sig.app))


def _chord(sig: Any, place: Place) -> Built:
    at = replace(place, args=(*place.args, *sig.args), in_header=True)
    before = _group(sig, at)
    (body,) = _with_options(sig, [sig.body.clone()], first=0, last=0)
    then = _built(
        body, replace(place, args=(), has_previous=True, parent=before.result)
    )
    return Built(chain(before.step, then.step), then.result)


def _members(sig: Any) -> list[Any]:
    """Return the tasks side by side, told what was said of the whole."""
    ours = {} if sig.subtask_type == "chord" else sig.options
    return [each.set(**{**each.options, **ours}) for each in sig.tasks]


def _with_options(sig: Any, steps: list[Any], *, first: int, last: int) -> list[Any]:
    """Say of the steps what was said of the whole."""
    options = dict(sig.options)
    for word in _OF_THE_FIRST:
        if word in options:
            steps[first].set(**{word: options.pop(word)})
    for word in ("link", "task_id"):
        if word in options:
            found = options.pop(word)
            known = many(steps[last].options.get(word))
            steps[last].set(
                **{word: [*known, *many(found)] if word == "link" else found}
            )
    errbacks = many(options.pop("link_error", None))
    for each in steps:
        if errbacks:
            each.set(link_error=[*many(each.options.get("link_error")), *errbacks])
        each.set(**{**options, **each.options})
    return steps


# Here and now


def applied(sig: Any, args: tuple[Any, ...]) -> Any:
    """Do here what a worker would, one after the other; return the result."""
    match sig.subtask_type:
        case "chain":
            return _applied_chain(sig, args)
        case "group":
            given = (*args, *sig.args)
            results = [applied(each, given) for each in _members(sig)]
            return GroupResult(uuid(), results, app=sig.app)
        case "chord":
            given = (*args, *sig.args)
            found = [applied(each, given).get() for each in sig.tasks]
            (body,) = _with_options(sig, [sig.body.clone()], first=0, last=0)
            return applied(body, (found,))
        case _:
            given = sig.args if sig.immutable else (*args, *sig.args)
            words = {k: v for k, v in sig.options.items() if k != "args"}
            return task_applied(sig.type, given, sig.kwargs, **words)


def _applied_chain(sig: Any, args: tuple[Any, ...]) -> Any:
    result, given = None, (*args, *sig.args)
    for each in _with_options(sig, sig.tasks, first=0, last=-1):
        before, result = result, applied(each, given)
        result.parent = before
        if result.failed():
            break
        given = (result.get(),)
    return result
