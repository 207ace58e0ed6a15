"""The converter: a voltage, and a supervised line."""

from __future__ import annotations

import pytest

from drivers import DriverFault, MeterReport, Quantity, ads1115, ads1115_line
from drivers.i2c import Chip
from tests.drivers.conftest import Board
from tests.drivers.driver_bench import Heard, wait_until


def voltage(heard: Heard, settings: ads1115.Settings) -> dict[str, float | None]:
    ads1115.open(settings, heard, name="m").close()
    return dict(heard.values)


@pytest.mark.parametrize("channel", [0, 1, 2, 3])
def test_each_input_has_its_own_voltage(board: Board, heard: Heard, channel: int) -> None:
    board.ads1115.volts = [0.25, 0.5, 1.0, 2.0]
    name = ("A0", "A1", "A2", "A3")[channel]
    told = voltage(heard, ads1115.Settings(input=name))  # type: ignore[arg-type]  # of a table
    assert told == {"voltage_v": board.ads1115.volts[channel]}


@pytest.mark.parametrize("span", ["6.144 V", "4.096 V", "2.048 V", "1.024 V", "0.512 V", "0.256 V"])
def test_each_range_is_counted_in(board: Board, heard: Heard, span: str) -> None:
    board.ads1115.volts[0] = 0.2
    told = voltage(heard, ads1115.Settings(range=span))  # type: ignore[arg-type]  # of a table
    assert told["voltage_v"] == pytest.approx(0.2, abs=float(span[:-2]) / 0x8000)


def test_a_divider_and_a_transmitter_are_counted_in(board: Board, heard: Heard) -> None:
    board.ads1115.volts[0] = 1.0
    settings = ads1115.Settings(
        factor=2.0, quantity="pressure_bar", scale=2.5, offset=-1.25, lowest=0, highest=10
    )
    assert voltage(heard, settings) == {"voltage_v": 2.0, "pressure_bar": 3.75}
    assert ads1115.quantities(settings) == (
        Quantity("voltage_v", -8.192, 8.192),
        Quantity("pressure_bar", 0, 10),
    )


@pytest.mark.parametrize("wrong", [{"quantity": "Druck"}, {"factor": 0.0}, {"address": 0x44}])
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ads1115.Settings(**wrong)  # type: ignore[arg-type]  # of a table


@pytest.mark.parametrize("volts", [0.6, -0.6])
def test_a_voltage_beyond_the_range_is_no_value(board: Board, heard: Heard, volts: float) -> None:
    board.ads1115.volts[0] = volts
    with pytest.raises(DriverFault, match=r"beyond 0\.512 V"):
        voltage(heard, ads1115.Settings(range="0.512 V"))


def test_a_conversion_is_waited_for(board: Board, heard: Heard) -> None:
    board.ads1115.volts[0], board.ads1115.takes = 1.0, 2
    assert voltage(heard, ads1115.Settings()) == {"voltage_v": 1.0}


def test_a_conversion_that_never_ends_is_a_fault(board: Board, heard: Heard) -> None:
    board.ads1115.takes = 100
    with pytest.raises(DriverFault, match="does not finish converting"):
        voltage(heard, ads1115.Settings())


@pytest.mark.parametrize("stuck", [0x00, 0xFF])
def test_a_bus_that_is_stuck_is_no_value(board: Board, heard: Heard, stuck: int) -> None:
    board.bus.stuck = stuck
    with pytest.raises(DriverFault):
        voltage(heard, ads1115.Settings())


def test_another_program_at_the_chip_is_told(board: Board, heard: Heard) -> None:
    """Its channel would be taken for ours."""
    chip = Chip(1, 0x48)

    def meddle() -> None:
        board.bus.before = lambda: None
        board.ads1115.write(bytes([1, 0xF5, 0x83]))

    def wait_for_start() -> None:
        board.bus.before = meddle

    board.bus.before = wait_for_start
    with pytest.raises(DriverFault, match="told something else meanwhile"):
        voltage(heard, ads1115.Settings())
    chip.close()


def test_points_of_one_chip_do_not_mix_their_inputs(board: Board, heard: Heard) -> None:
    board.ads1115.volts = [0.25, 0.5, 1.0, 2.0]
    mine: list[Heard] = [Heard() for _ in range(4)]
    devices = [
        ads1115.open(ads1115.Settings(input=name, every_ms=1), told, name=name)  # type: ignore[arg-type]  # of a table
        for name, told in zip(("A0", "A1", "A2", "A3"), mine, strict=True)
    ]
    for told in mine:
        told.wait(5)
    for device in devices:
        device.close()
    for told, volts in zip(mine, board.ads1115.volts, strict=True):
        assert {value for _, value in told.values} == {volts}


# --- the supervised line

SUPPLY, SERIES = 3.3, 4700.0


def at(ohm: float) -> float:
    """The voltage at the input with a loop of so many ohms."""
    return SUPPLY * ohm / (ohm + SERIES)


@pytest.mark.parametrize("ohm", [0.0, 10.0, 2350.0, 4700.0, 47_000.0])
def test_the_line_s_resistance_is_told(board: Board, heard: Heard, ohm: float) -> None:
    board.ads1115.volts[0] = at(ohm)
    ads1115_line.open(ads1115_line.Settings(), heard, name="m").close()
    ((quantity, told),) = heard.values
    assert quantity == "line_ohm"
    assert told == pytest.approx(ohm, rel=0.01, abs=1)


@pytest.mark.parametrize("volts", [3.3, 3.31, 3.5])
def test_a_line_that_is_cut_has_a_large_resistance(
    board: Board, heard: Heard, volts: float
) -> None:
    """A supply that is a little above what is written is no foreign voltage yet."""
    board.ads1115.volts[0] = volts
    ads1115_line.open(ads1115_line.Settings(), heard, name="m").close()
    assert heard.values == [("line_ohm", 1e6)]


@pytest.mark.parametrize("volts", [-0.01, 0.0])
def test_a_short_circuit_is_nearly_nothing(board: Board, heard: Heard, volts: float) -> None:
    board.ads1115.volts[0] = volts
    ads1115_line.open(ads1115_line.Settings(), heard, name="m").close()
    assert heard.values == [("line_ohm", 0.0)]


@pytest.mark.parametrize("volts", [-0.5, 4.0, 5.0])
def test_a_foreign_voltage_is_no_resistance(board: Board, heard: Heard, volts: float) -> None:
    board.ads1115.volts[0] = volts
    with pytest.raises(DriverFault):
        ads1115_line.open(ads1115_line.Settings(), heard, name="m")


def test_a_pull_is_told_within_two_readings(board: Board, heard: Heard) -> None:
    assert ads1115_line.Settings().every_ms == 100
    board.ads1115.volts[0] = at(4700)
    line = ads1115_line.open(ads1115_line.Settings(every_ms=5), heard, name="m")
    board.ads1115.volts[0] = at(2350)
    before = len(heard)
    heard.wait(before + 2)
    line.close()
    assert heard.values[before + 1][1] == pytest.approx(2350, rel=0.01)


def test_a_converter_that_is_gone_is_no_value_and_not_cut(board: Board, heard: Heard) -> None:
    board.ads1115.volts[0] = at(4700)
    line = ads1115_line.open(ads1115_line.Settings(every_ms=5), heard, name="m")
    chip = board.bus.chips.pop(0x48)
    wait_until(lambda: heard.values[-1][1] is None)
    told = len(heard)
    board.bus.chips[0x48] = chip
    heard.wait(told + 1)
    line.close()
    assert heard.values[-1][1] == pytest.approx(4700, rel=0.01)
    gap = heard[told - 1]
    assert isinstance(gap, MeterReport)
    assert "nobody answers" in gap.reason


def test_settings_of_a_line_that_cannot_be_are_refused() -> None:
    for wrong in ({"supply_mv": 24_000}, {"series_ohm": 0.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            ads1115_line.Settings(**wrong)
