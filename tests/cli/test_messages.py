"""``portier message test`` and ``check``: what is said of addresses before a call needs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app.configuration import people
from gateway.app.configuration.load import settings
from tests.cli.test_cli_offline import portier
from tests.process.parts import BUILDING
from tests.process.sinks import Webhook, serving

ROOM = """
rooms: {wc: {cord: [wc.cord], cancel: wc.cancel}}
"""
CORD = """points:
  wc.cord: {driver: simulated_contact, wiring: normally_closed}
  wc.cancel: {driver: simulated_contact}"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "portier.yaml").write_text(BUILDING)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "state").mkdir()
    return tmp_path


def test_a_contact_that_only_the_page_has_is_tried_out(place: Path) -> None:
    (place / "state" / "overlay.yaml").write_text(
        "contacts: {desk: {channels: [!secret one, !secret two]}}\n"
    )
    hook = Webhook()
    with serving(hook):
        (place / "secrets" / "one").write_text(f"json://{hook.address}/x\n")
        ways = ("--config", place / "portier.yaml", "--state", place / "state")
        result = portier("message", "test", "desk", *ways)
    assert result.exit_code == 1
    assert "desk, channel 1: handed over" in result.output
    assert "desk, channel 2: failed: there is no secret two" in result.output
    assert len(hook.posted) == 1


def test_check_names_a_contact_of_the_page_whose_secret_is_missing(place: Path) -> None:
    (place / "state" / "overlay.yaml").write_text("contacts: {desk: {channels: [!secret one]}}\n")
    result = portier("check", place / "portier.yaml", "--state", place / "state")
    assert result.exit_code == 78
    said = " ".join(result.output.split())
    assert "contacts.desk.channels[0]: there is no secret one; write the address into" in said
    (place / "secrets" / "one").write_text("no address\n")
    result = portier("check", place / "portier.yaml", "--state", place / "state")
    assert "holds no address that Apprise knows" in " ".join(result.output.split())
    (place / "secrets" / "one").write_text("json://localhost\n")
    assert portier("check", place / "portier.yaml", "--state", place / "state").exit_code == 0


def test_a_room_whose_call_reaches_nobody_is_named(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import threading

    text = BUILDING.replace("points:", CORD, 1).replace(", bench: true", ", bench: yes") + ROOM
    (place / "portier.yaml").write_text(text)
    made = settings(place / "portier.yaml", need=())
    assert people.unheard(made) == ["wc"]
    stop = threading.Event()
    assert people.run(made, place / "portier.yaml", place, stop) == people.NOTHING_TO_DO
    assert "nobody outside hears of a call in wc" in capsys.readouterr().err
