"""Climate sensors on I²C, on models of the chips with their registers and checksums."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from drivers import Device, DriverFault, MeterReport, bme280, sht3x, sht4x
from drivers.bme280 import Calibration, compensate
from tests.drivers.conftest import Board
from tests.drivers.driver_bench import Heard, wait_until
from tests.drivers.i2c_chips import RAW_H, RAW_P, RAW_T, H, P, Sht, T

Open = Callable[..., Device]


@pytest.fixture
def opened(board: Board, heard: Heard) -> Iterator[Callable[[Any, Any], Device]]:
    """Opens a driver with readings every few milliseconds; everything is closed afterwards."""
    devices: list[Device] = []

    def open_(driver: Any, settings: Any) -> Device:
        devices.append(driver.open(settings, heard, name="m"))
        return devices[-1]

    yield open_
    for device in devices:
        device.close()


FAST = 5
SENSORS = [
    (sht4x, sht4x.Settings(every_ms=FAST), 0x44),
    (sht3x, sht3x.Settings(address=0x45, every_ms=FAST), 0x45),
    (bme280, bme280.Settings(every_ms=FAST), 0x76),
]
EACH = pytest.mark.parametrize(
    ("driver", "settings", "address"), SENSORS, ids=["sht4x", "sht3x", "bme280"]
)


def known(heard: Heard) -> list[bool]:
    """Per report of the temperature: whether it has a value. Repetitions once."""
    seen: list[bool] = []
    for quantity, value in heard.values:
        if quantity == "temperature_c" and seen[-1:] != [value is not None]:
            seen.append(value is not None)
    return seen


def until_known(heard: Heard, wanted: list[bool]) -> None:
    length = len(heard)
    for _ in range(400):
        if known(heard) == wanted:
            return
        length += 1
        heard.wait(length)
    raise AssertionError(known(heard))


def test_an_sht4x_says_what_the_datasheet_says(board: Board, opened: Open, heard: Heard) -> None:
    board.sht4x.temperature, board.sht4x.humidity = 0x6666, 0x8000
    opened(sht4x, sht4x.Settings())
    assert heard.values == [("temperature_c", 25.0), ("humidity_percent", 56.5)]


def test_an_sht3x_says_what_the_datasheet_says(board: Board, opened: Open, heard: Heard) -> None:
    board.sht3x.temperature, board.sht3x.humidity = 0x6666, 0x8000
    opened(sht3x, sht3x.Settings(address=0x45))
    assert heard.values == [("temperature_c", 25.0), ("humidity_percent", 50.0)]


@pytest.mark.parametrize(("raw", "percent"), [(0x0800, 0.0), (0xDE00, 100.0)])
def test_humidity_a_little_beyond_its_bounds_is_cut_off(
    board: Board, opened: Open, heard: Heard, raw: int, percent: float
) -> None:
    board.sht4x.humidity = raw
    opened(sht4x, sht4x.Settings())
    assert heard.values[1] == ("humidity_percent", percent)


@pytest.mark.parametrize("raw", [0x0000, 0x0100, 0xF000, 0xFFFF])
@pytest.mark.parametrize("driver", [sht3x, sht4x])
def test_a_dead_humidity_channel_is_implausible_and_not_dry_or_wet(
    board: Board, opened: Open, heard: Heard, driver: ModuleType, raw: int
) -> None:
    board.sht4x.humidity = board.sht3x.humidity = raw
    opened(driver, driver.Settings() if driver is sht4x else driver.Settings(address=0x45))
    quantity, value = heard.values[1]
    rail = raw in (0x0000, 0xFFFF)
    if driver is sht4x or rail:
        assert quantity == "humidity_percent"
        assert value is not None
        assert not 0 <= value <= 100
    else:  # the whole range of this one is 0 to 100 %
        assert value is not None
        assert 0 <= value <= 100
    assert heard.values[0][1] is not None


@pytest.mark.parametrize("raw", [0, 2_000, 60_000, 65_535])
def test_a_dead_humidity_channel_of_a_bme280_is_implausible(raw: int) -> None:
    values = compensate(Calibration(T, P, H), RAW_T, RAW_P, raw)
    assert not 0 <= values["humidity_percent"] <= 100
    assert values["temperature_c"] == 25.08


def test_bosch_s_own_example_is_computed() -> None:
    """The example of the datasheet, for temperature and pressure."""
    values = compensate(Calibration(T, P, H), RAW_T, RAW_P, RAW_H)
    assert values["temperature_c"] == 25.08
    assert values["pressure_hpa"] == 1006.53


def reference_humidity(fine: int, raw: int) -> float:
    """The datasheet's other formula, in integers of 32 bits."""
    h1, h2, h3, h4, h5, h6 = H
    v = fine - 76800
    v = (((raw << 14) - (h4 << 20) - h5 * v + 16384) >> 15) * (
        ((((((v * h6) >> 10) * (((v * h3) >> 11) + 32768)) >> 10) + 2097152) * h2 + 8192) >> 14
    )
    v -= (((v >> 15) * (v >> 15)) >> 7) * h1 >> 4
    return min(max(v, 0), 419430400) / 4194304


@pytest.mark.parametrize("raw", [21500, 25000, RAW_H, 35000])
def test_humidity_is_the_same_by_both_formulas_of_the_datasheet(raw: int) -> None:
    humidity = compensate(Calibration(T, P, H), RAW_T, RAW_P, raw)["humidity_percent"]
    assert humidity == pytest.approx(reference_humidity(128422, raw), abs=0.02)
    assert 0 <= humidity <= 100


@pytest.mark.parametrize(("h4", "h5"), [(326, 50), (-326, 50), (326, -50), (-1, -1), (2047, -2048)])
def test_numbers_of_twelve_bits_keep_their_sign(board: Board, h4: int, h5: int) -> None:
    h = (H[0], H[1], H[2], h4, h5, -30)
    board.bme280.calibrate(T, P, h)
    cells = board.bme280.cells
    made = Calibration.of(bytes(cells[0x88:0xA0]), bytes(cells[0xA1:0xA2]), bytes(cells[0xE1:0xE8]))
    assert made == Calibration(T, P, h)


def test_a_bme280_is_read_from_its_registers(board: Board, opened: Open, heard: Heard) -> None:
    opened(bme280, bme280.Settings())
    values = dict(heard.values)
    assert values["temperature_c"] == 25.08
    assert values["pressure_hpa"] == 1006.53
    assert values["humidity_percent"] == pytest.approx(reference_humidity(128422, RAW_H), abs=0.02)


def test_a_bmp280_that_was_sold_as_a_bme280_is_told(board: Board, opened: Open) -> None:
    board.bme280.cells[0xD0] = 0x58
    with pytest.raises(DriverFault, match="is a BMP280, which measures no humidity"):
        opened(bme280, bme280.Settings())
    assert board.bus.open_files == 0


def test_a_measurement_that_never_ends_has_no_value(board: Board, opened: Open) -> None:
    board.bme280.takes = 1_000
    with pytest.raises(DriverFault, match="does not finish measuring"):
        opened(bme280, bme280.Settings())


def test_a_sensor_that_was_swapped_has_its_own_calibration(
    board: Board, opened: Open, heard: Heard
) -> None:
    opened(bme280, bme280.Settings(every_ms=FAST))
    with board.bus.lock:
        board.bme280.reset()
        board.bme280.calibrate((T[0], T[1] // 2, T[2]), P, H)
    heard.wait(12)
    assert heard.values[-3][1] == pytest.approx(12.5, abs=0.2)


@EACH
@pytest.mark.parametrize("stuck", [0x00, 0xFF])
def test_a_bus_that_is_stuck_is_no_value(
    board: Board, opened: Open, heard: Heard, driver: Any, settings: Any, address: int, stuck: int
) -> None:
    opened(driver, settings)
    board.bus.stuck = stuck
    until_known(heard, [True, False])
    board.bus.stuck = None
    until_known(heard, [True, False, True])


@EACH
def test_a_sensor_that_is_unplugged_and_back_is_told_once_each(
    board: Board, opened: Open, heard: Heard, driver: Any, settings: Any, address: int
) -> None:
    opened(driver, settings)
    chip = board.bus.chips.pop(address)
    until_known(heard, [True, False])
    reasons = {report.reason for report in heard if isinstance(report, MeterReport)}
    assert any(f"nobody answers at 0x{address:02x}" in reason for reason in reasons)
    gaps = len(heard)
    tries: list[int] = []
    board.bus.before = lambda: tries.append(1)
    while len(tries) < 6:
        assert len(heard) == gaps
    board.bus.chips[address] = chip
    until_known(heard, [True, False, True])


@EACH
@pytest.mark.parametrize("fails", [False, True])
def test_a_bus_that_hangs_does_not_hold_up_closing(
    board: Board,
    opened: Open,
    heard: Heard,
    driver: Any,
    settings: Any,
    address: int,
    fails: bool,
) -> None:
    """The kernel waits in the meter's own thread; nobody else does."""
    device = opened(driver, settings)
    inside, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        inside.set()
        assert go_on.wait(30)

    board.bus.before = wait
    assert inside.wait(30)
    device.close()
    before = len(heard)
    board.bus.before = lambda: None
    board.bus.hangs = fails
    go_on.set()
    wait_until(lambda: board.bus.open_files == 0)
    assert len(heard) == before


@EACH
def test_a_sensor_that_is_not_there_at_the_start_is_a_fault(
    board: Board, opened: Open, heard: Heard, driver: Any, settings: Any, address: int
) -> None:
    del board.bus.chips[address]
    with pytest.raises(DriverFault, match="nobody answers"):
        opened(driver, settings)
    assert heard == []
    assert board.bus.open_files == 0


def test_a_garbled_word_is_never_a_value(board: Board, opened: Open, heard: Heard) -> None:
    opened(sht4x, sht4x.Settings(every_ms=FAST))
    with board.bus.lock:
        board.sht4x.humidity = 0x1234
        board.sht4x.garbled = 1
    until_known(heard, [True, False, True])
    first = next(report for report in heard if isinstance(report, MeterReport) and report.reason)
    assert "wrong checksum" in first.reason


def test_two_readers_of_one_sensor_do_not_take_each_other_s_answer(
    board: Board, opened: Open, heard: Heard
) -> None:
    """An answer is there once: it is for who has asked."""
    for _ in range(3):
        opened(sht4x, sht4x.Settings(every_ms=1))
    heard.wait(60)
    assert None not in [value for _, value in heard.values]


def test_a_sensor_that_measures_does_not_hold_up_another(board: Board) -> None:
    """The lock is for a chip, not for the bus."""
    from drivers.i2c import Chip

    with Chip(1, 0x44).alone:
        done = threading.Event()

        def ask() -> None:
            chip = Chip(1, 0x76)
            chip.transfer(b"\xd0", 1)
            chip.close()
            done.set()

        threading.Thread(target=ask).start()
        assert done.wait(30)


def test_the_models_refuse_what_the_chips_refuse() -> None:
    """Else these tests would prove little."""
    from tests.drivers.i2c_chips import Nack

    chip = Sht(b"\xfd")
    with pytest.raises(Nack):
        chip.read(6)
    with pytest.raises(Nack):
        chip.write(b"\x24\x00")
