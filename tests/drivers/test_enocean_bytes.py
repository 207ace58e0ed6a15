"""Telegrams out of bytes, and what they mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.enocean import profiles
from drivers.enocean.esp3 import (
    ASK_VERSION,
    Packet,
    Telegram,
    crc8,
    encode,
    parse,
    telegram,
)
from tests.drivers.enocean_bench import ALIVE, BO_PRESSED, LEARN_A5, radio, rocker, window


def telegrams(data: bytes) -> list[Telegram]:
    packets, _ = parse(data)
    return [told for packet in packets if (told := telegram(packet))]


def only(data: bytes) -> Telegram:
    (told,) = telegrams(data)
    return told


def test_a_recorded_telegram_is_read() -> None:
    told = only(BO_PRESSED)
    assert told == Telegram(0xF6, b"\x70", "018DF8BD", 0x30, -85)
    assert profiles.pressed(told) == {"BO"}
    release = bytes.fromhex("55000707017af600fefbfe352000ffffffff39005c")
    assert only(release) == Telegram(0xF6, b"\x00", "FEFBFE35", 0x20, -57)
    assert profiles.pressed(only(release)) == frozenset()


def test_the_question_for_the_version_is_the_one_of_the_specification() -> None:
    assert bytes.fromhex("5500010005700309") == ASK_VERSION


GARBAGE = [b"", b"\x00\xff", b"\x55", b"\x55\x55\x55", b"\x55\x00\x07\x07\x01", BO_PRESSED[:-1]]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_a_telegram_after_garbage_is_heard(garbage: bytes) -> None:
    """A whole packet is told although garbage before it looks like the head of a longer one."""
    assert telegrams(garbage + BO_PRESSED) == telegrams(BO_PRESSED)


def test_a_head_that_promises_more_than_comes_swallows_nothing() -> None:
    long = b"\x02\x00\x00\x01"
    head = b"\x55" + long + bytes((crc8(long),))
    assert telegrams(head + BO_PRESSED) == telegrams(BO_PRESSED)


@pytest.mark.parametrize("at", range(len(BO_PRESSED)))
def test_a_mangled_byte_is_no_telegram_and_the_next_one_is_heard(at: int) -> None:
    mangled = bytearray(BO_PRESSED)
    mangled[at] ^= 0x04
    assert telegrams(bytes(mangled)) == []
    assert telegrams(bytes(mangled) + BO_PRESSED) == telegrams(BO_PRESSED)


packets = st.builds(
    Packet, st.integers(0, 255), st.binary(min_size=1, max_size=40), st.binary(max_size=20)
)


@given(st.lists(packets, max_size=6), st.data())
def test_however_the_bytes_are_split_the_packets_are_the_same(
    sent: list[Packet], data: st.DataObject
) -> None:
    stream = b"".join(map(encode, sent))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    heard: list[Packet] = []
    kept = b""
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found, kept = parse(kept + stream[start:end])
        heard += found
    assert heard == sent
    assert kept == b""


@given(st.binary(max_size=3000))
def test_any_bytes_are_survived_and_what_is_kept_is_bounded(data: bytes) -> None:
    found, kept = parse(data)
    for packet in found:
        told = telegram(packet)
        if told is not None:
            profiles.guess(told)
            for profile in ("F6-02-01", "F6-01-01", "D5-00-01", "A5-07-01"):
                profiles.closed(profile, "any", told)
                profiles.values(profile, told)
    assert len(kept) <= 6 + 512 + 255
    assert parse(kept) == ([], kept)


@given(st.binary(max_size=40), st.sampled_from(["A5-07-01", "A5-04-01", "A5-04-02"]))
def test_any_values_are_within_their_bounds(data: bytes, profile: str) -> None:
    from drivers import enocean_meter

    settings = enocean_meter.Settings("/dev/x", "018DF8BD", profile)  # type: ignore[arg-type]  # drawn
    bounds = {q.name: (q.lowest, q.highest) for q in enocean_meter.quantities(settings)}
    for name, value in profiles.values(profile, Telegram(0xA5, data, "018DF8BD", 0)).items():
        assert bounds[name][0] <= value <= bounds[name][1]


@pytest.mark.parametrize(
    ("byte", "status", "down"),
    [
        (0x10, 0x30, {"AI"}),
        (0x30, 0x30, {"AO"}),
        (0x50, 0x30, {"BI"}),
        (0x70, 0x30, {"BO"}),
        (0x15, 0x30, {"AI", "BI"}),
        (0x37, 0x30, {"AO", "BO"}),
        (0x70, 0x20, {"AI", "AO", "BI", "BO"}),  # a whole hand: three or four buttons
        (0x00, 0x20, set()),
        (0x60, 0x30, set()),
    ],
)
def test_which_buttons_of_a_rocker_are_down(byte: int, status: int, down: set[str]) -> None:
    assert profiles.pressed(Telegram(0xF6, bytes((byte,)), "018DF8BD", status)) == down


def test_each_profile_has_its_own_meaning_of_closed() -> None:
    def closed(profile: str, data: bytes) -> bool | None:
        return profiles.closed(profile, "any", only(data))

    assert closed("F6-01-01", radio(0xF6, b"\x10")) is True
    assert closed("F6-01-01", radio(0xF6, b"\x00")) is False
    assert closed("D5-00-01", window(True)) is True
    assert closed("D5-00-01", window(False)) is False
    assert closed("D5-00-01", radio(0xD5, b"\x00")) is None  # its learn button
    assert closed("A5-07-01", radio(0xA5, bytes((150, 0, 200, 0x09)))) is True
    assert closed("A5-07-01", radio(0xA5, bytes((150, 0, 100, 0x09)))) is False
    assert closed("A5-07-01", LEARN_A5) is None
    assert closed("D5-00-01", rocker(0x10)) is None
    assert closed("D5-00-01", radio(0xD5, b"\x01\x02")) is None


def test_what_a_climate_and_a_motion_sensor_tell() -> None:
    climate = only(radio(0xA5, bytes((0, 125, 130, 0x0A))))
    told = {"humidity_percent": 50.0, "temperature_c": 20.8}
    assert profiles.values("A5-04-01", climate) == told
    assert profiles.values("A5-04-02", climate) == {**told, "temperature_c": 21.6}
    without = only(radio(0xA5, bytes((0, 125, 130, 0x08))))
    assert profiles.values("A5-04-01", without) == {"humidity_percent": 50.0}
    battery = only(radio(0xA5, bytes((150, 0, 0, 0x09))))
    assert profiles.values("A5-07-01", battery) == {"battery_v": 3.0}
    assert profiles.values("A5-04-01", only(LEARN_A5)) == {}
    assert profiles.values("D5-00-01", climate) == {}


def test_what_is_guessed_of_a_telegram() -> None:
    assert profiles.guess(only(LEARN_A5)) == ("A5-04-01", "learn button pressed")
    assert profiles.guess(only(BO_PRESSED)) == ("F6-02-01", "BO pressed")
    assert profiles.guess(only(rocker(0))) == ("F6-02-01", "released")
    assert profiles.guess(only(window(False))) == ("D5-00-01", "open")
    assert profiles.guess(only(radio(0xD2, b"\x01")))[0] == ""


def test_what_is_no_telegram_is_none() -> None:
    (packet,), _ = parse(ALIVE)
    assert telegram(packet) is None
    assert telegram(Packet(1, b"\xf6\x00\x00", b"")) is None
