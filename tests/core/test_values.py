"""Values of the core are dataclasses in every respect but how they are made and shown."""

from __future__ import annotations

import dataclasses
from dataclasses import KW_ONLY

import pytest

from gateway.core.events import Level
from gateway.core.facts import Fact
from gateway.core.machine import Step
from gateway.core.signals.meter import Series
from gateway.core.values import dataclass


def test_a_value_shows_itself_as_any_dataclass_does() -> None:
    @dataclasses.dataclass(frozen=True)
    class Level:
        """The same fields as the core's, and Python's own representation."""

        point: str
        active: bool | None
        edge_ms: int
        reason: str

    Level.__qualname__ = "Level"
    plain = Level("front.button", None, 5, "cut")
    assert repr(_core_level()) == repr(plain)
    assert repr(Step(_core_level())) == f"Step(state={plain!r}, facts=(), effects=())"


def _core_level() -> Level:
    return Level("front.button", None, 5, "cut")


def test_a_value_is_equal_to_its_copy_and_can_be_a_key() -> None:
    one, same = _core_level(), dataclasses.replace(_core_level())
    assert one == same
    assert {one: 1}[same] == 1
    assert one != dataclasses.replace(one, edge_ms=6)


@dataclass(frozen=True)
class Place:
    """A value with fields that are given by name, in the order in which they are thought of."""

    id: str
    _: KW_ONLY
    lamp: str | None = None
    stays_ms: int


def test_fields_that_are_given_by_name_may_follow_those_with_a_default() -> None:
    place = Place("wc", stays_ms=5)
    assert place == dataclasses.replace(place, lamp=None)
    assert repr(place) == "Place(id='wc', lamp=None, stays_ms=5)"
    with pytest.raises(TypeError):
        Place("wc", "lamp", 5)  # type: ignore[call-arg]  # that is what is tested
    with pytest.raises(TypeError):
        Place("wc")  # type: ignore[call-arg]  # that, too


def test_what_is_not_said_of_a_value_is_its_default_and_each_has_its_own() -> None:
    assert dataclasses.asdict(Series(21.5, heard_ms=3)) == {
        "value": 21.5,
        "at_ms": 0,
        "reason": "",
        "heard_ms": 3,
        "same": None,
        "same_since_ms": 0,
        "told": None,
        "told_ms": None,
        "fault": "",
        "detail": "",
    }
    one, other = Fact("leak", "wc", 1), Fact("leak", "wc", 1)
    assert one == other == Fact("leak", "wc", 1, {})
    assert one.data is not other.data


@pytest.mark.parametrize("wrong", [(), ("front", True), ("front", True, 1, "", 2)])
def test_a_value_takes_all_of_its_fields_and_no_other(wrong: tuple[object, ...]) -> None:
    with pytest.raises(TypeError, match="argument"):
        Level(*wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unexpected keyword"):
        Level("front", True, 1, "", now=2)  # type: ignore[call-arg]


def test_a_value_never_changes() -> None:
    level = _core_level()
    with pytest.raises(dataclasses.FrozenInstanceError):
        level.active = True  # type: ignore[misc]
    with pytest.raises(TypeError, match="frozen"):
        dataclass(frozen=False)
