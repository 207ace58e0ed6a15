"""ESP3: whatever the stick says, only a sound telegram of the device moves its contact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from drivers import ContactReport, MeterReport, Report, enocean_contact, enocean_meter
from drivers.enocean import stick as stick_file
from drivers.enocean.esp3 import RADIO_ERP1, Packet, encode, parse
from tests.drivers.enocean_bench import ALIVE, LEARN_A5, ROCKER, radio, rocker, window
from tests.fuzz.draws import fuzz

pytestmark = pytest.mark.thorough

OTHER = "0029A1B2"
MOTION = radio(0xA5, bytes((150, 0, 200, 0x09)))
CLIMATE = radio(0xA5, bytes((0, 125, 130, 0x0A)))
TELEGRAMS = (
    rocker(0x70), rocker(0x00), rocker(0x50, repeats=1), rocker(0x10, OTHER), window(True),
    window(False), window(True, OTHER), MOTION, CLIMATE, LEARN_A5, ALIVE,
)  # fmt: skip
SOUND = st.sampled_from(TELEGRAMS)
PROFILES = ("F6-02-01", "F6-01-01", "D5-00-01", "A5-07-01")
NOISE = st.binary(max_size=30) | st.lists(st.sampled_from((0x55, 0, 1, 7, 0xFF)), max_size=20).map(
    bytes
)


class Port:
    def close(self) -> None:
        """Nothing is open."""


class Ear:
    """A stick without a port, and one point of each sort that hears through it."""

    def __init__(self, profile: str) -> None:
        self.reports: list[Report] = []
        port: Any = Port()
        self.stick = stick_file.Stick("/dev/none", lambda path: port)
        listeners: list[Any] = self.stick._listeners
        with mock.patch.object(stick_file, "join", lambda _, point: listeners.append(point)):
            drawn: Any = profile
            contact = enocean_contact.Settings("/dev/none", ROCKER, drawn)
            enocean_contact.open(contact, self.reports.append, name="c")
            if profile.startswith("A5"):
                meter = enocean_meter.Settings("/dev/none", ROCKER, drawn)
                enocean_meter.open(meter, self.reports.append, name="m")
        for one in listeners:
            one.back(0)
        self.reports.clear()

    def hears(self, chunks: Iterable[bytes]) -> list[Report]:
        """What was told, of the levels without their times."""
        for chunk in chunks:
            self.stick._take(chunk)
        told = [
            ContactReport(r.active) if isinstance(r, ContactReport) else r for r in self.reports
        ]
        self.reports.clear()
        return told


@contextmanager
def ear(profile: str) -> Iterator[Ear]:
    made = Ear(profile)
    try:
        yield made
    finally:
        made.stick.close()


def levels(told: list[Report]) -> list[bool | None]:
    return [report.active for report in told if isinstance(report, ContactReport)]


def cut(stream: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted(at % (len(stream) + 1) for at in cuts)
    return [stream[a:b] for a, b in zip([0, *ends], [*ends, len(stream)], strict=True)]


@fuzz(150)
@given(st.sampled_from(PROFILES), SOUND, st.sets(st.integers(0, 400), min_size=1, max_size=3))
def test_up_to_three_flipped_bits_move_nothing_and_the_next_telegram_is_heard(
    profile: str, telegram: bytes, bits: set[int]
) -> None:
    mangled = bytearray(telegram)
    for bit in bits:
        mangled[bit // 8 % len(mangled)] ^= 1 << bit % 8
    assume(bytes(mangled) != telegram)
    with ear(profile) as one:
        assert one.hears([bytes(mangled)]) == []
        told = one.hears([telegram])
    with ear(profile) as fresh:
        assert told == fresh.hears([telegram])


@fuzz(150)
@given(
    st.sampled_from(PROFILES),
    st.lists(st.tuples(NOISE, SOUND), max_size=5),
    NOISE,
    st.lists(st.integers(0, 2_000), max_size=8),
)
@example("D5-00-01", [(b"\x55", window(True)), (b"\x55\x00\x00", window(False))], b"", [])
def test_however_noise_and_chunks_lie_each_sound_telegram_is_heard(
    profile: str, sent: list[tuple[bytes, bytes]], tail: bytes, cuts: list[int]
) -> None:
    stream = b"".join(noise + telegram for noise, telegram in sent) + tail
    with ear(profile) as plain, ear(profile) as noisy:
        expected = plain.hears(telegram for _, telegram in sent)
        assert noisy.hears(cut(stream, cuts)) == expected
        assert len(noisy.stick._buffer) <= 6 + 512 + 255


@fuzz(200)
@given(
    st.sampled_from(PROFILES),
    st.lists(
        st.tuples(
            st.sampled_from((RADIO_ERP1, RADIO_ERP1, 2, 9)),
            st.sampled_from((0xF6, 0xD5, 0xA5, 0xD2, 0)),
            st.binary(max_size=6),
            st.sampled_from((ROCKER, OTHER)),
            st.integers(0, 255),
            st.binary(max_size=9),
        ),
        max_size=6,
    ),
)
def test_only_telegrams_of_the_device_and_of_its_sort_move_a_contact(
    profile: str, drawn: list[tuple[int, int, bytes, str, int, bytes]]
) -> None:
    length = 4 if profile.startswith("A5") else 1
    with ear(profile) as one:
        for kind, rorg, data, device, status, optional in drawn:
            body = bytes((rorg, *data)) + bytes.fromhex(device) + bytes((status,))
            told = one.hears([encode(Packet(kind, body, optional))])
            ours = kind == RADIO_ERP1 and device == ROCKER
            if not (ours and rorg == int(profile[:2], 16) and len(data) == length):
                assert levels(told) == []
            if not ours:
                assert told == []
            for report in told:
                if isinstance(report, MeterReport):
                    assert report.value is not None
                    assert abs(report.value) < 1_000


@pytest.mark.parametrize("seed", range(3))
def test_of_rubbish_never_more_is_kept_than_one_packet(seed: int) -> None:
    """The worst there is: beginnings without end, ends that are missing, heads that promise."""
    worst = (b"\x55" * 40_000, ALIVE[:-1] * 1_000, b"\x55\x01\xff\x00\x00" * 8_000)[seed]
    kept = b""
    for at in range(0, len(worst), 4096):
        _, kept = parse(kept + worst[at : at + 4096])
    assert len(kept) <= 6 + 512 + 255
