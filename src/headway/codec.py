"""Arguments and results as JSON, and back by the task's own annotations.

msgspec does the work: it knows datetime, date, UUID, Decimal, bytes, Enum, tuples,
sets, dataclasses, TypedDict, NamedTuple and attrs by their annotations, needs no
class of its own, has no dependencies, and costs a few microseconds a call
(pydantic-core would need a model built for each signature).

The promise is kept by trying: what is sent is read back at once, and refused when
it would not arrive equal. JSON turns a tuple into a list and a datetime into text;
an annotation that says so brings them back, and where none does, the sender hears
of it and not the worker.
"""

from __future__ import annotations

import collections.abc
import functools
import inspect
import itertools
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import PurePath
from typing import Any, NamedTuple, TypeGuard

import msgspec

from headway.errors import ArgumentError, ConfigurationError, ResultError
from headway.reference import Open, opened, references
from headway.resource import Resource, injected

#: Annotations that promise no more than "something to go through": lists will do.
_ABSTRACT = (
    collections.abc.Sequence,
    collections.abc.Iterable,
    collections.abc.Collection,
)


#: JSON's own types: such a value arrives as it is where its annotation is its type.
_PLAIN = frozenset[type]([int, float, str, bool, type(None)])
_INTEGERS = range(-(2**63), 2**63)
#: Shapes of calls to remember; `**kwargs` may have any number of them.
_SHAPES = 100

#: Name and annotation of a parameter, and the types that need no conversion.
Place = tuple[str, Any, frozenset[type]]

NO_NAN = "JSON has no NaN and no infinity: send None or a text"


class Arguments(NamedTuple):
    """A call's arguments in JSON's own types, in the shape they were given."""

    # A tuple, as one is made for every call: it takes a third of the time.
    args: tuple[object, ...]
    kwargs: Mapping[str, object]


class Signature:
    """What a function takes and returns, as far as JSON is concerned."""

    def __init__(self, function: Callable[..., object], name: str) -> None:
        self._function = function
        self._name = name
        self._signature = _signature_of(function)
        self._hints: dict[str, Any] | None = None
        #: What `bind` found, by the number of arguments and the keywords.
        self._shapes: dict[tuple[object, ...], list[Place]] = {}
        #: The parameters that a worker fills in, and no call.
        self.injected = frozenset(
            parameter.name
            for parameter in self._signature.parameters.values()
            if parameter.default is injected
        )

    def write(self, args: Sequence[object], kwargs: Mapping[str, object]) -> Arguments:
        """Turn a call's arguments into JSON's own types.

        Raises:
            ArgumentError: the call does not fit the function, or an argument
                would not arrive as it was sent; the message names it.
            ConfigurationError: an annotation cannot be resolved.
        """
        given = (*args, *kwargs.values()) if kwargs else args
        places = self._shapes.get((len(args), *kwargs))
        if places is None:
            places = self._places(args, kwargs)
        written = [
            value
            if type(value) in plain and _is_plain(value)
            else self._write_one(name, annotation, value)
            for (name, annotation, plain), value in zip(places, given, strict=True)
        ]
        if not kwargs:
            return Arguments(tuple(written), {})
        return Arguments(
            args=tuple(written[: len(args)]),
            kwargs=dict(zip(kwargs, written[len(args) :], strict=True)),
        )

    def read(
        self,
        args: Sequence[object],
        kwargs: Mapping[str, object],
        *,
        source: str = "The job was sent with other types than the code has now",
    ) -> tuple[list[Any], dict[str, Any]]:
        """Restore arguments that `write` made, by the function's annotations.

        Raises:
            ArgumentError: they do not fit the function, as when its code has
                changed since the job was sent; the message names the argument, and
                ends with their source.
        """
        places = self._places(args, kwargs)
        given = (*args, *kwargs.values()) if kwargs else args
        read = [
            value
            if type(value) in plain
            else self._read_one(name, annotation, value, source)
            for (name, annotation, plain), value in zip(places, given, strict=True)
        ]
        if not kwargs:
            return read, {}
        return read[: len(args)], dict(zip(kwargs, read[len(args) :], strict=True))

    def write_result(self, value: object) -> bytes:
        """Return what the task returned as JSON.

        Raises:
            ResultError: it cannot be written as JSON.
        """
        try:
            return _ENCODER.encode(value)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise ResultError(
                f"{self._name}() returned {_shown(value)}, which cannot be written "
                f"as JSON ({error}): return plain values or a dataclass, or store it "
                "and return where it is"
            ) from error

    def read_result(self, value: object) -> Any:  # noqa: ANN401 - the caller knows
        """Restore a result by the function's return annotation.

        Raises:
            ResultError: it does not fit the annotation.
        """
        try:
            return _convert(value, self._annotations().get("return", Any))
        except (msgspec.ValidationError, TypeError, ValueError) as error:
            raise ResultError(
                f"the result of {self._name}(), {_shown(value)}, does not fit its "
                f"return annotation: {error}"
            ) from error

    def named(self, arguments: Arguments) -> dict[str, object]:
        """Return the arguments by parameter, however the call was spelled."""
        bound = self._signature.bind(*arguments.args, **arguments.kwargs)
        return dict(bound.arguments)

    @functools.cached_property
    def resources(self) -> dict[str, Resource[Any]]:
        """Return the resource behind each parameter that a worker fills in.

        Raises:
            ConfigurationError: a parameter lacks its resource or its default.
        """
        found = {name: _resource_of(hint) for name, hint in self._annotations().items()}
        resources = {name: one for name, one in found.items() if one is not None}
        for name in self.injected.symmetric_difference(resources):
            raise ConfigurationError(
                f"{self._name}(): a resource is taken as `{name}: Annotated[Pool, "
                "database] = injected`; the annotation or the default is missing"
            )
        return resources

    def refuse_lacking(
        self, args: Sequence[object], kwargs: Mapping[str, object]
    ) -> None:
        """Refuse a call, made here and now, in which no resource was passed.

        Raises:
            ArgumentError: naming the parameter.
        """
        bound = self._signature.bind_partial(*args, **kwargs)
        for name in sorted(self.injected.difference(bound.arguments)):
            raise ArgumentError(
                f"{self._name}(): {name} is filled in by a worker, and this call is "
                f"made here and now: pass it, as {name}=..."
            )

    def _places(
        self, args: Sequence[object], kwargs: Mapping[str, object]
    ) -> list[Place]:
        """Return the parameter behind each argument; remembered, for `bind` is slow."""
        shape = (len(args), *kwargs)
        places = self._shapes.get(shape)
        if places is None:
            places = self._bound(args, kwargs)
            if len(self._shapes) < _SHAPES:
                self._shapes[shape] = places
        return places

    def _bound(
        self, args: Sequence[object], kwargs: Mapping[str, object]
    ) -> list[Place]:
        _ = self.resources  # a mistake in the definition is the sender's to hear
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise ArgumentError(f"{self._name}{self._signature}: {error}") from error
        self._refuse_injected(bound)
        parameters = self._signature.parameters
        positional = [
            parameter.name
            for parameter in parameters.values()
            if parameter.kind not in (parameter.KEYWORD_ONLY, parameter.VAR_KEYWORD)
        ]
        rest = {p.kind: p.name for p in parameters.values()}.get(
            inspect.Parameter.VAR_KEYWORD
        )
        by_name = {
            p.name
            for p in parameters.values()
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        }
        last = len(positional) - 1
        hints = self._annotations()
        owners = [positional[min(i, last)] for i in range(len(args))]
        places = [_place(name, hints.get(name, Any)) for name in owners]
        for key in kwargs:
            owner = key if key in by_name else rest or key
            places.append(_place(key, hints.get(owner, Any)))
        return places

    def _refuse_injected(self, bound: inspect.BoundArguments) -> None:
        for name in sorted(self.injected.intersection(bound.arguments)):
            raise ArgumentError(
                f"{self._name}({name}=...): a resource does not travel; leave it out, "
                "and the worker fills it in"
            )

    def _annotations(self) -> dict[str, Any]:
        # At first use, not at definition: a class may be defined further down.
        if self._hints is None:
            try:
                self._hints = typing.get_type_hints(self._function, include_extras=True)
            except (NameError, TypeError, AttributeError) as error:
                raise ConfigurationError(
                    f"the annotations of {self._name}() cannot be read: {error}. A "
                    "task's types are needed when it runs: import them outside of "
                    "`if TYPE_CHECKING:`"
                ) from error
        return self._hints

    def _write_one(self, name: str, annotation: Any, value: object) -> object:  # noqa: ANN401
        try:
            if (
                next(references(value), None) is not None
            ):  # checked when it is known what fills them
                return Open(opened(value, _written))
            written = msgspec.json.encode(value, enc_hook=_encode)
            arrived = msgspec.json.decode(written, type=annotation, dec_hook=_decode)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            reason = NO_NAN if _is_no_number(value) else error
            raise ArgumentError(
                f"{self._name}({name}={_shown(value)}) cannot be sent: {reason}"
            ) from error
        if not _same(value, arrived, annotation):
            raise ArgumentError(
                f"{self._name}({name}={_shown(value)}) would arrive as "
                f"{_shown(arrived)}. {_way_out(name, annotation, value)}"
            )
        return msgspec.json.decode(written)

    def _read_one(
        self,
        name: str,
        annotation: Any,  # noqa: ANN401
        value: object,
        source: str,
    ) -> object:
        try:
            return _convert(value, annotation)
        except (msgspec.ValidationError, TypeError, ValueError) as error:
            raise ArgumentError(
                f"{self._name}({name}={_shown(value)}): {error}. {source}"
            ) from error


def _signature_of(function: Callable[..., object]) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except ValueError:  # some functions written in C do not tell
        return inspect.signature(lambda *args, **kwargs: None)  # noqa: ARG005


def _place(name: str, annotation: Any) -> Place:  # noqa: ANN401
    return name, annotation, _plain_types(annotation)


def _plain_types(annotation: Any) -> frozenset[type]:  # noqa: ANN401
    """Return the types whose values arrive unchanged, by an annotation."""
    if annotation is Any or annotation is object:
        return _PLAIN
    if annotation is None:
        annotation = type(None)
    if isinstance(annotation, type) and annotation in _PLAIN:
        return frozenset([annotation])
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        of_each = [_plain_types(kind) for kind in typing.get_args(annotation)]
        if all(of_each):
            return frozenset(itertools.chain.from_iterable(of_each))
    return frozenset()


def _is_plain(value: object) -> bool:
    """Tell whether JSON carries a value of `_PLAIN` types as it is."""
    if isinstance(value, str):
        return value.isascii() or value.isprintable()  # not half a surrogate pair
    if isinstance(value, float):
        return math.isfinite(value)
    return value in _INTEGERS if isinstance(value, int) else True


def _convert(value: object, annotation: Any) -> Any:  # noqa: ANN401
    return msgspec.convert(value, annotation, str_keys=True, dec_hook=_decode)


def _encode(value: object) -> object:
    if isinstance(value, PurePath):
        return str(value)
    if hasattr(value, "model_dump"):  # pydantic's models, without importing it
        return value.model_dump(mode="json")  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(value, Signature):  # a message is a tuple, and has one
        raise TypeError("a message has no form in JSON: write message.result")
    raise TypeError(
        f"{type(value).__qualname__} has no form in JSON: send what it is made of, as "
        "a dict or a dataclass, or an id to find it by"
    )


def _written(value: object) -> object:
    written: object = msgspec.json.decode(msgspec.json.encode(value, enc_hook=_encode))
    return written


_ENCODER = msgspec.json.Encoder(enc_hook=_encode)


def _decode(kind: Any, value: Any) -> Any:  # noqa: ANN401 - msgspec's hook
    if isinstance(kind, type) and issubclass(kind, PurePath):
        return kind(value)
    if kind is object:  # as good as Any
        return value
    if hasattr(kind, "model_validate"):
        return kind.model_validate(value)
    raise TypeError(f"{_named(kind)} cannot be made from JSON")


def _resource_of(annotation: object) -> Resource[Any] | None:
    metadata = getattr(annotation, "__metadata__", ())
    return next((one for one in metadata if isinstance(one, Resource)), None)


def _same(sent: object, arrived: object, annotation: object) -> bool:
    if typing.get_origin(annotation) in _ABSTRACT and isinstance(sent, tuple):
        sent = list(sent)
    if _is_aware(sent) and _is_aware(arrived):
        # In an hour that a zone repeats, Python calls no time of another zone equal.
        sent, arrived = sent.astimezone(UTC), arrived.astimezone(UTC)
    # True == 1 and 1.0 == 1 in Python, but neither pair means the same to a task.
    kinds = (bool, type(None))
    if isinstance(sent, kinds) is not isinstance(arrived, kinds):
        return False
    return bool(sent == arrived)


def _is_aware(value: object) -> TypeGuard[datetime]:
    return isinstance(value, datetime) and value.tzinfo is not None


def _is_no_number(value: object) -> bool:
    return isinstance(value, float | Decimal) and not math.isfinite(value)


def _shown(value: object, longest: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= longest else f"{text[:longest]}..."


def _named(annotation: object) -> str:
    if annotation is Any:
        return "without one, or Any"
    return getattr(annotation, "__qualname__", None) or str(annotation)


def _way_out(name: str, annotation: object, value: object) -> str:
    if _is_no_number(value):
        return NO_NAN
    return (
        f"Its annotation ({_named(annotation)}) does not say enough to restore it: "
        f"write the exact type, as `{name}: {_type_of(value)}`"
    )


def _type_of(value: object) -> str:
    """Return the annotation that would bring the value back."""
    name = type(value).__qualname__
    if isinstance(value, tuple):
        return f"tuple[{', '.join(map(_type_of, value)) or '()'}]"
    if isinstance(value, list | set | frozenset):
        return f"{name}[{_either(value)}]"
    if isinstance(value, dict):
        return f"dict[{_either(value)}, {_either(value.values())}]"
    return "None" if value is None else name


def _either(values: Iterable[object]) -> str:
    return " | ".join(dict.fromkeys(map(_type_of, values))) or "Any"
