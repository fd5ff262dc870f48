"""A place in a call's arguments that the result of another job is to fill.

`message.result` and `previous` make one. It travels as a JSON object with one reserved
key that names the job, and is filled when the call is delivered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self, cast

#: The one key of an object that stands for a result.
KEY = "headway:result"


class Reference:
    """The result of a message that will have been sent, or of what stands before."""

    __slots__ = ("message",)

    def __init__(self, message: object) -> None:
        #: None is whatever stands before, in a chain or a chord.
        self.message = message

    def __repr__(self) -> str:
        return "previous" if self.message is None else f"the result of {self.message!r}"

    # What would be done with a value here and now is a mistake, and not told by types.

    def __str__(self) -> str:
        raise TypeError(self._not_there())

    def __format__(self, spec: str) -> str:
        raise TypeError(self._not_there())

    def __bool__(self) -> bool:
        raise TypeError(self._not_there())

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - of whatever type
        raise AttributeError(f"{self._not_there()} (.{name})")

    def _not_there(self) -> str:
        return (
            f"{self!r} is not there yet: make it an argument of a message, and do the "
            "rest in its task"
        )


#: What the step before in a chain returns, or in a chord the list of all results.
previous: Any = Reference(None)


@dataclass(frozen=True, slots=True)
class Open:
    """An argument in JSON's own types, but for the references that it holds."""

    value: object

    def __repr__(self) -> str:
        return repr(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What takes the place of a result, where the workflow goes on without it."""

    job_id: str
    task: str
    #: "failed", "stopped", "canceled" or "deleted".
    status: str
    #: The last line of what was raised.
    error: str


_OF_A_FAILURE = {each.name for each in fields(Failure)}


def is_failure(value: object) -> bool:
    """Tell whether a value which has travelled is a `Failure`."""
    return isinstance(value, Mapping) and set(cast("Any", value)) == _OF_A_FAILURE


def failures(value: object) -> Iterator[str]:
    """Yield the ids of those jobs whose `Failure` a value has, which has travelled."""
    if isinstance(value, Mapping):
        found = cast("Mapping[str, object]", value)
        if is_failure(found):
            yield str(found["job_id"])
        for each in found.values():
            yield from failures(each)
    elif isinstance(value, list | tuple):
        for each in cast("list[object]", value):
            yield from failures(each)


class Words(str):
    """A reference as a person reads it; no text in quotes."""

    __slots__ = ()

    def __new__(cls, name: str) -> Self:
        """Say whose result it is, without the module of a task."""
        return super().__new__(cls, f"result of {name.rpartition('.')[2]}")

    def __repr__(self) -> str:
        return str(self)


def references(value: object) -> Iterator[Reference]:
    """Yield the references in lists, tuples and the values of dicts, however deep."""
    if isinstance(value, Reference):
        yield value
    elif isinstance(value, dict):
        for each in cast("dict[Any, object]", value).values():
            yield from references(each)
    elif isinstance(value, list | tuple):
        for each in cast("list[object]", value):
            yield from references(each)


def opened(value: object, write: Callable[[object], object]) -> object:
    """Return a value whose parts are written, but for its references."""
    if isinstance(value, Reference):
        return value
    if isinstance(value, dict):
        found = cast("dict[str, object]", value)
        return {name: opened(each, write) for name, each in found.items()}
    if isinstance(value, list | tuple):
        return [opened(each, write) for each in cast("list[object]", value)]
    return write(value)


def filled(value: object, fill: Callable[[Reference], object]) -> object:
    """Return an opened value with each of its references filled."""
    if isinstance(value, Reference):
        return fill(value)
    if isinstance(value, dict):
        found = cast("dict[str, object]", value)
        return {name: filled(each, fill) for name, each in found.items()}
    if isinstance(value, list):
        return [filled(each, fill) for each in cast("list[object]", value)]
    return value


def reference_to(job_id: str) -> dict[str, str]:
    """Return a reference as it travels."""
    return {KEY: job_id}


def named(value: object) -> list[str]:
    """Return the ids of the jobs that a value which has travelled refers to."""
    found: dict[str, None] = {}
    resolved(value, found.setdefault)
    return list(found)


def in_words(value: object, tasks: Mapping[str, str]) -> object:
    """Return a value which has travelled with its references as a person reads them.

    They name the task, where it is among `tasks` by id, else the job.
    """
    return resolved(value, lambda job_id: Words(tasks.get(job_id, job_id)))


def resolved(value: object, result_of: Callable[[str], object]) -> object:
    """Return a value which has travelled with each reference in it filled."""
    if isinstance(value, Mapping):
        found = cast("Mapping[str, object]", value)
        if len(found) == 1 and isinstance(job_id := found.get(KEY), str):
            return result_of(job_id)
        return {name: resolved(each, result_of) for name, each in found.items()}
    if isinstance(value, list | tuple):
        return [resolved(each, result_of) for each in cast("list[object]", value)]
    return value
