"""Hardware for unit tests: gpiozero's mock pins, and a world that nobody plays."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gpiozero
import pytest
import smbus2
from gpiozero.pins.mock import MockFactory

from drivers import i2c, simulated
from drivers.i2c import expander
from gateway.app.simulated_world import SimulatedWorld
from tests.drivers.driver_bench import Clock, Heard, wait_until
from tests.drivers.i2c_chips import Ads1115, Bme280, Bus, Buses, Mcp23017, Sht


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def pins() -> Iterator[MockFactory]:
    factory = gpiozero.Device.pin_factory = MockFactory()
    yield factory
    factory.close()
    gpiozero.Device.pin_factory = None


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def world(clock: Clock) -> Iterator[SimulatedWorld]:
    world = SimulatedWorld(clock, plays=False)
    simulated.use(world)
    yield world
    simulated.use(None)


@dataclass
class Board:
    """Every chip at its usual address on bus 1."""

    buses: Buses
    sht4x: Sht
    sht3x: Sht
    bme280: Bme280
    ads1115: Ads1115
    mcp23017: Mcp23017

    @property
    def bus(self) -> Bus:
        return self.buses.by_number[1]

    def wire(self, terminal: int, level: bool | None) -> None:
        """Pull a terminal of the expander to the supply or to ground, or let go of it."""
        with self.bus.lock:
            self.mcp23017.wire(terminal, level)


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    buses = Buses()
    made = Board(buses, Sht(b"\xfd"), Sht(b"\x24\x00"), Bme280(), Ads1115(), Mcp23017())
    made.bus.chips.update(
        {
            0x44: made.sht4x,
            0x45: made.sht3x,
            0x76: made.bme280,
            0x48: made.ads1115,
            0x20: made.mcp23017,
        }
    )
    monkeypatch.setattr(smbus2, "SMBus", buses.smbus)
    monkeypatch.setattr(fcntl, "ioctl", buses.ioctl)
    monkeypatch.setattr(expander, "_expanders", {})
    monkeypatch.setattr(i2c, "_locks", {})
    yield made
    # Whoever has closed everything lets go of the bus.
    wait_until(lambda: all(bus.open_files == 0 for bus in buses.by_number.values()))


W1_ANSWER = "72 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n72 01 4b 46 7f ff 0e 10 57 t=23125\n"


@pytest.fixture
def w1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A 1-wire bus as the kernel shows it, in the folder ``w1``, with one sensor."""
    root = tmp_path / "w1"
    (root / "28-0316a2795cff").mkdir(parents=True)
    (root / "w1_bus_master1").mkdir()
    (root / "28-0316a2795cff" / "w1_slave").write_text(W1_ANSWER)
    monkeypatch.chdir(tmp_path)
    return root
