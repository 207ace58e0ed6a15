"""Values of the core are dataclasses in every respect but how their representation is made."""

from __future__ import annotations

import dataclasses

from gateway.core.events import Level
from gateway.core.machine import Step


def test_a_value_shows_itself_as_any_dataclass_does() -> None:
    @dataclasses.dataclass(frozen=True, slots=True)
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
