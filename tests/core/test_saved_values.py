"""How the core's values are written for the next start, and what is read of what another wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from gateway.core.facts import Json
from gateway.core.instant import NEVER, At
from gateway.core.saved_values import (
    DATA,
    FLAG,
    INSTANT,
    NAMES,
    TEXT,
    UPTIME,
    WHOLE,
    Field,
    Kind,
    Times,
    entry_of,
    list_of,
    map_of,
    one_of,
    row_of,
)
from gateway.core.values import dataclass

TIMES = Times(offset_ms=1_000_000, uptime_ms=50_000)


@dataclass(frozen=True)
class Owner:
    name: str


@dataclass(frozen=True)
class Cat:
    name: str
    owner: Owner
    born: At = NEVER
    lives: int = 9
    friends: tuple[Cat, ...] = ()


def cat(owner: str, lives: int, **rest: Any) -> Cat | None:
    return Cat(owner=Owner(owner), lives=lives, **rest) if lives > 0 else None


FIELDS = (
    Field("name", TEXT),
    Field("owner", TEXT, "nobody", of="owner.name"),
    Field("born_utc_ms", INSTANT, NEVER, of="born"),
    Field("lives", WHOLE, 9),
)
ROW: Kind[Cat] = row_of(cat, *FIELDS)
ENTRY: Kind[Cat] = entry_of(cat, *FIELDS, Field("friends", list_of(ROW), ()))
TOM = Cat("Tom", Owner("Ada"), At(None, 1_000_007), friends=(Cat("Kit", Owner("Bo"), lives=3),))


def test_a_value_is_written_by_key_and_read_back_the_same() -> None:
    saved = ENTRY.write(TOM, TIMES)
    assert json.dumps(saved) == (
        '{"name": "Tom", "owner": "Ada", "born_utc_ms": 1000007, "lives": 9, '
        '"friends": [["Kit", "Bo", null, 3]]}'
    )
    assert ENTRY.read(saved, TIMES) == TOM


def test_what_is_missing_null_or_of_another_kind_has_its_default() -> None:
    entries: list[dict[str, Json]] = [
        {"name": "Tom"},
        {"name": "Tom", "owner": None, "born_utc_ms": None, "lives": None, "friends": None},
        {"name": "Tom", "owner": 1, "born_utc_ms": "x", "lives": True, "friends": {}, "more": 1},
    ]
    for entry in entries:
        assert ENTRY.read(entry, TIMES) == Cat("Tom", Owner("nobody"))


@pytest.mark.parametrize("entry", [None, 1, [], {}, {"name": 1}, {"name": "Tom", "lives": 0}])
def test_a_value_without_what_it_needs_is_none(entry: Json) -> None:
    assert ENTRY.read(entry, TIMES) is None


@pytest.mark.parametrize(
    "row",
    [
        None,
        {},
        ["Kit", "Bo", None],
        ["Kit", "Bo", None, 3, 3],
        [None, "Bo", None, 3],
        ["Kit", "Bo", "yesterday", 3],
        ["Kit", "Bo", None, True],
    ],
)
def test_a_row_is_read_whole_or_not_at_all(row: Json) -> None:
    assert ROW.read(["Kit", None, None, 3], TIMES) == Cat("Kit", Owner("nobody"), lives=3)
    assert ROW.read(row, TIMES) is None


def test_lists_and_maps_leave_out_what_cannot_be_read() -> None:
    assert list_of(WHOLE).read([1, "x", None, True, 2], TIMES) == (1, 2)
    assert map_of(WHOLE).read({"a": 1, "b": "x", "c": None}, TIMES) == {"a": 1}
    assert NAMES.read(["b", 3, "a", "b"], TIMES) == frozenset("ab")
    assert NAMES.write(frozenset("ba"), TIMES) == ["a", "b"]
    for kind in (list_of(WHOLE), map_of(WHOLE), NAMES):
        assert kind.read("x", TIMES) is None


POOL: list[Json] = [None, True, 0, 2**53 - 1, 2**53, -(2**53), 1.5, "", "a", [], {}]
WHOLES: list[Json] = [0, 2**53 - 1]
SORTS: Mapping[str, tuple[Kind[Any], list[Json]]] = {
    "text": (TEXT, ["", "a"]),
    "flag": (FLAG, [True]),
    "whole": (WHOLE, WHOLES),
    "data": (DATA, [{}]),
    "instant": (INSTANT, WHOLES),
    "uptime": (UPTIME, WHOLES),
    "names": (NAMES, [[]]),
    "word": (one_of(("a", "b")), ["a"]),
    "list": (list_of(TEXT), [[]]),
    "map": (map_of(TEXT), [{}]),
}


@pytest.mark.parametrize("sort", SORTS)
def test_each_kind_reads_its_own_values_and_nothing_else(sort: str) -> None:
    """``True`` is no number, and a number that is far beyond any instant is none."""
    kind, own = SORTS[sort]
    read = [value for value in POOL if kind.read(value, TIMES) is not None]
    assert [*map(repr, read)] == [*map(repr, own)]
    assert [kind.write(kind.read(value, TIMES), TIMES) for value in own] == own


def test_an_instant_is_saved_as_civil_time_and_a_span_as_uptime() -> None:
    assert INSTANT.write(At(7), TIMES) == 1_000_007
    assert INSTANT.write(At(7), Times()) is None
    assert INSTANT.write(At(7, 5), TIMES) == 5
    assert INSTANT.read(5, TIMES) == At(None, 5)
    assert UPTIME.write(7, TIMES) == 50_007
    assert UPTIME.read(50_007, Times(uptime_ms=60_000)) == -9_993
