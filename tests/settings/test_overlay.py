"""The overlay of the page: what it may change, and that it never keeps a door from starting."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.settings.editing.with_overlay import load_over
from gateway.settings.plan.building import plan
from gateway.settings.values.problems import SettingsError
from tests.settings.house import DRIVERS, NOW, SMALL, loaded, said, write

PEOPLE = SMALL + (
    "contacts: {desk: {channels: [!secret desk], hours: mon-fri 08:00-16:00}}\n"
    "escalations: {care: [{after: 0 s, notify: desk}]}\n"
    "alarms: {urgent: care}\n"
)


def test_hours_change_and_the_channels_stay_in_the_file(tmp_path: Path) -> None:
    over = write(tmp_path, 'contacts: {desk: {hours: ["daily"]}}\n', "overlay.yaml")
    desk = loaded(tmp_path, PEOPLE, overlay=over, need=()).contacts["desk"]
    assert [rule.key for rule in desk.hours.rules] == ["daily"]
    assert [channel.name for channel in desk.channels] == ["desk"]


def test_who_is_told_after_whom_can_be_changed(tmp_path: Path) -> None:
    over = write(tmp_path, "escalations: {care: [{after: 5 min, notify: desk}]}\n", "overlay.yaml")
    settings = loaded(tmp_path, PEOPLE, overlay=over, need=())
    assert [step.after_ms for step in settings.escalations["care"]] == [300_000]


def test_a_step_names_a_contact_that_there_is(tmp_path: Path) -> None:
    over = write(tmp_path, "escalations: {care: [{every: 5 min, notify: dsk}]}\n", "overlay.yaml")
    assert "did you mean desk?" in said(tmp_path, PEOPLE, overlay=over, need=())


@pytest.mark.parametrize(
    "text", ["points: {}\n", "doors: {front: {schedule: {mo: night}}}\n", "", "\0", "a: [", "[]"]
)
def test_a_broken_overlay_leaves_the_file_alone_and_is_named(tmp_path: Path, text: str) -> None:
    file = write(tmp_path, SMALL)
    over = write(tmp_path, text, "overlay.yaml")
    settings = load_over(file, DRIVERS, overlay=over)
    assert settings.digest == loaded(tmp_path, SMALL).digest
    assert settings.overlay_problems[0].startswith(str(over))
    building = plan(settings, now_utc_ms=NOW)
    assert building.notices == (("small", "overlay_broken"),)


def test_an_overlay_that_is_a_folder_is_a_broken_one(tmp_path: Path) -> None:
    (tmp_path / "overlay.yaml").mkdir()
    settings = load_over(write(tmp_path, SMALL), DRIVERS, overlay=tmp_path / "overlay.yaml")
    assert "cannot be read" in settings.overlay_problems[0]


def test_a_good_overlay_is_in_use_and_nothing_is_said(tmp_path: Path) -> None:
    over = write(tmp_path, "doors: {front: {schedule: {otherwise: night}}}\n", "overlay.yaml")
    settings = load_over(write(tmp_path, SMALL), DRIVERS, overlay=over)
    assert settings.doors["front"].schedule.otherwise == "night"
    assert settings.overlay_problems == ()
    assert plan(settings, now_utc_ms=NOW).notices == ()


def test_a_broken_file_is_refused_with_and_without_an_overlay(tmp_path: Path) -> None:
    file = write(tmp_path, SMALL + "nonsense: 1\n")
    over = write(tmp_path, "points: {}\n", "overlay.yaml")
    with pytest.raises(SettingsError, match="nonsense"):
        load_over(file, DRIVERS, overlay=over)


def test_a_schedule_takes_the_place_of_a_fixed_mode(tmp_path: Path) -> None:
    over = write(tmp_path, "doors: {front: {schedule: {otherwise: night}}}\n", "overlay.yaml")
    door = loaded(tmp_path, SMALL + "    mode: automatic\n", overlay=over).doors["front"]
    assert (door.mode, door.schedule.otherwise) == (None, "night")
