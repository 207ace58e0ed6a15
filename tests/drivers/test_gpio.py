"""What the two GPIO drivers make of levels, on gpiozero's mock pins."""

from __future__ import annotations

import time

import pytest
from gpiozero.pins.mock import MockFactory, MockPin

from drivers import ContactReport, DriverFault, Relay, Report, gpio_contact, gpio_relay
from tests.drivers.driver_bench import Heard

CLOSED_IS_ACTIVE = {"normally_open": True, "normally_closed": False}


def levels(heard: Heard) -> list[bool | None]:
    return [report.active for report in heard if isinstance(report, ContactReport)]


@pytest.mark.parametrize("wiring", ["normally_open", "normally_closed"])
@pytest.mark.parametrize(
    ("pull", "leads_to", "closed_is_high"),
    [
        ("up", "ground", False),
        ("down", "ground", True),
        ("none", "ground", False),
        ("none", "supply", True),
    ],
)
def test_active_is_what_the_wiring_means(
    pins: MockFactory, heard: Heard, wiring: str, pull: str, leads_to: str, closed_is_high: bool
) -> None:
    pin: MockPin = pins.pin("GPIO17")
    close, let = pin.drive_high, pin.drive_low
    if not closed_is_high:
        close, let = let, close
    settings = gpio_contact.Settings("GPIO17", wiring, pull, leads_to)  # type: ignore[arg-type]  # rows of a table
    let()
    contact = gpio_contact.open(settings, heard, name="c")
    heard.clear()
    close()
    let()
    contact.close()
    active = CLOSED_IS_ACTIVE[wiring]
    assert levels(heard) == [active, not active]


def test_a_contact_that_is_held_at_start_is_told(heard: Heard) -> None:
    """gpiozero gives no edge for it; home-assistant#59812: alarms that are there at start."""

    class HeldPin(MockPin):  # type: ignore[misc]  # gpiozero has no types
        """A button to ground that somebody holds, whatever the pull."""

        def _set_pull(self, value: str) -> None:
            self._pull = value
            self._state = False

    import gpiozero

    gpiozero.Device.pin_factory = MockFactory(pin_class=HeldPin)
    try:
        gpio_contact.open(gpio_contact.Settings("GPIO17"), heard, name="c").close()
    finally:
        gpiozero.Device.pin_factory = None
    assert heard == [ContactReport(True)]


def test_every_edge_of_a_bounce_is_told_with_its_time(pins: MockFactory, heard: Heard) -> None:
    """gpiozero#550, #1039: presses that a library's debounce has lost. We use none."""
    pin: MockPin = pins.pin("GPIO17")
    contact = gpio_contact.open(gpio_contact.Settings("GPIO17"), heard, name="c")
    before_ns = time.monotonic_ns()
    for _ in range(9):
        pin.drive_low()
        pin.drive_high()
    contact.close()
    after_ns = time.monotonic_ns()
    assert levels(heard) == [False] + [True, False] * 9
    edges = [r.edge_ns for r in heard if isinstance(r, ContactReport) and r.edge_ns is not None]
    assert len(edges) == 18
    assert all(before_ns - 1_000_000 <= edge <= after_ns + 1_000_000 for edge in edges)


def test_a_relay_may_act_from_within_a_report(pins: MockFactory) -> None:
    relay: Relay = gpio_relay.open(gpio_relay.Settings("GPIO27"), print, name="r")

    def follow(report: Report) -> None:
        assert isinstance(report, ContactReport)
        relay.drive(bool(report.active))

    contact = gpio_contact.open(gpio_contact.Settings("GPIO17"), follow, name="c")
    pins.pin("GPIO17").drive_low()
    assert pins.pin("GPIO27").state is True
    contact.close()
    relay.close()


def test_an_active_low_relay_is_high_from_its_first_instant(pins: MockFactory) -> None:
    pin: MockPin = pins.pin("GPIO27")
    relay = gpio_relay.open(gpio_relay.Settings("GPIO27", active="low"), print, name="r")
    assert pin.state
    relay.drive(True)
    assert not pin.state
    pin.clear_states()
    relay.close()
    assert [state.state for state in pin.states] == [False, True]


def test_a_pin_that_is_used_twice_is_a_fault(pins: MockFactory, heard: Heard) -> None:
    contact = gpio_contact.open(gpio_contact.Settings("GPIO17"), heard, name="c")
    with pytest.raises(DriverFault, match="already in use"):
        gpio_relay.open(gpio_relay.Settings("GPIO17"), print, name="r")
    contact.close()
