"""The 1-wire thermometer, on files as the kernel has them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drivers import Device, DriverFault, MeterReport, ds18b20
from tests.drivers.driver_bench import Heard, wait_until

ID = "28-0316a2795cff"
GOOD = "72 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n72 01 4b 46 7f ff 0e 10 57 t=23125\n"


@pytest.fixture
def opened(w1: Path, heard: Heard) -> Iterator[Callable[..., Device]]:
    devices: list[Device] = []

    def open_(**settings: object) -> Device:
        made = ds18b20.Settings(root=str(w1), **settings)  # type: ignore[arg-type]  # a test's own
        devices.append(ds18b20.open(made, heard, name="m"))
        return devices[-1]

    yield open_
    for device in devices:
        device.close()


@pytest.mark.parametrize(
    ("answer", "celsius"),
    [
        (GOOD, 23.125),
        ("5e ff 4b 46 7f ff 02 10 8c : crc=8c YES\n5e ff 4b 46 7f ff 02 10 8c t=-10125\n", -10.125),
        ("00 00 4b 46 7f ff 0c 10 f3 : crc=f3 YES\n00 00 4b 46 7f ff 0c 10 f3 t=0\n", 0.0),
    ],
)
def test_the_kernel_s_answer_is_understood(answer: str, celsius: float) -> None:
    assert ds18b20.parse(answer) == celsius


BAD = [
    ("72 01 4b 46 7f ff 0e 10 57 : crc=11 NO\n72 01 4b 46 7f ff 0e 10 57 t=23125\n", "garbled"),
    ("ff ff ff ff ff ff ff ff ff : crc=c9 NO\nff ff ff ff ff ff ff ff ff t=-62\n", "garbled"),
    ("00 00 00 00 00 00 00 00 00 : crc=00 YES\n00 00 00 00 00 00 00 00 00 t=0\n", "garbled"),
    ("50 05 4b 46 7f ff 0c 10 1c : crc=1c YES\n50 05 4b 46 7f ff 0c 10 1c t=85000\n", "85 °C"),
    ("10 f8 4b 46 7f ff 0c 10 1c : crc=1c YES\n10 f8 4b 46 7f ff 0c 10 1c t=-127000\n", "-127 °C"),
    ("", "not answered"),
    ("YES t=5", "not answered"),
]


@pytest.mark.parametrize(("answer", "reason"), BAD, ids=[reason for _, reason in BAD])
def test_what_is_no_measurement_is_no_value(answer: str, reason: str) -> None:
    """85 °C is what the sensor says before it has measured, zeros are a wire on ground."""
    with pytest.raises(DriverFault, match=reason):
        ds18b20.parse(answer)


def test_the_only_sensor_needs_no_name(opened: Callable[..., Device], heard: Heard) -> None:
    opened()
    heard.wait(1)
    assert heard == [MeterReport("temperature_c", 23.125)]


def test_among_several_one_is_named(w1: Path, opened: Callable[..., Device], heard: Heard) -> None:
    other = w1 / "28-0316a2790000"
    other.mkdir()
    with pytest.raises(DriverFault, match=f"write its id: there are {other.name}, {ID}"):
        opened()
    opened(id=ID)
    heard.wait(1)
    assert heard.values == [("temperature_c", 23.125)]


def test_a_sensor_that_the_kernel_does_not_see_is_a_fault(
    opened: Callable[..., Device], heard: Heard
) -> None:
    with pytest.raises(DriverFault, match=f"no sensor 28-0316a2790000: .*there are {ID}"):
        opened(id="28-0316a2790000")
    assert heard == []


def test_a_machine_without_the_bus_says_how_to_have_it(tmp_path: Path, heard: Heard) -> None:
    with pytest.raises(DriverFault, match="no 1-wire bus: write dtoverlay=w1-gpio"):
        ds18b20.open(ds18b20.Settings(root=str(tmp_path / "none")), heard, name="m")


def test_a_sensor_that_is_unplugged_and_back_is_told_once_each(
    w1: Path, opened: Callable[..., Device], heard: Heard
) -> None:
    opened(id=ID, every_ms=5)
    heard.wait(2)
    (w1 / ID).rename(w1 / "gone")
    end_s = time.monotonic() + 30
    while heard[-1] != MeterReport("temperature_c", None, reason_of(heard)):
        assert time.monotonic() < end_s
    assert "no sensor" in reason_of(heard) or "gone" in reason_of(heard)
    told = len(heard)
    (w1 / "gone").rename(w1 / ID)
    heard.wait(told + 2)
    assert heard.values[-1] == ("temperature_c", 23.125)


def test_a_bus_that_goes_and_comes_back_is_told(
    w1: Path, opened: Callable[..., Device], heard: Heard
) -> None:
    """Its module can be unloaded while the thread looks into the folder."""
    opened(id=ID, every_ms=5)
    heard.wait(2)
    w1.rename(w1.with_name("gone"))
    wait_until(
        lambda: reason_of(heard).startswith(("this machine has no 1-wire bus", "the sensor"))
    )
    told = len(heard)
    w1.with_name("gone").rename(w1)
    heard.wait(told + 2)
    assert heard.values[-1] == ("temperature_c", 23.125)


def test_a_conversion_that_fails_in_the_kernel_is_told(
    w1: Path, opened: Callable[..., Device], heard: Heard
) -> None:
    (w1 / ID / "w1_slave").unlink()
    (w1 / ID / "w1_slave").mkdir()
    opened()
    heard.wait(1)
    assert heard.values == [("temperature_c", None)]
    assert "the sensor is gone" in reason_of(heard)


def test_who_opens_it_does_not_wait_for_the_conversion(
    opened: Callable[..., Device], heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes 0.75 s, and other points want to be opened meanwhile."""
    go_on, read = threading.Event(), Path.read_text

    def slow(path: Path, *args: str) -> str:
        assert go_on.wait(30)
        return read(path, *args)

    monkeypatch.setattr(Path, "read_text", slow)
    device = opened()
    assert heard == []
    device.close()
    go_on.set()
    wait_until(lambda: "meter m" not in {thread.name for thread in threading.enumerate()})
    assert heard == []


def reason_of(heard: Heard) -> str:
    last = heard[-1]
    assert isinstance(last, MeterReport)
    return last.reason
