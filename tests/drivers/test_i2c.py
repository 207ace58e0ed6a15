"""A transfer on I²C: what it does when the bus does not do it."""

from __future__ import annotations

import errno

import pytest

from drivers import DriverFault
from drivers.i2c import I2C_TIMEOUT, Chip, sensirion
from tests.drivers.conftest import Board


def test_a_spark_on_the_bus_is_not_told(board: Board) -> None:
    board.bus.nacks = 1
    chip = Chip(1, 0x76)
    assert chip.transfer(b"\xd0", 1) == b"\x60"
    chip.close()


def test_a_write_and_its_read_are_one_transfer(board: Board) -> None:
    """Two drivers on one bus: nobody comes between them."""
    calls: list[int] = []
    board.bus.before = lambda: calls.append(1)
    chip = Chip(1, 0x76)
    chip.transfer(b"\xd0", 1)
    chip.close()
    assert len(calls) == 1
    assert board.bus.transfers == [(0x76, b"\xd0", 0), (0x76, b"", 1)]


def test_a_transfer_has_a_time_limit(board: Board) -> None:
    chip = Chip(1, 0x76)
    chip.transfer(b"\xd0", 1)
    chip.close()
    assert board.buses.limits == [(I2C_TIMEOUT, 5)]


def test_an_adapter_without_a_time_limit_is_used_all_the_same(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> int:
        raise OSError(errno.ENOTTY, "Inappropriate ioctl for device")

    monkeypatch.setattr("fcntl.ioctl", refuse)
    chip = Chip(1, 0x76)
    assert chip.transfer(b"\xd0", 1) == b"\x60"
    chip.close()


def test_a_bus_that_hangs_is_asked_once_only(board: Board) -> None:
    """Whoever waits has waited for the time limit then."""
    calls: list[int] = []
    board.bus.before = lambda: calls.append(1)
    board.bus.hangs = True
    with pytest.raises(DriverFault, match="bus 1 hangs: a chip or a wire holds a line low"):
        Chip(1, 0x76).transfer(b"\xd0", 1)
    assert len(calls) == 1


def test_a_chip_that_is_not_there_says_how_to_look_for_it(board: Board) -> None:
    with pytest.raises(DriverFault, match=r"nobody answers at 0x77 on I²C bus 1: .*i2cdetect -y 1"):
        Chip(1, 0x77).transfer(b"\xd0", 1)


def test_a_bus_that_is_not_switched_on_says_how(board: Board) -> None:
    with pytest.raises(DriverFault, match=r"there is no I²C bus 3: .*dtparam=i2c_arm=on"):
        Chip(3, 0x77).transfer(b"\xd0", 1)


def test_a_bus_that_is_forbidden_says_how_to_allow_it(board: Board) -> None:
    board.buses.denied = True
    with pytest.raises(DriverFault, match=r"no permission for I²C bus 1: .*usermod -aG i2c"):
        Chip(1, 0x77).transfer(b"\xd0", 1)


def test_the_bus_is_opened_anew_after_a_failure(board: Board) -> None:
    """An adapter on USB that was unplugged is another file when it is back."""
    chip = Chip(1, 0x76)
    board.buses.by_number[1].hangs = True
    with pytest.raises(DriverFault):
        chip.transfer(b"\xd0", 1)
    assert board.bus.open_files == 0
    board.bus.hangs = False
    assert chip.transfer(b"\xd0", 1) == b"\x60"
    chip.close()


def test_the_checksum_is_that_of_the_datasheet() -> None:
    assert sensirion.crc8(b"\xbe\xef") == 0x92
    assert sensirion.crc8(b"\x00\x00") == 0x81
