"""Points that hear through a stick: presses, silence, a stick that is pulled out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drivers import ContactReport, DriverFault, MeterReport, enocean_contact, enocean_meter
from drivers.enocean import stick as stick_file
from drivers.enocean.esp3 import ASK_VERSION
from tests.drivers.driver_bench import Heard
from tests.drivers.enocean_bench import ALIVE, BO_PRESSED, ROCKER, FakeStick, radio, rocker, window

OTHER = "0029A1B2"


@pytest.fixture
def stick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeStick]:
    monkeypatch.setattr(stick_file, "OPEN_EVERY_S", 0.05)
    made = FakeStick(tmp_path)
    yield made
    made.close()


Open = Callable[..., Any]


@pytest.fixture
def contact(stick: FakeStick, heard: Heard) -> Iterator[Open]:
    opened = []

    def open_(profile: str = "F6-02-01", **more: Any) -> Any:
        emit = more.pop("emit", heard)
        device = more.pop("device", ROCKER)
        settings = enocean_contact.Settings(stick.path, device, profile, **more)  # type: ignore[arg-type]  # drawn
        opened.append(enocean_contact.open(settings, emit, name="c"))
        return opened[-1]

    yield open_
    for one in opened:
        one.close()
    assert stick_file._sticks == {}, "the port is closed with the last point"


def levels(heard: Heard) -> list[bool | None]:
    return [report.active for report in heard if isinstance(report, ContactReport)]


def until(heard: Heard, count: int) -> None:
    deadline = time.monotonic() + 30
    while len(heard) < count:
        assert time.monotonic() < deadline, list(heard)
        time.sleep(0.002)


def test_a_press_and_its_release_are_told_with_their_times(
    stick: FakeStick, contact: Open, heard: Heard
) -> None:
    contact(button="BO")
    before_ns = time.monotonic_ns()
    stick.says(BO_PRESSED)
    until(heard, 2)
    stick.says(rocker(0))
    until(heard, 3)
    assert levels(heard) == [False, True, False]
    first, down, up = heard
    assert isinstance(first, ContactReport)
    assert isinstance(down, ContactReport)
    assert isinstance(up, ContactReport)
    assert first.edge_ns is None
    assert down.edge_ns is not None
    assert up.edge_ns is not None
    assert before_ns <= down.edge_ns < up.edge_ns <= time.monotonic_ns()


@pytest.mark.parametrize(("hung_ms", "aged_ms"), [(0, 0), (900, 0), (8_000, 8_000)])
def test_a_telegram_that_waited_while_the_process_hung_is_not_of_now(
    stick: FakeStick, monkeypatch: pytest.MonkeyPatch, hung_ms: int, aged_ms: int
) -> None:
    """A door would open for a press of before; a pull is told all the same, and calls."""
    now_ns = [50_000_000_000]
    clock = SimpleNamespace(monotonic=lambda: now_ns[0] / 1e9, monotonic_ns=lambda: now_ns[0])
    monkeypatch.setattr(stick_file, "time", clock)
    told: list[int] = []
    listener = SimpleNamespace(
        time=lambda _now_ns: None, heard=lambda _told, heard_ns: told.append(heard_ns)
    )
    one = stick_file.Stick(stick.path)
    one._listeners.append(listener)  # its thread is not started: the test has its turns
    os.eventfd_write(one._wake, 1)
    one._turn()
    now_ns[0] += hung_ms * 1_000_000
    stick.says(BO_PRESSED)
    one._turn()
    assert told == [now_ns[0] - aged_ms * 1_000_000]
    os.eventfd_write(one._wake, 1)
    one._turn()  # nothing waits any more
    stick.says(rocker(0))
    one._turn()
    assert told[1:] == [now_ns[0]]
    one.close()


def test_garbage_a_wrong_checksum_and_split_packets_lose_nothing(
    stick: FakeStick, contact: Open, heard: Heard
) -> None:
    contact()
    wrong = BO_PRESSED[:-1] + b"\x00"
    for part in (b"\x55\x13\x55", wrong, BO_PRESSED[:3], BO_PRESSED[3:9], BO_PRESSED[9:]):
        stick.says(part)
    until(heard, 2)
    assert levels(heard) == [False, True]


def test_a_press_whose_release_got_lost_ends_by_itself(
    stick: FakeStick, contact: Open, heard: Heard
) -> None:
    contact(release_after_ms=150)
    stick.says(BO_PRESSED)
    until(heard, 3)
    assert levels(heard) == [False, True, False]
    down, up = heard[1:]
    assert isinstance(down, ContactReport)
    assert isinstance(up, ContactReport)
    assert down.edge_ns is not None
    assert up.edge_ns == down.edge_ns + 150_000_000


def test_a_press_and_a_release_that_are_read_at_once_are_a_press_that_counts(
    stick: FakeStick, contact: Open, heard: Heard
) -> None:
    """A short press is never lost, although both telegrams waited in the same buffer."""
    contact()
    stick.says(BO_PRESSED + rocker(0))
    until(heard, 3)
    down, up = heard[1:]
    assert isinstance(down, ContactReport)
    assert isinstance(up, ContactReport)
    assert down.edge_ns is not None
    assert up.edge_ns is not None
    assert up.edge_ns - down.edge_ns >= 100_000_000


def test_a_telegram_over_repeaters_is_one_press(
    stick: FakeStick, contact: Open, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the repeated press comes after the release."""
    monkeypatch.setattr(stick_file, "REPEATED_NS", 60 * 10**9)
    contact()
    stick.says(rocker(0x10), rocker(0x10, repeats=1))
    until(heard, 2)
    stick.says(rocker(0))
    until(heard, 3)
    stick.says(rocker(0x10, repeats=2), rocker(0, repeats=1), rocker(0x30))
    until(heard, 4)
    assert levels(heard) == [False, True, False, True]


def test_a_press_that_only_a_repeater_has_heard_counts(
    stick: FakeStick, contact: Open, heard: Heard
) -> None:
    contact()
    stick.says(rocker(0x10, repeats=1))
    until(heard, 2)
    assert levels(heard) == [False, True]


def test_several_points_share_one_stick_and_each_hears_its_own(
    stick: FakeStick, contact: Open
) -> None:
    ai, bo, other = Heard(), Heard(), Heard()
    contact(button="AI", emit=ai)
    contact(button="BO", emit=bo)
    contact(device=OTHER.lower(), emit=other)
    stick.says(rocker(0x70), rocker(0x10, OTHER))
    until(other, 2)
    assert (levels(ai), levels(bo), levels(other)) == ([False], [False, True], [False, True])


def test_a_window_is_unknown_until_it_is_heard(
    stick: FakeStick, contact: Open, heard: Heard
) -> None:
    contact("D5-00-01", active="open")
    stick.says(window(False))
    until(heard, 2)
    stick.says(window(False), window(True))
    until(heard, 3)
    unknown, first, edge = heard
    assert unknown == ContactReport(None, None, "not heard yet")
    assert first == ContactReport(True)
    assert isinstance(edge, ContactReport)
    assert edge.active is False
    assert edge.edge_ns is not None


def test_a_device_without_a_life_signal_becomes_unknown_and_comes_back(
    stick: FakeStick, contact: Open, heard: Heard
) -> None:
    """A silent cord is a fault: the last proof of its function is too old."""
    contact("F6-01-01", alive_within_ms=100, release_after_ms=50)
    until(heard, 2)
    assert heard[1] == ContactReport(None, None, "no life signal for 0.1 s")
    stick.says(radio(0xF6, b"\x10", status=0x20))
    until(heard, 4)
    up, down = heard[2:4]
    assert isinstance(up, ContactReport)
    assert isinstance(down, ContactReport)
    # It was up before it was pulled, for long enough to be believed: so this is a pull.
    assert (up.active, down.active) == (False, True)
    assert up.edge_ns is not None
    assert down.edge_ns is not None
    assert down.edge_ns - up.edge_ns >= 500_000_000


def test_who_sends_life_signals_is_watched_for_a_day_and_a_button_is_not() -> None:
    class Deaf:
        def __call__(self, path: str, listener: Any) -> Callable[[], None]:
            listener.back(0)
            return lambda: None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stick_file, "join", Deaf())
        for profile, due_h in (("D5-00-01", 24), ("A5-07-01", 24), ("F6-02-01", None)):
            settings = enocean_contact.Settings("/dev/x", ROCKER, profile)  # type: ignore[arg-type]  # rows
            device: Any = enocean_contact.open(settings, print, name="c")
            due_ns = device.time(1)
            assert due_ns == (None if due_h is None else due_h * 3_600 * 10**9)


def test_a_stick_that_is_pulled_out_is_unknown_and_works_again_when_it_is_back(
    stick: FakeStick, contact: Open, heard: Heard
) -> None:
    contact()
    stick.says(BO_PRESSED)
    until(heard, 2)
    stick.unplug()
    until(heard, 3)
    gone = heard[2]
    assert isinstance(gone, ContactReport)
    assert gone.active is None
    assert gone.reason
    stick.plug()
    until(heard, 4)
    stick.says(BO_PRESSED)
    until(heard, 5)
    assert levels(heard) == [False, True, None, False, True]


def test_a_stick_that_does_not_answer_is_lost(
    stick: FakeStick, contact: Open, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stick_file, "ASK_AFTER_S", 0.05)
    monkeypatch.setattr(stick_file, "ANSWER_WITHIN_S", 1.0)
    contact()
    assert stick.hears() == ASK_VERSION
    stick.says(ALIVE)
    assert stick.hears() == ASK_VERSION
    assert levels(heard) == [False]
    until(heard, 2)
    lost = heard[1]
    assert isinstance(lost, ContactReport)
    assert lost.active is None
    assert "does not answer" in lost.reason


def test_a_meter_tells_the_climate_and_how_well_it_is_heard(stick: FakeStick, heard: Heard) -> None:
    settings = enocean_meter.Settings(stick.path, ROCKER, "A5-04-01")
    meter = enocean_meter.open(settings, heard, name="m")
    try:
        assert heard == [
            MeterReport("temperature_c", None, "not heard yet"),
            MeterReport("humidity_percent", None, "not heard yet"),
            MeterReport("rssi_dbm", None, "not heard yet"),
        ]
        heard.clear()
        stick.says(radio(0xA5, bytes((0, 125, 130, 0x0A)), rssi_dbm=-71), rocker(0x10, OTHER))
        until(heard, 3)
    finally:
        meter.close()
    told = {one.quantity: one.value for one in heard if isinstance(one, MeterReport)}
    assert told == {"temperature_c": 20.8, "humidity_percent": 50.0, "rssi_dbm": -71}


def test_a_port_that_another_program_has_is_a_fault_that_says_so(
    stick: FakeStick, contact: Open
) -> None:
    contact()
    with pytest.raises(DriverFault, match=r"in use by another program: .*portier-control"):
        stick_file.connect(stick.path)


def test_an_id_that_is_none_is_refused() -> None:
    for text in ("0029A1B", "0029A1BG", "", "0029A1B2C3"):
        with pytest.raises(ValueError, match="eight hexadecimal"):
            enocean_contact.Settings("/dev/x", text, "F6-02-01")
    assert stick_file.device_id("00:29:a1:b2") == OTHER
