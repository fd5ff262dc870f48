from __future__ import annotations

import enum
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TypedDict
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.codec import Signature
from headway.errors import ArgumentError, ConfigurationError, ResultError


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


@dataclass
class Point:
    x: int
    tags: tuple[str, ...] = ()


@dataclass
class Tree:
    at: Point
    moment: datetime
    children: list[Tree]


class Named(NamedTuple):
    x: int
    y: str


class Typed(TypedDict):
    when: date


class Unequal:
    pass


def _travel(annotation: object, value: object) -> object:
    def function(x):
        pass

    function.__annotations__["x"] = annotation
    signature = Signature(function, "tasks.f")
    written = signature.write([value], {})
    args, _ = signature.read(written.args, written.kwargs)
    return args[0]


TRAVELS = [
    (int, 2**63),
    (int, -(10**30)),
    (int, -5),
    (float, 0.1),
    (float, 1),
    (bool, True),
    (str, "æøå \U0001f40d \x00 '\""),
    (type(None), None),
    (int | None, None),
    (datetime, datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)),
    (datetime, datetime(2026, 1, 2, 3, 4, 5)),  # noqa: DTZ001
    (datetime, datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=-5, minutes=-30)))),
    (datetime, datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Oslo"))),
    (datetime, datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Oslo"))),
    (date, date(2026, 2, 28)),
    (time, time(1, 2, 3)),
    (timedelta, timedelta(days=3, microseconds=1)),
    (UUID, UUID(int=7)),
    (Decimal, Decimal("1.10")),
    (bytes, bytes(range(256))),
    (Path, Path("/a/b c")),
    (PurePosixPath, PurePosixPath("a")),
    (Path | None, Path("x")),
    (Colour, Colour.RED),
    (Level, Level.LOW),
    (Point, Point(x=1, tags=("a", "b"))),
    (
        Tree,
        Tree(
            at=Point(x=1),
            moment=datetime(2026, 1, 1, tzinfo=UTC),
            children=[Tree(Point(2), datetime(2026, 1, 2, tzinfo=UTC), [])],
        ),
    ),
    (Named, Named(1, "y")),
    (Typed, {"when": date(2026, 1, 1)}),
    (tuple[int, str], (1, "a")),
    (tuple[datetime, ...], (datetime(2026, 1, 1, tzinfo=UTC),)),
    (set[int], {1, 2}),
    (frozenset[str], frozenset({"a"})),
    (list[Path], [Path("a"), Path("b")]),
    (dict[str, Decimal], {"a": Decimal(1)}),
    (dict[int, date], {1: date(2026, 1, 1)}),
    (dict[UUID, list[tuple[int, int]]], {UUID(int=1): [(1, 2)]}),
    (Mapping[str, int], {"a": 1}),
    (Any, {"a": [1, 2.5, None, True, "x"]}),
    (object, [1]),
    (dict[str, object], {"a": [1]}),
]


@pytest.mark.parametrize(("annotation", "value"), TRAVELS)
def test_what_is_annotated_arrives_as_it_was_sent(annotation, value):
    arrived = _travel(annotation, value)
    if isinstance(value, datetime) and value.tzinfo:
        assert arrived.astimezone(UTC) == value.astimezone(UTC)
        return
    assert arrived == value
    assert type(arrived) is (float if annotation is float else type(value))


def test_a_tuple_may_be_sent_where_any_sequence_will_do():
    assert _travel(Sequence[int], (1, 2)) == [1, 2]


REFUSED = [
    (int, "7"),
    (int, 1.5),
    (int, True),
    (bool, 1),
    (str, 1),
    (str, b"x"),
    (str, "\ud800"),
    (float, math.nan),
    (float, math.inf),
    (Any, math.nan),
    (Decimal, Decimal("NaN")),
    (list[int], ["a"]),
    (Any, (1, 2)),
    (Any, {1, 2}),
    (Any, datetime(2026, 1, 1, tzinfo=UTC)),
    (Any, UUID(int=1)),
    (Any, Decimal(1)),
    (Any, b"x"),
    (Any, Path("x")),
    (Any, {1: "a"}),
    (Any, Point(x=1)),
    (Any, object()),
    (Any, lambda: None),
    (Any, Unequal),
    (dict, {"a": {"b": (1,)}}),
    (list, [datetime(2026, 1, 1, tzinfo=UTC)]),
    (Unequal, Unequal()),
    (Colour, "green"),
    (Any, 1 + 2j),
    (Any, ValueError("x")),
    (Iterator[int], iter([1])),
]


@pytest.mark.parametrize(("annotation", "value"), REFUSED)
def test_what_would_not_arrive_is_refused_naming_the_argument(annotation, value):
    with pytest.raises(ArgumentError, match=r"^tasks\.f\(x="):
        _travel(annotation, value)


def test_an_argument_that_holds_itself_is_refused():
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ArgumentError, match=r"^tasks\.f\(x="):
        _travel(Any, endless)


def test_an_open_file_is_refused(tmp_path):
    with (
        (tmp_path / "x").open("w") as file,
        pytest.raises(ArgumentError, match="TextIOWrapper has no form in JSON"),
    ):
        _travel(Any, file)


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        ((1, "a"), "`x: tuple[int, str]`"),
        ({1, 2}, "`x: set[int]`"),
        (datetime(2026, 1, 1, tzinfo=UTC), "`x: datetime`"),
        ({1: "a"}, "`x: dict[int, str]`"),
        ([(1, None)], "`x: list[tuple[int, None]]`"),
        (Point(x=1), "`x: Point`"),
        (math.nan, "no NaN"),
    ],
)
def test_the_message_says_which_annotation_would_do(value, advice):
    with pytest.raises(ArgumentError) as caught:
        _travel(Any, value)
    assert advice in str(caught.value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_number_is_named_as_such_where_a_float_is_annotated(value):
    with pytest.raises(ArgumentError, match="JSON has no NaN and no infinity"):
        _travel(float, value)


def test_a_long_argument_is_cut_in_the_message():
    with pytest.raises(ArgumentError) as caught:
        _travel(int, "a" * 10_000)
    assert len(str(caught.value)) < 300


def f(a: int, /, b: date, *rest: UUID, c: Path, **more: Decimal) -> tuple[int, ...]:
    raise NotImplementedError


def test_each_kind_of_parameter_is_restored_by_its_own_annotation():
    signature = Signature(f, "f")
    ids = [UUID(int=1), UUID(int=2)]
    kwargs = {"c": Path("p"), "a": Decimal(2), "rest": Decimal(3), "d": Decimal(1)}
    written = signature.write([1, date(2026, 1, 1), *ids], kwargs)
    args, more = signature.read(written.args, written.kwargs)
    assert args == [1, date(2026, 1, 1), *ids]
    assert more == kwargs


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), ((1,), {}), ((1, 2, 3), {}), ((1,), {"z": 1}), ((1, 2), {"b": 2})],
)
def test_a_call_that_does_not_fit_is_refused_with_the_signature(args, kwargs):
    def two(a: int, b: int) -> None: ...

    with pytest.raises(ArgumentError, match=r"^two\(a: 'int', b: 'int'\) -> 'None': "):
        Signature(two, "two").write(args, kwargs)


def test_arguments_of_an_older_version_of_the_code_are_refused_with_the_reason():
    with pytest.raises(ArgumentError, match="other types than the code has now"):
        Signature(f, "f").read(["one", "2026-01-01"], {"c": "p"})


def test_an_annotation_that_exists_for_type_checkers_only_is_reported():
    def g(x: NotThere) -> None: ...  # noqa: F821

    with pytest.raises(ConfigurationError, match="if TYPE_CHECKING"):
        Signature(g, "g").write([1], {})


def test_the_same_call_has_the_same_named_arguments_however_it_is_spelled():
    def g(a: int, b: int = 2) -> None: ...

    signature = Signature(g, "g")
    spelled = [((1, 3), {}), ((1,), {"b": 3}), ((), {"b": 3, "a": 1})]
    assert [
        signature.named(signature.write(args, kwargs)) for args, kwargs in spelled
    ] == [{"a": 1, "b": 3}] * 3


@pytest.mark.parametrize(("annotation", "value"), TRAVELS)
def test_results_come_back_by_the_return_annotation(annotation, value):
    def function():
        pass

    function.__annotations__["return"] = annotation
    signature = Signature(function, "f")
    back = signature.read_result(json.loads(signature.write_result(value)))
    if isinstance(value, datetime) and value.tzinfo:
        back, value = back.astimezone(UTC), value.astimezone(UTC)
    assert back == value


@pytest.mark.parametrize("value", [object(), os, 1j])
def test_a_result_that_cannot_be_written_is_refused(value):
    with pytest.raises(ResultError, match=r"^f\(\) returned .*: return plain values"):
        Signature(lambda: value, "f").write_result(value)


def test_a_result_that_does_not_fit_its_annotation_is_refused():
    def g() -> int: ...

    with pytest.raises(ResultError, match="does not fit its return annotation"):
        Signature(g, "g").read_result("seven")


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=20,
)


@given(plain)
def test_whatever_json_can_say_travels_without_annotations(value):
    assert _travel(Any, value) == value


@given(
    st.lists(
        st.tuples(
            st.datetimes(timezones=st.just(UTC)),
            st.uuids(),
            st.decimals(allow_nan=False, allow_infinity=False),
            st.binary(),
            st.timedeltas(timedelta(days=-10_000), timedelta(days=10_000)),
        )
    )
)
def test_annotated_values_travel_whatever_they_are(rows):
    annotation = list[tuple[datetime, UUID, Decimal, bytes, timedelta]]
    assert _travel(annotation, rows) == rows


@given(st.one_of(plain, st.binary(), st.datetimes(), st.tuples(st.integers())))
def test_a_value_travels_whole_or_is_refused_by_name(value):
    try:
        arrived = _travel(Any, value)
    except ArgumentError as error:
        assert str(error).startswith("tasks.f(x=")  # noqa: PT017
    else:
        assert (type(arrived), arrived) == (type(value), value)
