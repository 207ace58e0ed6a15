"""Our pin factory, over gpiochips that are made of Python.

Only the character device is faked: chips with a label and line names, requests with a real
file descriptor that the thread waits on. The kernel's own behaviour is tested in tests/hil.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import gpiod
import pytest
from gpiod.line import Bias, Direction, Edge, Value
from gpiozero import LED, Button, GPIOPinInUse

import drivers
from drivers import (
    ContactReport,
    DriverFault,
    Report,
    gpio_contact,
    gpio_relay,
    gpiod_lines,
    gpiod_pins,
)
from tests.drivers.driver_bench import Heard


@dataclass
class FakeChip:
    """A gpiochip, and what its lines' levels are."""

    label: str
    names: dict[int, str]
    lines: int = 54
    error: int = 0
    """Raised by everything, where it is set."""
    held: dict[int, FakeRequest] = field(default_factory=dict)
    levels: dict[int, bool] = field(default_factory=dict)
    history: list[tuple[int, str, bool]] = field(default_factory=list)
    """(line, "out", level) of each time a line is driven."""


class FakeRequest:
    def __init__(self, chip: FakeChip, offset: int, settings: gpiod.LineSettings) -> None:
        self.chip, self.offset = chip, offset
        self.fd, self._other_end = os.pipe()
        self.released = False
        self._edges: list[Any] = []
        self._seqno = 0
        self.reconfigure_lines({offset: settings})

    def reconfigure_lines(self, config: dict[int, gpiod.LineSettings]) -> None:
        self._check()
        self.settings = config[self.offset]
        if self.settings.direction is Direction.OUTPUT:
            self._drive(self.settings.output_value)

    def get_value(self, offset: int) -> Value:
        self._check()
        return Value.ACTIVE if self.chip.levels.get(offset) else Value.INACTIVE

    def set_value(self, offset: int, value: Value) -> None:
        self._check()
        self._drive(value)

    def read_edge_events(self) -> list[Any]:
        self._check()
        os.read(self.fd, 1000)
        edges, self._edges = self._edges, []
        return edges

    def release(self) -> None:
        self.released = True
        del self.chip.held[self.offset]
        os.close(self.fd)
        os.close(self._other_end)

    def edge(self, level: bool, at_ns: int, *, lost: int = 0) -> None:
        """The world moves the line; so many edges before this one did not fit."""
        self.chip.levels[self.offset] = level
        self._seqno += 1 + lost
        kind = gpiod.EdgeEvent.Type.RISING_EDGE if level else gpiod.EdgeEvent.Type.FALLING_EDGE
        self._edges.append(
            SimpleNamespace(
                line_seqno=self._seqno,
                timestamp_ns=at_ns,
                event_type=kind,
                Type=gpiod.EdgeEvent.Type,
            )
        )

    def wake(self) -> None:
        os.write(self._other_end, b"x")

    def _check(self) -> None:
        if self.chip.error:
            raise OSError(self.chip.error, os.strerror(self.chip.error))

    def _drive(self, value: Value) -> None:
        level = value is Value.ACTIVE
        self.chip.levels[self.offset] = level
        self.chip.history.append((self.offset, "out", level))


class FakeOpened:
    """What ``gpiod.Chip(path)`` gives."""

    def __init__(self, name: str, chip: FakeChip) -> None:
        self._name, self._chip = name, chip

    def __enter__(self) -> FakeOpened:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def get_info(self) -> Any:
        return SimpleNamespace(name=self._name, label=self._chip.label, num_lines=self._chip.lines)

    def get_line_info(self, offset: int) -> Any:
        return SimpleNamespace(name=self._chip.names.get(offset, ""), consumer="another program")

    def line_offset_from_id(self, pin: str) -> int:
        for offset, name in self._chip.names.items():
            if name == pin:
                return offset
        if not pin.isdecimal():
            raise FileNotFoundError(errno.ENOENT, "no such line")
        if int(pin) >= self._chip.lines:
            raise ValueError("line offset of out range")
        return int(pin)

    def request_lines(
        self, config: dict[int, gpiod.LineSettings], *, consumer: str, event_buffer_size: int
    ) -> FakeRequest:
        ((offset, settings),) = config.items()
        if offset in self._chip.held:
            raise OSError(errno.EBUSY, "busy")
        request = FakeRequest(self._chip, offset, settings)
        self._chip.held[offset] = request
        return request


class Machine:
    """The gpiochips that are plugged in, by path."""

    def __init__(self) -> None:
        self.chips: dict[str, FakeChip] = {}

    def plug(self, number: int, label: str, **names: int) -> FakeChip:
        chip = FakeChip(label, {offset: name for name, offset in names.items()})
        self.chips[f"/dev/gpiochip{number}"] = chip
        return chip

    def open(self, path: str) -> FakeOpened:
        if path not in self.chips:
            raise FileNotFoundError(errno.ENOENT, path)
        chip = self.chips[path]
        if chip.error:
            raise OSError(chip.error, os.strerror(chip.error), path)
        return FakeOpened(os.path.basename(path), chip)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    machine = Machine()
    monkeypatch.setattr(gpiod, "Chip", machine.open)
    monkeypatch.setattr(gpiod_lines, "glob", lambda _: list(machine.chips))
    monkeypatch.setattr(gpiod_pins, "_factories", {})
    yield machine
    for factory in list(gpiod_pins._factories.values()):
        factory.close()
    assert all(not chip.held for chip in machine.chips.values()), "a line was not let go"


@pytest.fixture
def header(machine: Machine) -> FakeChip:
    return machine.plug(0, "pinctrl-rp1", GPIO17=17, GPIO27=27)


# --- which line -------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 4, 11])
@pytest.mark.parametrize("label", ["pinctrl-rp1", "pinctrl-bcm2711"])
def test_the_header_is_found_whatever_its_number(machine: Machine, number: int, label: str) -> None:
    """On a Raspberry Pi 5 it has been gpiochip4, 0 and 11."""
    for other in {0, 4, 11} - {number}:
        machine.plug(other, "gpio-brcmstb@107d508500", GPIO17=3)
    machine.plug(number, label, GPIO17=17)
    assert gpiod_lines.find("GPIO17").path == f"/dev/gpiochip{number}"


@pytest.mark.parametrize("pin", ["GPIO14", "gpio14", "BCM14", "14", 14, "J8:8", "j8:8", "BOARD8"])
def test_a_header_pin_has_many_names(machine: Machine, pin: str | int) -> None:
    machine.plug(0, "pinctrl-bcm2711", TXD1=14)
    assert gpiod_lines.find(pin) == gpiod_lines.Line("/dev/gpiochip0", 14, "GPIO14")


@pytest.mark.parametrize("chip", ["/dev/gpiochip7", "gpiochip7", "7", "expander"])
@pytest.mark.parametrize("pin", ["BELL", "3", 3])
def test_another_chip_is_named_by_path_name_number_or_label(
    machine: Machine, header: FakeChip, chip: str, pin: str | int
) -> None:
    machine.plug(7, "expander", BELL=3)
    assert gpiod_lines.find(pin, chip) == gpiod_lines.Line("/dev/gpiochip7", 3, "BELL")


def test_a_line_of_any_chip_is_found_by_its_own_name(machine: Machine, header: FakeChip) -> None:
    machine.plug(7, "expander", BELL=3)
    assert gpiod_lines.find("BELL").path == "/dev/gpiochip7"


def test_a_number_without_a_chip_is_not_guessed(machine: Machine) -> None:
    machine.plug(7, "expander", BELL=3)
    with pytest.raises(DriverFault, match=r"no gpiochip has a line 3.*gpiochip7 \(expander\)"):
        gpiod_lines.find("3")


# --- faults of the world ----------------------------------------------------------------


def fault_of(settings: gpio_relay.Settings) -> str:
    with pytest.raises(DriverFault) as caught:
        gpio_relay.open(settings, print, name="r")
    return str(caught.value)


def test_each_fault_of_the_world_says_what_to_do(machine: Machine) -> None:
    relay = gpio_relay.Settings("GPIO27")
    assert "this machine has none" in fault_of(relay)
    chip = machine.plug(0, "pinctrl-rp1", GPIO27=27)
    assert "no gpiochip is called usb" in fault_of(gpio_relay.Settings("GPIO27", chip="usb"))
    assert "has no line 99" in fault_of(gpio_relay.Settings("99", chip="gpiochip0"))
    chip.error = errno.EACCES
    assert "add the user to the group" in fault_of(relay)
    chip.error = errno.EIO
    assert "dmesg" in fault_of(relay)
    chip.error = 0
    taken = gpiod_lines.request(gpiod_lines.find("GPIO27"), gpiod_lines.output(False))
    assert "GPIO27 is in use by another program: stop" in fault_of(relay)
    taken.release()


def test_a_relay_whose_chip_is_gone_is_a_fault_and_works_when_it_is_back(
    machine: Machine, header: FakeChip
) -> None:
    relay = gpio_relay.open(gpio_relay.Settings("GPIO27"), print, name="r")
    del machine.chips["/dev/gpiochip0"]
    header.error = errno.ENODEV
    for words in ("GPIO27 is gone: plug it in again", "this machine has none"):
        with pytest.raises(DriverFault, match=words):
            relay.drive(True)
    back = machine.plug(5, "pinctrl-rp1", GPIO27=27)
    relay.drive(True)
    assert back.levels[27] is True
    relay.close()
    assert back.levels[27] is False


def test_a_contact_whose_chip_is_gone_is_unknown(
    machine: Machine, header: FakeChip, heard: Heard
) -> None:
    told = Event()

    def emit(report: Report) -> None:
        heard(report)
        told.set()

    contact = gpio_contact.open(gpio_contact.Settings("GPIO17"), emit, name="c")
    told.clear()
    header.error = errno.ENODEV
    header.held[17].wake()
    assert told.wait(30)
    header.error = 0
    report = heard[-1]
    assert isinstance(report, ContactReport)
    assert (report.active, report.edge_ns) == (None, None)
    assert "plug it in again" in report.reason
    contact.close()


# --- outputs ----------------------------------------------------------------------------


@pytest.mark.parametrize(("active", "off"), [("high", False), ("low", True)])
def test_an_output_has_its_off_level_from_the_first_instant_to_the_last(
    machine: Machine, header: FakeChip, active: Any, off: bool
) -> None:
    """gpiozero PR #1177: active-low relays are on for 0.5 ms at every start."""
    relay = gpio_relay.open(gpio_relay.Settings("GPIO27", active), print, name="r")
    relay.drive(True)
    relay.close()
    relay.close()
    assert [level for _, _, level in header.history] == [off, not off, off]


def test_outputs_off_goes_on_after_a_failure(machine: Machine, header: FakeChip) -> None:
    header.levels[27] = True  # a killed process left it on, and the kernel keeps it
    results = drivers.outputs_off(
        {
            "bad": ("gpio_relay", gpio_relay.Settings("GPIO99")),
            "good": ("gpio_relay", gpio_relay.Settings("GPIO27")),
            "low": ("gpio_relay", gpio_relay.Settings("GPIO17", "low")),
        }
    )
    assert results["bad"] is not None
    assert results["bad"].remedy
    assert (results["good"], results["low"]) == (None, None)
    assert header.history == [(27, "out", False), (17, "out", True)]


def test_a_relay_whose_holder_is_just_ending_is_tried_again(
    machine: Machine, header: FakeChip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was killed lets go of its lines a moment later; the others do not wait."""
    ending = gpiod_lines.request(gpiod_lines.find("GPIO27"), gpiod_lines.output(True))
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        assert header.history == [(27, "out", True), (17, "out", False)]
        if len(waits) == 3:
            ending.release()

    monkeypatch.setattr(time, "sleep", wait)
    results = drivers.outputs_off(
        {
            "ending": ("gpio_relay", gpio_relay.Settings("GPIO27")),
            "free": ("gpio_relay", gpio_relay.Settings("GPIO17")),
        }
    )
    assert results == {"ending": None, "free": None}
    assert header.history[-1] == (27, "out", False)
    assert len(waits) == 3


def test_a_relay_that_another_program_keeps_is_told_in_time(
    machine: Machine, header: FakeChip, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = gpiod_lines.request(gpiod_lines.find("GPIO27"), gpiod_lines.output(True))
    monkeypatch.setattr(drivers, "IN_USE_S", 0.02)
    results = drivers.outputs_off({"a": ("gpio_relay", gpio_relay.Settings("GPIO27"))})
    assert "GPIO27 is in use by another program" in str(results["a"])
    other.release()


def test_what_a_library_throws_keeps_no_other_relay_on(
    machine: Machine, header: FakeChip, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch_off = gpiod_lines.switch_off
    asked: list[str] = []

    def first_breaks(pin: str, **settings: Any) -> None:
        asked.append(pin)
        if len(asked) == 1:
            raise RuntimeError("not one of ours")
        switch_off(pin, **settings)

    monkeypatch.setattr(gpiod_lines, "switch_off", first_breaks)
    results = drivers.outputs_off(
        {
            "bad": ("gpio_relay", gpio_relay.Settings("GPIO27")),
            "good": ("gpio_relay", gpio_relay.Settings("GPIO17")),
        }
    )
    assert "RuntimeError: not one of ours" in str(results["bad"])
    assert results["good"] is None


# --- inputs -----------------------------------------------------------------------------


def test_nothing_is_requested_before_a_pin_has_a_function(
    machine: Machine, header: FakeChip
) -> None:
    pin = gpiod_pins.GpiodFactory().pin("GPIO17")
    assert header.held == {}
    pin.close()


def test_a_contact_asks_for_its_bias_and_both_edges(machine: Machine, header: FakeChip) -> None:
    biases = {"up": Bias.PULL_UP, "down": Bias.PULL_DOWN, "none": Bias.DISABLED}
    for pull, bias in biases.items():
        settings = gpio_contact.Settings("GPIO17", pull=pull)  # type: ignore[arg-type]  # rows of a table
        contact = gpio_contact.open(settings, print, name="c")
        asked = header.held[17].settings
        assert (asked.bias, asked.edge_detection) == (bias, Edge.BOTH)
        assert not asked.debounce_period
        contact.close()


def test_edges_carry_the_kernel_s_instants_after_the_initial_level(
    machine: Machine, header: FakeChip, heard: Heard
) -> None:
    header.levels[17] = False
    last = Event()

    def emit(report: Report) -> None:
        heard(report)
        if len(heard) == 4:
            last.set()

    contact = gpio_contact.open(gpio_contact.Settings("GPIO17"), emit, name="c")
    request = header.held[17]
    for level, at_ns in ((True, 1001), (False, 1002), (True, 1003)):
        request.edge(level, at_ns)
    request.wake()
    assert last.wait(30)
    contact.close()
    assert heard == [
        ContactReport(True),
        ContactReport(False, 1001),
        ContactReport(True, 1002),
        ContactReport(False, 1003),
    ]


def test_lost_edges_are_told_with_the_level_read_again(
    machine: Machine, header: FakeChip, heard: Heard
) -> None:
    told = Event()

    def emit(report: Report) -> None:
        heard(report)
        if isinstance(report, ContactReport) and report.reason:
            told.set()

    contact = gpio_contact.open(gpio_contact.Settings("GPIO17"), emit, name="c")
    request = header.held[17]
    request.edge(True, 1001)
    request.edge(False, 2001, lost=40)
    request.wake()
    assert told.wait(30)
    contact.close()
    assert heard[-1] == ContactReport(True, None, "40 edges of GPIO17 were lost")


def test_catching_up_reports_every_edge_until_now(
    machine: Machine, header: FakeChip, heard: Heard
) -> None:
    """Whichever thread reads them: when it returns, nothing is on its way."""
    contact = gpio_contact.open(gpio_contact.Settings("GPIO17"), heard, name="c")
    for at_ns in range(1, 201):
        header.held[17].edge(at_ns % 2 == 0, at_ns)
        header.held[17].wake()
        gpio_contact.catch_up()
        assert heard[-1] == ContactReport(at_ns % 2 == 1, at_ns)
    contact.close()


def test_catching_up_waits_for_an_edge_that_the_other_thread_has_read(
    machine: Machine, header: FakeChip, heard: Heard
) -> None:
    """It is in the kernel's queue no more, and not reported yet: a level that was judged then was
    judged too early."""
    has_read, goes_on, caught_up = Event(), Event(), Event()

    def emit(report: Report) -> None:
        if isinstance(report, ContactReport) and report.edge_ns == 1001:
            has_read.set()
            assert goes_on.wait(30)
        heard(report)

    contact = gpio_contact.open(gpio_contact.Settings("GPIO17"), emit, name="c")
    header.held[17].edge(True, 1001)
    header.held[17].edge(False, 1002)
    header.held[17].wake()
    assert has_read.wait(30)

    def catch_up() -> None:
        gpiod_pins.catch_up()
        heard(ContactReport(None, None, "caught up"))
        caught_up.set()

    Thread(target=catch_up, daemon=True).start()
    assert not caught_up.wait(0.05)
    goes_on.set()
    assert caught_up.wait(30)
    assert [report.edge_ns for report in heard[1:] if isinstance(report, ContactReport)] == [
        1001,
        1002,
        None,
    ]
    contact.close()


def test_a_handler_that_fails_does_not_deafen_the_others(
    machine: Machine, header: FakeChip, capfd: pytest.CaptureFixture[str]
) -> None:
    heard = Event()
    bad, good = gpiod_pins.GpiodFactory(), gpiod_pins.GpiodFactory()

    def fails(ticks: int, state: int) -> None:
        raise RuntimeError("a mistake of ours")

    def hears(ticks: int, state: int) -> None:
        heard.set()

    for factory, name, handler in ((bad, "GPIO17", fails), (good, "GPIO27", hears)):
        pin = factory.pin(name)
        pin.function = "input"
        pin.when_changed = handler
    for offset in (17, 27):
        header.held[offset].edge(True, 1)
        header.held[offset].wake()
    assert heard.wait(30)
    bad.close()
    good.close()
    assert "a mistake of ours" in capfd.readouterr().err


# --- as gpiozero's own devices see it ---------------------------------------------------


def test_gpiozero_s_devices_work_on_it(machine: Machine, header: FakeChip) -> None:
    factory = gpiod_pins.GpiodFactory()
    header.levels[17] = True
    pressed = Event()
    button, led = Button(17, pin_factory=factory), LED("GPIO27", pin_factory=factory)
    button.when_pressed = pressed.set
    assert not button.is_pressed
    header.held[17].edge(False, factory.ticks())
    header.held[17].wake()
    assert pressed.wait(30)
    led.on()
    assert header.levels[27] is True
    with pytest.raises(GPIOPinInUse):
        LED(27, pin_factory=factory)
    led.close()
    LED(27, pin_factory=factory).close()
    button.close()
    factory.close()


def test_it_is_offered_to_gpiozero_under_its_name() -> None:
    from importlib.metadata import entry_points

    (entry,) = entry_points(group="gpiozero_pin_factories", name="gpiod")
    assert entry.load() is gpiod_pins.GpiodFactory
