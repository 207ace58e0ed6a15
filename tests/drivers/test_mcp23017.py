"""The expander: contacts and relays that share one chip, and what becomes of them when the chip,
its supply, its interrupt line or its bus fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory, MockPin

from drivers import (
    ContactReport,
    Device,
    DriverFault,
    Relay,
    Report,
    mcp23017_contact,
    mcp23017_relay,
)
from tests.drivers.conftest import Board
from tests.drivers.driver_bench import Heard, wait_until
from tests.drivers.i2c_chips import GPINTEN, IOCON, IODIR, OLAT

LINE = "GPIO4"
SLOW_MS = 60_000
"""Nobody looks by himself in these tests but where they say so."""


@pytest.fixture
def opened(board: Board, pins: MockFactory) -> Iterator[Callable[..., Any]]:
    """Opens a point at the chip; closes all of them afterwards."""
    devices: list[Device | Relay] = []

    def open_(settings: Any, emit: Any = print, name: str = "p") -> Any:
        contact = isinstance(settings, mcp23017_contact.Settings)
        driver: Any = mcp23017_contact if contact else mcp23017_relay
        devices.append(driver.open(settings, emit, name=name))
        return devices[-1]

    yield open_
    board.bus.chips[0x20] = board.mcp23017
    board.bus.hangs = False
    for device in devices:
        device.close()


@pytest.fixture
def line(board: Board, pins: MockFactory) -> MockPin:
    """The chip's interrupt output leads to a GPIO pin."""
    pin: MockPin = pins.pin(LINE)
    board.mcp23017.when_line = lambda level: pin.drive_high() if level else pin.drive_low()
    return pin


def contact(terminal: str = "GPA0", **more: Any) -> mcp23017_contact.Settings:
    more = {"poll_ms": SLOW_MS, "check_ms": SLOW_MS} | more
    return mcp23017_contact.Settings(terminal, **more)  # type: ignore[arg-type]  # a test's own


def relay(terminal: str = "GPB0", **more: Any) -> mcp23017_relay.Settings:
    return mcp23017_relay.Settings(terminal, **more)  # type: ignore[arg-type]  # a test's own


# --- contacts


@pytest.mark.parametrize("wiring", ["normally_open", "normally_closed"])
@pytest.mark.parametrize(
    ("pull", "leads_to", "closed", "let_go"),
    [
        ("up", "ground", False, None),
        ("none", "ground", False, True),
        ("none", "supply", True, False),
    ],
)
def test_active_is_what_the_wiring_means(
    board: Board,
    opened: Callable[..., Any],
    heard: Heard,
    wiring: str,
    pull: str,
    leads_to: str,
    closed: bool,
    let_go: bool | None,
) -> None:
    board.wire(0, let_go)
    opened(contact(wiring=wiring, pull=pull, leads_to=leads_to, poll_ms=1), heard)
    board.wire(0, closed)
    heard.wait(2)
    board.wire(0, let_go)
    heard.wait(3)
    active = wiring == "normally_open"
    assert heard.levels == [not active, active, not active]


@pytest.mark.parametrize("terminal", ["GPA0", "GPA7", "GPB0", "GPB7"])
def test_a_contact_is_at_the_terminal_that_is_named(
    board: Board, opened: Callable[..., Any], heard: Heard, terminal: str
) -> None:
    number = int(terminal[3]) + 8 * (terminal[2] == "B")
    opened(contact(terminal, poll_ms=1), heard)
    for other in range(16):
        if other != number:
            board.wire(other, False)
    board.wire(number, False)
    heard.wait(2)
    assert heard.levels == [False, True]


def test_a_contact_that_is_held_at_start_is_told(
    board: Board, opened: Callable[..., Any], heard: Heard
) -> None:
    board.wire(0, False)
    opened(contact(), heard)
    assert heard == [ContactReport(True)]


def test_a_pull_up_has_time_before_the_first_level_counts(
    board: Board, opened: Callable[..., Any], heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long cable is low for a moment: that is no press."""
    opened(contact("GPA0"), heard)
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    opened(contact("GPA1"), heard)
    opened(contact("GPA2", pull="none"), heard)
    assert slept == [0.002]


def test_without_an_interrupt_line_the_chip_is_polled(
    board: Board, opened: Callable[..., Any], heard: Heard
) -> None:
    opened(contact(poll_ms=5), heard)
    board.wire(0, False)
    heard.wait(2)
    assert heard.levels == [False, True]


def test_what_a_look_finds_has_the_instant_of_the_look(
    board: Board, opened: Callable[..., Any], heard: Heard
) -> None:
    """A thread that is stopped between the look and its report does not make a press later."""
    opened(contact(poll_ms=5), heard)
    looked_ns: list[int] = []

    def looks() -> None:
        if not board.mcp23017.level(0):
            looked_ns.append(time.monotonic_ns())

    board.bus.before = looks
    board.wire(0, False)
    heard.wait(2)
    told = heard[1]
    assert isinstance(told, ContactReport)
    assert told.edge_ns is not None
    assert told.edge_ns <= looked_ns[0]


def test_with_an_interrupt_line_a_press_has_the_kernel_s_time(
    board: Board, opened: Callable[..., Any], heard: Heard, line: MockPin
) -> None:
    opened(contact(interrupt=LINE), heard)
    before_ns = time.monotonic_ns()
    board.wire(0, False)
    heard.wait(2)
    after_ns = time.monotonic_ns()
    told = heard[1]
    assert isinstance(told, ContactReport)
    assert told.active is True
    assert told.edge_ns is not None
    assert before_ns - 1_000_000 <= told.edge_ns <= after_ns + 1_000_000
    assert line.state


def test_a_press_that_has_ended_before_anybody_looked_is_told(
    board: Board, opened: Callable[..., Any], heard: Heard, line: MockPin
) -> None:
    opened(contact(interrupt=LINE), heard)
    with board.bus.lock:  # the bus is busy meanwhile
        board.mcp23017.wire(0, False)
        board.mcp23017.wire(0, None)
    heard.wait(3)
    assert heard.levels == [False, True, False]
    assert isinstance(heard[1], ContactReport)
    assert heard[1].edge_ns is not None


def test_a_change_while_the_chip_is_read_is_told(
    board: Board, opened: Callable[..., Any], heard: Heard, line: MockPin
) -> None:
    """The line goes low again before anybody waits for its edge, or never was high."""
    opened(contact(interrupt=LINE, poll_ms=5), heard)
    line.when_changed = None  # deaf from here on: only its level is there
    board.wire(0, False)
    heard.wait(2, timeout_s=10)
    assert heard.levels == [False, True]


def test_an_interrupt_that_was_missed_heals(
    board: Board, opened: Callable[..., Any], heard: Heard, pins: MockFactory
) -> None:
    """The line is broken: nobody calls, and the slow check finds it."""
    pins.pin(LINE)
    opened(contact(interrupt=LINE, poll_ms=SLOW_MS, check_ms=10), heard)
    board.wire(0, False)
    heard.wait(2)
    assert heard.levels == [False, True]


def test_a_line_that_stays_low_does_not_keep_the_bus_busy(
    board: Board, opened: Callable[..., Any], heard: Heard, pins: MockFactory
) -> None:
    pin: MockPin = pins.pin(LINE)
    opened(contact(interrupt=LINE, poll_ms=50), heard)
    pin.drive_low()
    begin, before = time.monotonic(), len(board.bus.transfers)
    wait_until(lambda: len(board.bus.transfers) > before + 5)
    assert time.monotonic() - begin > 0.05


def test_contacts_of_both_halves_share_the_line(
    board: Board, opened: Callable[..., Any], line: MockPin
) -> None:
    a, b = Heard(), Heard()
    opened(contact("GPA0", interrupt=LINE), a)
    opened(contact("GPB7", interrupt=LINE), b)
    board.wire(15, False)
    b.wait(2)
    board.wire(0, False)
    a.wait(2)
    assert (a.levels, b.levels) == ([False, True], [False, True])


def test_two_interrupt_lines_of_one_chip_are_a_fault(
    board: Board, opened: Callable[..., Any], heard: Heard, line: MockPin
) -> None:
    opened(contact("GPA0", interrupt=LINE), heard)
    with pytest.raises(DriverFault, match="has its interrupt at GPIO4, not at GPIO5"):
        opened(contact("GPA1", interrupt="GPIO5"), heard)


def test_a_terminal_that_is_used_twice_is_a_fault(
    board: Board, opened: Callable[..., Any], heard: Heard
) -> None:
    opened(contact("GPA0"), heard)
    with pytest.raises(DriverFault, match=r"GPA0 of the MCP23017 at 0x20 on .* already in use"):
        opened(relay("GPA0"))


# --- relays


def test_an_output_has_its_level_before_it_is_one(board: Board, opened: Callable[..., Any]) -> None:
    """GarageQTPi#13: boards that switch on with a low level clicked at start."""
    opened(relay("GPB0", active="low"))
    assert board.mcp23017.driven == [(8, True)]


def test_a_relay_that_was_left_on_is_off_at_once(board: Board, opened: Callable[..., Any]) -> None:
    """After kill -9 the chip goes on driving."""
    board.mcp23017.write(bytes([OLAT, 0xFF, 0xFF]))
    board.mcp23017.write(bytes([IODIR, 0xFF, 0x00]))
    board.mcp23017.driven.clear()
    opened(relay("GPB0"))
    assert board.mcp23017.driven == [(8, False)]
    assert board.mcp23017.output(9) is True, "that of another point is that one's business"


def test_relays_of_one_chip_do_not_move_each_other(
    board: Board, opened: Callable[..., Any]
) -> None:
    one, two = opened(relay("GPA0")), opened(relay("GPA1", active="low"))
    board.mcp23017.driven.clear()
    one.drive(True)
    two.drive(True)
    one.drive(False)
    two.close()
    assert board.mcp23017.driven == [(0, True), (1, False), (0, False), (1, True)]


def test_relays_and_contacts_at_once_keep_their_levels(
    board: Board, opened: Callable[..., Any], line: MockPin
) -> None:
    """Every thread works on the same registers of 16 bits."""
    relays = [opened(relay(f"GPB{n}")) for n in range(8)]
    heard = [Heard() for _ in range(8)]
    for n, told in enumerate(heard):
        opened(contact(f"GPA{n}", interrupt=LINE, check_ms=1), told)

    def toggle(which: Relay) -> None:
        for _ in range(25):
            which.drive(False)
            which.drive(True)

    threads = [threading.Thread(target=toggle, args=[one]) for one in relays]
    for thread in threads:
        thread.start()
    for n in range(8):
        board.wire(n, False)
    for thread in threads:
        thread.join()
    for told in heard:
        told.wait(2)
    assert [board.mcp23017.output(n) for n in range(8, 16)] == [True] * 8
    assert [told.levels for told in heard] == [[False, True]] * 8


def test_a_relay_may_act_from_within_a_report(
    board: Board, opened: Callable[..., Any], line: MockPin
) -> None:
    lamp = opened(relay())

    def follow(report: Report) -> None:
        assert isinstance(report, ContactReport)
        lamp.drive(bool(report.active))

    opened(contact(interrupt=LINE), follow)
    board.wire(0, False)
    wait_until(lambda: board.mcp23017.output(8) is True)


def test_a_relay_is_made_safe_without_a_gateway(board: Board) -> None:
    board.mcp23017.write(bytes([OLAT, 0xFF, 0xFF]))
    board.mcp23017.write(bytes([IODIR, 0x00, 0x00]))
    mcp23017_relay.make_safe(relay("GPA3"))
    mcp23017_relay.make_safe(relay("GPB4", active="low"))
    levels = [board.mcp23017.output(n) for n in range(16)]
    assert [n for n, level in enumerate(levels) if not level] == [3]


def test_making_safe_what_is_not_there_is_a_fault(board: Board) -> None:
    del board.bus.chips[0x20]
    with pytest.raises(DriverFault, match="nobody answers at 0x20"):
        mcp23017_relay.make_safe(relay("GPA3"))


# --- a chip that fails


def test_a_chip_that_is_gone_makes_its_contacts_unknown_and_comes_back(
    board: Board, opened: Callable[..., Any], heard: Heard
) -> None:
    opened(contact(poll_ms=5, check_ms=20), heard)
    chip = board.bus.chips.pop(0x20)
    heard.wait(2)
    told = heard[1]
    assert isinstance(told, ContactReport)
    assert told.active is None
    assert "nobody answers at 0x20 on I²C bus 1" in told.reason
    board.mcp23017.reset()
    board.wire(0, False)
    board.bus.chips[0x20] = chip
    heard.wait(3)
    assert heard.levels == [False, None, True], "with its pull-up, after its supply was gone"
    board.wire(0, None)
    heard.wait(4)
    assert heard.levels[-1] is False


def test_a_chip_that_lost_its_supply_for_a_moment_has_its_levels_again(
    board: Board, opened: Callable[..., Any], heard: Heard
) -> None:
    """It answers all the time, but is all inputs: the lamp of a call would stay dark."""
    lamp, strike = opened(relay("GPB0")), opened(relay("GPB1", active="low"))
    opened(contact(poll_ms=SLOW_MS, check_ms=10), heard)
    lamp.drive(True)
    with board.bus.lock:
        board.mcp23017.reset()
        board.mcp23017.driven.clear()
        assert board.mcp23017.output(8) is None
    wait_until(lambda: board.mcp23017.output(8) is True)
    assert sorted(board.mcp23017.driven) == [(8, True), (9, True)], "and no other on the way"
    strike.drive(True)
    assert board.mcp23017.output(9) is False


def reopened(opened: Callable[..., Any], settings: Any) -> Any:
    """As the gateway does: again and again, until it is open."""
    end_s = time.monotonic() + 30
    while True:
        try:
            return opened(settings)
        except DriverFault:
            assert time.monotonic() < end_s
            time.sleep(0.01)


def test_a_relay_of_a_chip_that_is_gone_fails_and_stays_off(
    board: Board, opened: Callable[..., Any], heard: Heard
) -> None:
    lamp, bell, horn = opened(relay("GPB0")), opened(relay("GPB1")), opened(relay("GPB2"))
    opened(contact(), heard)
    horn.drive(True)
    board.bus.refuses = lambda data: data[:1] == bytes([OLAT])
    with pytest.raises(DriverFault, match="nobody answers"):
        lamp.drive(True)
    assert heard.levels == [False, None], "the contacts of the chip are as unknown"
    for one, level in ((bell, True), (horn, False)):
        with pytest.raises(DriverFault, match="nobody answers"):
            one.drive(level)
    board.bus.refuses = lambda data: False
    reopened(opened, relay("GPB3"))
    assert [board.mcp23017.output(n) for n in (8, 9, 10)] == [False] * 3, "nobody asks for them now"
    lamp.drive(True)
    assert board.mcp23017.output(8) is True


def test_other_relays_of_a_chip_that_comes_back_are_as_they_were(
    board: Board, opened: Callable[..., Any]
) -> None:
    """One relay is opened anew; the lamp of a call beside it must not go dark."""
    lamp, bell = opened(relay("GPB0")), opened(relay("GPB1"))
    lamp.drive(True)
    board.bus.nacks = 2
    with pytest.raises(DriverFault):
        bell.drive(True)
    bell.close()
    reopened(opened, relay("GPB1"))
    assert (board.mcp23017.output(8), board.mcp23017.output(9)) == (True, False)


def test_nobody_waits_twice_for_a_bus_that_hangs(board: Board, opened: Callable[..., Any]) -> None:
    """The first relay has waited for the time limit; a door on a GPIO line waits for them all."""
    relays = [opened(relay(f"GPB{n}")) for n in range(8)]
    tries: list[int] = []
    board.bus.before = lambda: tries.append(1)
    board.bus.hangs = True
    for one in relays:
        with pytest.raises(DriverFault, match="hangs"):
            one.drive(True)
    for one in relays:
        one.close()
    assert len(tries) == 1


def test_a_chip_that_is_not_there_at_the_start_is_asked_once_for_all_its_points(
    board: Board, opened: Callable[..., Any], heard: Heard
) -> None:
    board.bus.hangs = True
    tries: list[int] = []
    board.bus.before = lambda: tries.append(1)
    for n in range(8):
        with pytest.raises(DriverFault, match="hangs"):
            opened(contact(f"GPA{n}"), heard)
    assert len(tries) == 1
    assert heard == []


def test_a_chip_that_sorts_its_registers_the_other_way_is_put_right(
    board: Board, opened: Callable[..., Any], heard: Heard
) -> None:
    """Another program may have left it so (IOCON.BANK); the first byte written mends it."""
    opened(contact(), heard)
    written = [data for address, data, _ in board.bus.transfers if address == 0x20 and data]
    assert written[0] == bytes([0x05, 0x00])
    assert board.mcp23017.cells[IOCON] == 0x44


def test_a_chip_without_points_is_left_alone(
    board: Board, opened: Callable[..., Any], heard: Heard
) -> None:
    opened(contact(poll_ms=1), heard).close()
    wait_until(lambda: board.bus.open_files == 0)
    names = {thread.name for thread in threading.enumerate()}
    assert not any("MCP23017" in name for name in names)
    opened(contact(poll_ms=1), heard)
    board.wire(0, False)
    heard.wait(3)
    assert heard.levels == [False, False, True]
    assert board.mcp23017.cells[GPINTEN] == 1
