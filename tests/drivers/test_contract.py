"""One contract, every driver file: whoever adds one adds a row to ``WIRED`` and nothing else."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from gpiozero.pins.mock import MockFactory

import drivers
from drivers import ContactReport, DriverFault, MeterReport
from gateway.app.simulated_world import SimulatedWorld
from tests.drivers.conftest import Board
from tests.drivers.driver_bench import Heard
from tests.drivers.enocean_bench import FakeStick

ROOT = Path(__file__).resolve().parents[2]

STICK = FakeStick()
WIRED: dict[str, dict[str, Any]] = {
    "ads1115": {"settings": {}, "broken": {"bus": 7}},
    "ads1115_line": {"settings": {}, "broken": {"bus": 7}},
    "bme280": {"settings": {}, "broken": {"bus": 7}},
    "ds18b20": {"settings": {"root": "w1"}, "broken": {"root": "no-w1"}},
    "enocean_contact": {
        "settings": {"port": STICK.path, "device": "0029A1B2", "profile": "F6-02-01"},
        "broken": {"port": "/dev/none", "device": "0029A1B2", "profile": "F6-02-01"},
    },
    "enocean_meter": {
        "settings": {"port": STICK.path, "device": "0029A1B2", "profile": "A5-04-01"},
        "broken": {"port": "/dev/none", "device": "0029A1B2", "profile": "A5-04-01"},
        "first": "unknown",
    },
    "gpio_contact": {"settings": {"pin": "GPIO17"}, "broken": {"pin": "GPIO99"}},
    "gpio_relay": {"settings": {"pin": "GPIO27"}, "broken": {"pin": "GPIO99"}},
    "mcp23017_contact": {
        "settings": {"terminal": "GPA1"},
        "broken": {"terminal": "GPA1", "bus": 7},
    },
    "mcp23017_relay": {"settings": {"terminal": "GPA0"}, "broken": {"terminal": "GPA0", "bus": 7}},
    "mqtt_contact": {"settings": {"topic": "a/b"}, "first": "unknown"},
    "mqtt_meter": {
        "settings": {"topic": "a/b", "values": {"temperature_c": "t", "humidity_percent": "h"}},
        "first": "unknown",
    },
    "sht3x": {"settings": {"address": 0x45}, "broken": {"bus": 7}},
    "sht4x": {"settings": {}, "broken": {"bus": 7}},
    "simulated_contact": {"settings": {}},
    "simulated_meter": {"settings": {}},
    "simulated_relay": {"settings": {}},
}
"""Settings that work on the mock hardware, and some that do not. ``first: unknown``: it is told
its values by others, and says at once that there is none yet."""

UNITS = ("; a duration", "; no unit", "; in millivolts", "; in ohms")


RELAYS = [
    name for name in drivers.names() if importlib.import_module(f"drivers.{name}").KIND == "relay"
]


@pytest.fixture(params=drivers.names())
def name(request: pytest.FixtureRequest) -> str:
    assert request.param in WIRED, "a new driver needs a row in WIRED"
    return str(request.param)


@pytest.fixture
def driver(
    name: str, pins: MockFactory, world: SimulatedWorld, board: Board, w1: Path
) -> ModuleType:
    return importlib.import_module(f"drivers.{name}")


@pytest.fixture
def device(driver: ModuleType, name: str, heard: Heard) -> Iterator[Any]:
    device = driver.open(driver.Settings(**WIRED[name]["settings"]), heard, name="p")
    yield device
    device.close()


def fields_of(driver: ModuleType) -> dict[str, tuple[str, str]]:
    """name -> (annotation, docstring) of the settings, as they are written."""
    tree = ast.parse(inspect.getsource(driver))
    settings = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Settings")
    fields = {}
    for here, below in zip(settings.body, [*settings.body[1:], ast.Pass()], strict=True):
        if isinstance(here, ast.AnnAssign) and isinstance(here.target, ast.Name):
            doc = ""
            if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                doc = str(below.value.value)
            fields[here.target.id] = (ast.unparse(here.annotation), doc)
    return fields


def test_says_what_it_is(driver: ModuleType, name: str) -> None:
    assert driver.KIND in {"contact", "relay", "meter"}
    assert driver.TRUST in {"wired", "radio", "network"}
    assert driver.KIND != "relay" or driver.TRUST == "wired"
    assert driver.__doc__
    frozen = driver.Settings(**WIRED[name]["settings"])
    for field in dataclasses.fields(frozen):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(frozen, field.name, None)


def test_every_setting_is_described_and_has_a_unit(driver: ModuleType) -> None:
    fields = fields_of(driver)
    assert set(fields) == {field.name for field in dataclasses.fields(driver.Settings)}
    for field, (annotation, doc) in fields.items():
        assert doc, f"{field} has no description"
        assert any(unit in doc for unit in UNITS), f"{field} has no unit"
        assert (annotation == "DurationMs") == field.endswith("_ms") == ("; a duration" in doc)


def test_is_shown_in_an_example(name: str) -> None:
    shown = set()
    for path in (ROOT / "config").glob("*.yaml"):
        text = path.read_text().replace("!secret", "").replace("#+ ", "")
        points = (yaml.safe_load(text) or {}).get("points") or {}
        shown |= {point["driver"] for point in points.values()}
    assert name in shown


def test_the_initial_level_or_value_comes_at_once(
    driver: ModuleType, device: Any, name: str, heard: Heard
) -> None:
    known = WIRED[name].get("first") != "unknown"
    match driver.KIND:
        case "contact" if known:
            assert heard == [ContactReport(False)]
        case "contact":
            (report,) = heard
            assert isinstance(report, ContactReport)
            assert report.active is None
            assert report.reason
        case "meter":
            settings = driver.Settings(**WIRED[name]["settings"])
            measured = [one.name for one in drivers.quantities(driver, settings)]
            heard.wait(len(measured))
            told = [report.quantity for report in heard if isinstance(report, MeterReport)]
            assert told == measured
            for one in heard:
                assert isinstance(one, MeterReport)
                assert (one.value is not None) == known
                assert known or one.reason
        case "relay":
            assert heard == []


def test_a_second_close_does_nothing(device: Any) -> None:
    device.close()
    device.close()


def test_nothing_is_reported_after_close(
    name: str, device: Any, heard: Heard, pins: MockFactory, world: SimulatedWorld
) -> None:
    pin = pins.pin("GPIO17")
    device.close()
    before = len(heard)
    pin.drive_low()
    world.advance()
    assert len(heard) == before


def test_it_can_be_opened_again_after_close(
    driver: ModuleType, device: Any, name: str, heard: Heard
) -> None:
    device.close()
    driver.open(driver.Settings(**WIRED[name]["settings"]), heard, name="p").close()


@pytest.mark.parametrize("name", [name for name, row in WIRED.items() if "broken" in row])
def test_what_goes_wrong_is_a_fault_with_a_remedy(driver: ModuleType, name: str) -> None:
    with pytest.raises(DriverFault) as caught:
        driver.open(driver.Settings(**WIRED[name]["broken"]), print, name="p")
    assert caught.value.remedy
    assert str(caught.value).endswith(caught.value.remedy)


@pytest.mark.parametrize("name", RELAYS)
def test_a_relay_is_off_at_start_and_off_at_close(
    driver: ModuleType, name: str, pins: MockFactory, world: SimulatedWorld, board: Board
) -> None:
    """mqtt-io#131, GarageQTPi#13: gates that move when the program starts or ends."""
    pin = pins.pin("GPIO27")
    pin.clear_states()
    relay = driver.open(driver.Settings(**WIRED[name]["settings"]), print, name="p")

    def on() -> bool:
        if name == "mcp23017_relay":
            return bool(board.mcp23017.output(0))
        return bool(world.show()["p"]["on"] if "p" in world.show() else pin.state)

    seen = [on()]
    for wanted in (True, False, True):
        relay.drive(wanted)
        seen.append(on())
    relay.close()
    assert [*seen, on()] == [False, True, False, True, False]
    if name == "gpio_relay":
        assert [state.state for state in pin.states] == [False, True, False, True, False]


@pytest.mark.parametrize("name", RELAYS)
def test_a_relay_can_be_made_safe_without_being_open(name: str, driver: ModuleType) -> None:
    assert callable(driver.make_safe)


@pytest.mark.parametrize("name", RELAYS)
def test_what_makes_a_relay_safe_can_be_imported_beforehand(name: str) -> None:
    """When ``control`` is killed a relay is on, and every millisecond counts."""
    settings = WIRED[name].get("broken", WIRED[name]["settings"])  # this must move nothing
    code = (
        "import sys, drivers\n"
        f"from drivers.{name} import Settings\n"
        f"relays = {{'p': ('{name}', Settings(**{settings!r}))}}\n"
        "drivers.ready_off(relays)\n"
        "before = set(sys.modules)\n"
        "drivers.outputs_off(relays)\n"
        "print(sorted(set(sys.modules) - before))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_a_driver_starts_without_the_libraries_of_the_others() -> None:
    """``control`` reads the settings of every point before the first press: they cost nothing."""
    code = (
        "import sys, importlib, drivers\n"
        "for name in drivers.names(): importlib.import_module('drivers.' + name)\n"
        "heavy = {'gpiozero', 'gpiod', 'pydantic', 'smbus2', 'serial'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
