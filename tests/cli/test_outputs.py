"""``portier outputs off`` is quick, and nothing that is broken keeps a relay on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import drivers
from drivers import DriverFault
from drivers.gpio_relay import Settings
from gateway.app import outputs

RELAYS: dict[str, tuple[str, Any]] = {
    "front.activation": ("gpio_relay", Settings("GPIO27")),
    "front.strike": ("gpio_relay", Settings("GPIO5", active="low")),
}


@pytest.fixture
def switched(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[str, Any]]:
    """What the drivers were asked to switch off; there is no GPIO here."""
    asked: dict[str, tuple[str, Any]] = {}

    def off(relays: dict[str, tuple[str, Any]]) -> dict[str, DriverFault | None]:
        asked.update(relays)
        return dict.fromkeys(relays)

    monkeypatch.setattr(drivers, "outputs_off", off)
    return asked


def test_the_relays_of_the_last_start_go_off(tmp_path: Path, switched: dict[str, Any]) -> None:
    outputs.note(RELAYS, tmp_path)
    assert outputs.off(tmp_path / "gone.yaml", tmp_path) == []
    assert switched == RELAYS


def test_a_configuration_that_broke_meanwhile_keeps_no_relay_on(
    tmp_path: Path, switched: dict[str, Any]
) -> None:
    config = tmp_path / "portier.yaml"
    config.write_text("doors: [")
    outputs.note(RELAYS, tmp_path)
    assert outputs.main(["--config", str(config), "--state", str(tmp_path)]) == 0
    assert switched == RELAYS


@pytest.mark.parametrize("damaged", ["", "[1]", '{"x": ["no_driver", {}]}', '{"x": ["gpio_relay"'])
def test_a_damaged_note_is_made_up_for_by_the_configuration(
    tmp_path: Path, switched: dict[str, Any], damaged: str
) -> None:
    (tmp_path / outputs.NOTE).write_text(damaged)
    assert outputs.off(Path("config/office.yaml"), tmp_path) == []
    assert set(switched) >= {"front.activation", "front.hold_open"}


def test_without_note_and_configuration_it_says_why(
    tmp_path: Path, switched: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "portier.yaml"
    config.write_text("doors: [")
    assert outputs.main([f"--config={config}", f"--state={tmp_path}"]) == 1
    assert "portier.yaml:1" in capsys.readouterr().err
    assert switched == {}


def test_one_that_fails_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs.note(RELAYS, tmp_path)
    fault = DriverFault("GPIO5: no such chip", "look at the cable")
    monkeypatch.setattr(
        drivers,
        "outputs_off",
        lambda relays: {"front.activation": None, "front.strike": fault},
    )
    assert outputs.main(["--state", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said == "front.strike: GPIO5: no such chip: look at the cable\n"


def test_it_imports_neither_the_command_line_nor_the_configuration(tmp_path: Path) -> None:
    """Each of them would take longer than the relay may stay on."""
    outputs.note({}, tmp_path)
    script = (
        "import sys; sys.argv = ['portier', 'outputs', 'off', '--state', sys.argv[1]]\n"
        "from gateway.__main__ import main\n"
        "try: main()\n"
        "except SystemExit as end: status = end.code\n"
        "heavy = {'typer', 'rich', 'pydantic', 'yaml', 'gpiozero', 'sqlite3'} & set(sys.modules)\n"
        "print(status, sorted(heavy))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "0 []\n"
