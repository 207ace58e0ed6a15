"""What the page asks of the overlay, where that lies damaged on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.settings.editing.edit import edit
from gateway.settings.editing.file import Store
from tests.settings.house import DRIVERS, NOW, write
from tests.settings.test_overlay import PEOPLE

BROKEN = "{{{ broken"
WRONG = "doors: {front: {schedule: {mo: night}}}\n"


def asked(tmp_path: Path, do: str, **more: Any) -> dict[str, Any]:
    config, store = write(tmp_path, PEOPLE), Store(tmp_path / "overlay.yaml")
    return edit(
        {"do": do, "actor": "web:1", "version": store.version(), **more},
        config,
        store,
        DRIVERS,
        NOW,
    )


@pytest.mark.parametrize("ask", [{"do": "put", "sections": {}}, {"do": "undo", "to": "none"}])
@pytest.mark.parametrize("text", [BROKEN, WRONG, "\0"])
def test_a_broken_overlay_is_mended_by_saving_nothing(
    tmp_path: Path, text: str, ask: dict[str, Any]
) -> None:
    """What cannot be read was taken for nothing: it was called saved, and stayed."""
    write(tmp_path, text, "overlay.yaml")
    answer = asked(tmp_path, **ask)
    assert (answer["status"], answer.get("changed")) == ("accepted", True)
    assert answer["settings"]["problems"] == []
    assert asked(tmp_path, "show")["settings"]["overlay"] == {}


def test_what_is_wrong_on_the_disk_is_not_called_saved_when_it_is_said_again(
    tmp_path: Path,
) -> None:
    write(tmp_path, WRONG, "overlay.yaml")
    said = {"doors": {"front": {"schedule": {"mo": "night"}}}}
    assert asked(tmp_path, "put", sections=said)["reason"] == "settings_wrong"


def test_nobody_goes_back_to_a_version_that_cannot_be_read(tmp_path: Path) -> None:
    """It would be an empty one."""
    good = {"contacts": {"desk": {"hours": ["daily"]}}}
    assert asked(tmp_path, "put", sections=good)["status"] == "accepted"
    assert asked(tmp_path, "put", sections={})["status"] == "accepted"
    store = Store(tmp_path / "overlay.yaml")
    (kept,) = [one for one in store.folder.iterdir() if b"daily" in one.read_bytes()]
    kept.write_text(BROKEN)
    answer = asked(tmp_path, "undo", to=kept.stem.partition("-")[2])
    assert (answer["status"], answer["reason"]) == ("refused", "settings_wrong")
    assert asked(tmp_path, "show")["settings"]["overlay"] == {}


def test_said_twice_is_done_once(tmp_path: Path) -> None:
    good = {"contacts": {"desk": {"hours": ["daily"]}}}
    assert asked(tmp_path, "put", sections=good).get("changed")
    assert not asked(tmp_path, "put", sections=good).get("changed")
