"""The diagrams of the machines are drawn from the code, and fresh."""

from __future__ import annotations

import pytest

from gateway.core.instant import Ms
from gateway.core.machine import Step
from tests.house_rules import diagrams


def test_the_file_of_diagrams_is_what_the_code_does() -> None:
    written = diagrams.FILE.read_text(encoding="utf-8")
    assert written == diagrams.document(), "run: python -m tests.house_rules.diagrams"


def test_a_diagram_shows_the_life_of_an_opening() -> None:
    drawn = diagrams.door_diagram()
    for arrow in (
        "closed --> opening",
        "opening --> open",
        "open --> closed",
        "unknown --> closed",
    ):
        assert f"    {arrow}: " in drawn


def lamp_step(on: bool, event: str | None, now: Ms) -> Step[bool]:
    return Step(event == "switch on" or (on and event is not None and now > 0))


def test_what_is_drawn_is_what_step_does() -> None:
    drawn = diagrams.draw(
        False,
        {"switch on": lambda _: "switch on", "look": lambda _: "look"},
        lamp_step,
        lambda on: 9 if on else None,
        lambda on: "lit" if on else "dark",
        lambda on: on,
    )
    assert drawn.splitlines() == [
        "```mermaid",
        "stateDiagram-v2",
        "    [*] --> dark",
        "    dark --> lit: switch on",
        "    lit --> dark: time",
        "```",
    ]


def test_a_walk_that_would_never_end_is_stopped() -> None:
    with pytest.raises(AssertionError, match="no end"):
        diagrams.draw(
            0,
            {"more": lambda _: "more"},
            lambda count, event, _now: Step(count + (event is not None)),
            lambda _: None,
            str,
            lambda count: count,
        )
