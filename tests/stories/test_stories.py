"""Every story is replayed; one that is not true prints what differs."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from tests.stories.story import Story, parse, replayed

HERE = Path(__file__).parent
STORIES = sorted(HERE.glob("*.txt"))

TOLD = [
    "did_not_open",
    "left_open",
    "did_not_close",
    "forced",
    "opened_by_hand",
    "operator_fault",
    "bolt_mismatch",
    "fire_alarm",
    "contact_stuck",
    "contact_chattering",
    "contact_unknown",
    "relay_fault",
    "implausible",
    "meter_silent",
    "clock_untrusted",
    "schedule_ended",
    "door_service",
    "alarm_shelved",
    "refusals_counted",
    "relay_tested",
    "watch:mains",
    "fire_contact_unknown",
    "merged",
    "extended",
    "interlock",
    "reason_needed",
    "mode_off",
    "mode_exit_only",
    "mode_night",
    "already_open",
    "not_wired",
    "room_test",
    "unattended",
    "test_over",
    "cord_stuck",
    "line_cut",
    "line_short",
    "long_stay",
    "still_wet",
    "wc/leak",
    "nobody_told",
    "off_duty",
    "no_answer",
    "switch",
]


def read(path: Path) -> Story:
    return parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_the_story_is_true(path: Path) -> None:
    story = read(path)
    lived = replayed(story)
    differs = difflib.unified_diff(story.lines, lived, "the story", "what happens", lineterm="")
    assert story.lines == lived, f"{story.heading}\n" + "\n".join(differs)


def test_every_story_has_a_heading_and_an_end() -> None:
    for path in STORIES:
        story = read(path)
        assert story.heading.endswith("."), path.name
        assert not story.heading.startswith("#"), path.name


def test_everything_that_has_a_name_is_told_in_a_story() -> None:
    told = " ".join(line for path in STORIES for line in read(path).lines)
    assert [name for name in TOLD if name not in told] == []


def test_a_story_that_is_not_true_is_found() -> None:
    told = read(HERE / "a_press_opens_the_door.txt")
    false = [line.replace("accepted", "refused") for line in told.lines]
    assert replayed(told) != false
